#include "ui/shell/work_bar.h"

#include "ui/text/words.h"

#include <QFile>
#include <QHBoxLayout>
#include <QMenu>
#include <QPainter>
#include <QProgressBar>

namespace fettle::ui {

namespace {

constexpr double kSilentSeconds = 30;

/// Memory of the machine from the kernel's own table, in bytes: used, all.
std::pair<quint64, quint64> machineMemory()
{
    QFile file("/proc/meminfo");
    if (!file.open(QIODevice::ReadOnly))
        return {0, 0};
    quint64 total = 0, available = 0;
    for (const QByteArray& line : file.readAll().split('\n')) {
        if (line.startsWith("MemTotal:"))
            total = line.simplified().split(' ').value(1).toULongLong() * 1024;
        else if (line.startsWith("MemAvailable:"))
            available = line.simplified().split(' ').value(1).toULongLong() * 1024;
    }
    return {total - available, total};
}

} // namespace

WorkBar::WorkBar(Session& session, QWidget* parent)
    : QFrame(parent)
    , m_session(session)
    , m_icon(new IconLabel("data-success", 16, Ink::Second, this))
    , m_words(new Text(tr("Nothing is running"), TextRole::Small, Ink::Second, this))
    , m_bar(new QProgressBar(this))
    , m_pause(quietButton(tr("Pause"), "shellPauseButton", {}, this))
    , m_stop(quietButton(tr("Stop"), "shellStopButton", {}, this))
    , m_list(quietButton({}, "shellWorkList", {}, this))
    , m_memory(new Text({}, TextRole::Small, Ink::Second, this))
    , m_network(new Text({}, TextRole::Small, Ink::Second, this))
{
    setObjectName("shellWorkBar");
    setAccessibleName(tr("Work in progress"));
    m_words->setObjectName("shellWorkLabel");
    m_memory->setObjectName("shellMemoryMeter");
    m_memory->setToolTip(tr("Memory of this computer in use, measured"));
    m_network->setObjectName("shellNetworkLabel");
    showNetwork(m_session.networkOn());
    connect(&m_session, &Session::networkChanged, this, &WorkBar::showNetwork);
    m_bar->setObjectName("shellWorkProgress");
    m_bar->setAccessibleName(tr("Progress of the running work"));
    m_bar->setFixedWidth(160);
    m_bar->setTextVisible(false);
    m_bar->setRange(0, 1000);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(16, 2, 16, 2);
    row->setSpacing(10);
    for (QWidget* w :
         std::initializer_list<QWidget*>{m_icon, m_words, m_bar, m_pause, m_stop, m_list})
        row->addWidget(w);
    row->addStretch(1);
    row->addWidget(m_memory);
    row->addWidget(hairline(this, Qt::Vertical));
    row->addWidget(m_network);
    setFixedHeight(Theme::instance().px(36));
    connect(m_pause, &QPushButton::clicked, this, [this] {
        if (!m_session.jobs().empty())
            m_session.jobs().front()->setPaused(!m_session.jobs().front()->paused());
    });
    connect(m_stop, &QPushButton::clicked, this, [this] {
        if (!m_session.jobs().empty())
            m_session.jobs().front()->requestStop();
    });
    connect(m_list, &QPushButton::clicked, this, &WorkBar::showList);
    connect(&m_session, &Session::jobsChanged, this, [this] {
        if (!m_timer.isActive() || m_session.jobs().empty() || !m_bar->isVisible())
            refresh();
    });
    connect(&m_timer, &QTimer::timeout, this, &WorkBar::refresh);
    m_timer.start(500);
    refresh();
}

QString WorkBar::wordsOf(JobBridge& job) const
{
    QString words = qs(job.handle().title());
    const jobs::StepDone& step = job.lastStep();
    if (job.handle().state() == jobs::JobState::Waiting)
        return tr("%1, waiting").arg(words);
    if (job.silence() > kSilentSeconds && !job.paused())
        return tr("%1: %2, no progress for %3")
            .arg(words, qs(job.phase().phase), durationText(job.silence()));
    if (step.totalSteps > 0) {
        words += tr(", step %1 of %2").arg(count(step.step), count(step.totalSteps));
        if (job.paused())
            words += tr(", paused");
        else if (step.step > 2 && step.seconds > 3)
            words += tr(", about %1 left")
                         .arg(durationText(step.seconds / static_cast<double>(step.step) *
                                           static_cast<double>(step.totalSteps - step.step)));
    } else if (!job.phase().phase.empty()) {
        words += ": " + qs(job.phase().phase);
        if (!job.phase().detail.empty())
            words += ", " + qs(job.phase().detail);
    }
    return words;
}

void WorkBar::showNetwork(bool on)
{
    m_network->setText(on ? tr("Downloads allowed: your texts stay here")
                          : tr("Offline: nothing leaves this computer"));
    m_network->setToolTip(on ? tr("This program connects only to fetch a model that you name; "
                                  "switch it off in Settings, Privacy")
                             : tr("This program opens no connection to the internet"));
}

void WorkBar::refresh()
{
    const auto& all = m_session.jobs();
    const bool any = !all.empty();
    for (QWidget* w : std::initializer_list<QWidget*>{m_bar, m_pause, m_stop})
        w->setVisible(any);
    m_list->setVisible(all.size() > 1);
    if (any) {
        JobBridge& job = *all.front();
        m_words->setText(wordsOf(job));
        m_words->setInk(Ink::Text);
        m_icon->setIcon(job.paused() ? "media-playback-pause" : "media-playback-start",
                        Ink::Accent);
        const jobs::StepDone& step = job.lastStep();
        double part = job.phase().fraction;
        if (step.totalSteps > 0)
            part = static_cast<double>(step.step) / static_cast<double>(step.totalSteps);
        m_bar->setRange(0, part < 0 ? 0 : 1000);
        m_bar->setValue(qRound(part * 1000));
        m_pause->setText(job.paused() ? tr("Continue") : tr("Pause"));
        m_pause->setVisible(!m_session.runOf(&job).empty());
        m_stop->setText(job.stopping()                  ? tr("Stopping …")
                        : m_session.runOf(&job).empty() ? tr("Cancel")
                                                        : tr("Stop and keep"));
        m_stop->setEnabled(!job.stopping());
        m_list->setText(tr("%n waiting", nullptr, static_cast<int>(all.size()) - 1));
    } else {
        m_words->setText(tr("Nothing is running"));
        m_words->setInk(Ink::Second);
        m_icon->setIcon("data-success", Ink::Second);
    }
    const auto [used, total] = machineMemory();
    if (total > 0)
        m_memory->setText(tr("Memory %1 of %2").arg(bytesText(used), bytesText(total)));
}

void WorkBar::showList()
{
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    int index = 0;
    for (JobBridge* job : m_session.jobs()) {
        QAction* action = menu->addAction(tr("Cancel: %1").arg(wordsOf(*job)));
        action->setObjectName(QStringLiteral("shellWorkCancel_%1").arg(index++));
        connect(action, &QAction::triggered, job, [job] { job->requestStop(); });
    }
    menu->popup(m_list->mapToGlobal(QPoint(0, -menu->sizeHint().height())));
}

void WorkBar::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), colours().sunken());
    painter.fillRect(QRect(0, 0, width(), 1), colours().hairline());
}

} // namespace fettle::ui

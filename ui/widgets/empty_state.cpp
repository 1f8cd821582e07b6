#include "ui/widgets/empty_state.h"

#include "base/clock.h"
#include "ui/text/words.h"

#include <QPainter>
#include <QProgressBar>
#include <QVBoxLayout>

namespace fettle::ui {

namespace {

/// A large quiet disc with the icon in it.
class Emblem final : public QWidget
{
public:
    Emblem(QString name, QWidget* parent)
        : QWidget(parent)
        , m_name(std::move(name))
    {
        setFixedSize(88, 88);
    }

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(Qt::NoPen);
        painter.setBrush(colours().tint);
        painter.drawEllipse(rect());
        painter.drawPixmap(22, 22, iconPixmap(m_name, 44, Ink::Accent, devicePixelRatioF()));
    }

private:
    QString m_name;
};

} // namespace

EmptyState::EmptyState(const QString& iconName, const QString& title, const QString& line,
                       QWidget* parent)
    : QWidget(parent)
    , m_title(new Text(title, TextRole::Section, Ink::Text, this))
    , m_line(new Text(line, TextRole::Body, Ink::Second, this))
    , m_box(new QVBoxLayout)
{
    auto* outer = new QVBoxLayout(this);
    outer->addStretch(2);
    outer->addWidget(new Emblem(iconName, this), 0, Qt::AlignHCenter);
    outer->addSpacing(16);
    m_title->setAlignment(Qt::AlignHCenter);
    m_line->setAlignment(Qt::AlignHCenter);
    m_line->setWordWrap(true);
    m_line->setFixedWidth(Theme::instance().px(460));
    m_line->setMinimumHeight(m_line->heightForWidth(Theme::instance().px(460)));
    outer->addWidget(m_title);
    outer->addSpacing(4);
    outer->addWidget(m_line, 0, Qt::AlignHCenter);
    outer->addSpacing(16);
    m_box->setAlignment(Qt::AlignHCenter);
    outer->addLayout(m_box);
    outer->addStretch(3);
}

void EmptyState::setButton(QPushButton* button) { m_box->addWidget(button, 0, Qt::AlignHCenter); }

void EmptyState::setWords(const QString& title, const QString& line)
{
    m_title->setText(title);
    m_line->setText(line);
}

LoadingState::LoadingState(const QString& place, QWidget* parent)
    : QWidget(parent)
    , m_phase(new Text({}, TextRole::Group, Ink::Text, this))
    , m_time(new Text({}, TextRole::Small, Ink::Second, this))
    , m_bar(new QProgressBar(this))
    , m_cancel(plainButton(tr("Cancel"), place + "CancelButton", {}, this))
{
    m_phase->setObjectName(place + "PhaseLabel");
    m_bar->setObjectName(place + "ProgressBar");
    m_bar->setRange(0, 1000);
    m_bar->setFixedWidth(360);
    m_bar->setTextVisible(false);
    m_bar->setAccessibleName(tr("Progress"));
    auto* box = new QVBoxLayout(this);
    box->addStretch(2);
    for (QWidget* w : std::initializer_list<QWidget*>{m_phase, m_bar, m_time, m_cancel})
        box->addWidget(w, 0, Qt::AlignHCenter);
    box->addStretch(3);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        m_cancel->setEnabled(false);
        m_cancel->setText(tr("Cancelling …"));
        Q_EMIT cancelled();
    });
}

void LoadingState::start(const QString& phase)
{
    m_started = nowMilliseconds();
    m_cancel->setEnabled(true);
    m_cancel->setText(tr("Cancel"));
    setProgress(phase, -1);
}

void LoadingState::setProgress(const QString& phase, double fraction)
{
    m_phase->setText(phase);
    if (fraction < 0) {
        m_bar->setRange(0, 0);
        m_time->setText(QStringLiteral(" "));
        return;
    }
    m_bar->setRange(0, 1000);
    m_bar->setValue(qRound(fraction * 1000));
    const double passed = static_cast<double>(nowMilliseconds() - m_started) / 1000.0;
    if (passed > 3 && fraction > 0.02)
        m_time->setText(tr("about %1 left").arg(durationText(passed / fraction - passed)));
}

} // namespace fettle::ui

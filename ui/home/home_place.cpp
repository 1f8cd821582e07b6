#include "ui/home/home_place.h"

#include "base/json.h"
#include "ui/plots/legend_entry.h"
#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"

#include <QDir>
#include <QFileInfo>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>

namespace fettle::ui {

namespace {

constexpr std::size_t kCards = 6;
constexpr int kColumns = 3;

bool isUnfinished(const store::RunRecord& run)
{
    return (run.status == store::RunStatus::Interrupted ||
            run.status == store::RunStatus::Stopped) &&
           run.step < run.totalSteps && !run.extra.value("keptAsItIs", false);
}

} // namespace

HomePlace::HomePlace(Session& session, QWidget* parent)
    : Place(session, "home", tr("Home"), parent)
{
    createLayout();
    connectSignals();
    refresh();
    testMachine();
}

void HomePlace::createLayout()
{
    auto* open = plainButton(tr("Open workspace"), "homeOpenButton", "document-open");
    auto* fresh = plainButton(tr("New"), "homeNewButton", "document-new");
    addTool(open);
    addTool(fresh);
    connect(open, &QPushButton::clicked, this, &HomePlace::openWanted);
    connect(fresh, &QPushButton::clicked, this, &HomePlace::newWanted);

    auto* content = new QWidget;
    auto* columns = new QHBoxLayout(content);
    columns->setContentsMargins(0, 4, 0, 0);
    columns->setSpacing(Theme::instance().px(24));
    auto* left = new QVBoxLayout;
    left->setSpacing(Theme::instance().px(12));
    m_lead = new Text(
        tr("Give a small language model your examples, and it learns to answer like them."),
        TextRole::Body, Ink::Second);
    m_lead->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Maximum);
    left->addWidget(m_lead);
    m_drop = new DropArea("homeDropArea", "homeChooseFileButton", DropArea::exampleWords());
    m_drop->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    left->addWidget(m_drop, 1);
    m_recentTitle = new Text(tr("Latest runs"), TextRole::Section);
    left->addSpacing(8);
    left->addWidget(m_recentTitle);
    m_recent = new QWidget;
    m_recent->setLayout(new QGridLayout);
    m_recent->layout()->setContentsMargins(0, 0, 0, 0);
    static_cast<QGridLayout*>(m_recent->layout())->setSpacing(Theme::instance().px(12));
    left->addWidget(m_recent);
    m_workspaces = new QWidget;
    auto* others = new QVBoxLayout(m_workspaces);
    others->setContentsMargins(0, 0, 0, 0);
    others->setSpacing(2);
    left->addWidget(m_workspaces);
    m_recentTitle->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Maximum);
    m_recent->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Maximum);
    m_workspaces->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Maximum);
    columns->addLayout(left, 1);
    columns->addWidget(createSide());
    setPages(nullptr, nullptr, scrolled(content, "homeScroll"));
}

QWidget* HomePlace::createSide()
{
    auto* side = new QWidget;
    side->setFixedWidth(Theme::instance().px(300));
    auto* box = new QVBoxLayout(side);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(16));
    m_unfinished = new Card;
    m_unfinished->addTitle(tr("Unfinished"));
    m_unfinishedBox = new QVBoxLayout;
    m_unfinished->box()->addLayout(m_unfinishedBox);
    box->addWidget(m_unfinished);
    auto* machine = new Card;
    machine->addTitle(tr("This machine"));
    m_machine = new Text(tr("Looking …"), TextRole::Body);
    m_machine->setObjectName("homeMachineLabel");
    m_machine->setWordWrap(true);
    machine->box()->addWidget(m_machine);
    m_test = quietButton(tr("Look again"), "homeTestButton", "view-refresh");
    machine->box()->addWidget(m_test, 0, Qt::AlignLeft);
    box->addWidget(machine);
    m_samples = new Card;
    m_samples->addTitle(tr("Samples"));
    auto* line = new Text(tr("Real rows to try everything with."), TextRole::Small, Ink::Second);
    m_samples->box()->addWidget(line);
    m_samplesBox = new QVBoxLayout;
    m_samplesBox->setSpacing(2);
    m_samples->box()->addLayout(m_samplesBox);
    box->addWidget(m_samples);
    box->addStretch(1);
    return side;
}

void HomePlace::connectSignals()
{
    connect(m_drop, &DropArea::dropped, this,
            [this](const QStringList& files) { m_session.importFiles(files); });
    connect(m_drop, &DropArea::asked, this, [this] {
        ask::files(this, tr("Choose examples"), tr("All files (*)"),
                   [this](const QStringList& files) {
                       if (!files.isEmpty())
                           m_session.importFiles(files);
                   });
    });
    connect(m_test, &QPushButton::clicked, this, &HomePlace::testMachine);
    connect(&m_session, &Session::runsChanged, this, &HomePlace::refresh);
    connect(&m_session, &Session::datasetsChanged, this, &HomePlace::refresh);
}

void HomePlace::activate(const QString&) { refresh(); }

void HomePlace::testMachine()
{
    m_test->setEnabled(false);
    m_machine->setText(tr("Looking …"));
    m_session.later(
        this, [] { return recipes::deviceReport(); },
        [this](recipes::DeviceReport&& report) {
            m_test->setEnabled(true);
            m_machine->setText(qs(report.sentence));
        });
}

void HomePlace::refresh()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            Facts facts;
            facts.hasData = !workspace->datasets().empty();
            facts.hasModel = !workspace->models().empty();
            for (const store::RunRecord& run : workspace->runs()) {
                if (isUnfinished(run))
                    facts.unfinished.push_back(run);
                if (facts.runs.size() >= kCards)
                    continue;
                RunCard card{run, {}};
                for (const jobs::EvalDone& check : workspace->evaluations(run.id))
                    card.losses.push_back(check.loss);
                facts.runs.push_back(std::move(card));
            }
            return facts;
        },
        [this](Facts&& facts) { show(std::move(facts)); });
}

void HomePlace::show(Facts&& facts)
{
    const bool empty = facts.runs.empty() && !facts.hasData;
    setState(empty ? PlaceState::Empty : PlaceState::Full);
    m_lead->setVisible(empty);
    showUnfinished(facts.unfinished);
    showRuns(facts.runs);
    showWorkspaces();
    showSamples();
    if (!facts.hasModel)
        messages()->show(MessageBar::Kind::Information,
                         tr("There is no original model in this workspace yet."), tr("Add a model"),
                         [this] { m_session.go("settings", "models"); });
    else if (messages()->isVisible() && messages()->text().startsWith(tr("There is no original")))
        messages()->clear();
}

void HomePlace::showUnfinished(const std::vector<store::RunRecord>& runs)
{
    clearLayout(m_unfinishedBox);
    std::size_t index = 0;
    for (const store::RunRecord& run : runs) {
        if (m_session.runJob(run.id) || index >= 3)
            continue;
        if (index > 0)
            m_unfinishedBox->addWidget(hairline());
        auto* words = new Text(tr("Run %1 · step %2 of %3 · %4")
                                   .arg(count(run.number), count(run.step), count(run.totalSteps),
                                        whenText(run.endedAt > 0 ? run.endedAt : run.createdAt)));
        words->setWordWrap(true);
        m_unfinishedBox->addWidget(words);
        auto* row = new QHBoxLayout;
        auto* go = plainButton(tr("Continue"), QStringLiteral("homeContinueButton_%1").arg(index),
                               "media-playback-start");
        auto* keep =
            quietButton(tr("Keep as it is"), QStringLiteral("homeKeepButton_%1").arg(index));
        row->addWidget(go);
        row->addWidget(keep);
        row->addStretch(1);
        m_unfinishedBox->addLayout(row);
        connect(go, &QPushButton::clicked, this, [this, id = run.id] { m_session.resumeRun(id); });
        connect(keep, &QPushButton::clicked, this, [this, record = run]() mutable {
            record.extra["keptAsItIs"] = true;
            m_session.later(
                this,
                [workspace = m_session.workspace(), record] {
                    return workspace->updateRun(record);
                },
                [this](Result<void>&&) { refresh(); });
        });
        ++index;
    }
    m_unfinished->setVisible(index > 0);
}

void HomePlace::showRuns(const std::vector<RunCard>& runs)
{
    auto* grid = static_cast<QGridLayout*>(m_recent->layout());
    clearLayout(grid);
    m_recentTitle->setVisible(!runs.empty());
    int index = 0;
    for (const RunCard& run : runs) {
        auto* card = new CardButton(m_recent);
        card->setObjectName(QStringLiteral("homeRecentCard_%1").arg(index));
        const QString name = qs(run.record.name);
        card->setAccessibleName(tr("Run %1, %2").arg(count(run.record.number), name));
        auto* title = new Text(name, TextRole::Group);
        title->setElided(true);
        card->box()->addWidget(title);
        QString words =
            tr("Run %1").arg(count(run.record.number)) + " · " + whenText(run.record.createdAt);
        card->box()->addWidget(new Text(words, TextRole::Small, Ink::Second));
        auto* spark = new SparkLine;
        spark->setValues(run.losses, run.record.colour);
        card->box()->addWidget(spark);
        QString score = tr("no check yet");
        if (run.record.bestEvalLoss)
            score = tr("loss %1 on checking rows").arg(number(*run.record.bestEvalLoss));
        card->box()->addWidget(new Text(score, TextRole::Small));
        for (QWidget* child : card->findChildren<QWidget*>())
            child->setAttribute(Qt::WA_TransparentForMouseEvents);
        connect(card, &CardButton::clicked, this,
                [this, id = qs(run.record.id)] { m_session.go("runs", id); });
        grid->addWidget(card, index / kColumns, index % kColumns);
        ++index;
    }
    for (int column = 0; column < kColumns; ++column)
        grid->setColumnStretch(column, 1);
}

void HomePlace::showWorkspaces()
{
    auto* box = static_cast<QVBoxLayout*>(m_workspaces->layout());
    clearLayout(box);
    QStringList folders = Preferences::instance().recentWorkspaces();
    folders.removeAll(qs(m_session.workspace()->folder().string()));
    m_workspaces->setVisible(!folders.isEmpty());
    if (folders.isEmpty())
        return;
    box->addWidget(new Text(tr("Other workspaces"), TextRole::Section));
    int index = 0;
    for (const QString& folder : folders.mid(0, 4)) {
        auto* row = new QHBoxLayout;
        auto* open = quietButton(QFileInfo(folder).fileName(),
                                 QStringLiteral("homeWorkspace_%1").arg(index), "folder");
        open->setToolTip(folder);
        row->addWidget(open);
        const bool there = QFileInfo(folder).isDir();
        open->setEnabled(there);
        if (!there) {
            row->addWidget(new Text(tr("is not there any more"), TextRole::Small, Ink::Second));
            auto* forget =
                quietButton(tr("Remove from list"), QStringLiteral("homeForget_%1").arg(index));
            row->addWidget(forget);
            connect(forget, &QPushButton::clicked, this, [this, folder] {
                Preferences::instance().forgetWorkspace(folder);
                showWorkspaces();
            });
        }
        row->addStretch(1);
        box->addLayout(row);
        connect(open, &QPushButton::clicked, this,
                [this, folder] { Q_EMIT workspaceWanted(folder); });
        ++index;
    }
}

void HomePlace::showSamples()
{
    if (m_samplesBox->count() > 0)
        return;
    const auto folder = recipes::resourceFolder() / "samples";
    const auto list = readJsonFile(folder / "samples.json", 1 << 20);
    int index = 0;
    for (const Json& sample : list && list->is_array() ? *list : Json::array()) {
        const QString file = qs((folder / sample.value("file", std::string())).string());
        auto* button = quietButton(qs(sample.value("title", std::string())),
                                   QStringLiteral("homeSample_%1").arg(index++), "table");
        button->setToolTip(qs(sample.value("description", std::string())));
        m_samplesBox->addWidget(button, 0, Qt::AlignLeft);
        data::ImportOptions options;
        options.instruction = sample.value("instruction", std::string());
        options.roles = sample.value("roles", std::map<std::string, std::string>());
        connect(button, &QPushButton::clicked, this,
                [this, file, options] { m_session.importFiles({file}, options); });
    }
    m_samples->setVisible(index > 0);
}

} // namespace fettle::ui

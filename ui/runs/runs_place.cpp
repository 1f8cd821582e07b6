#include "ui/runs/runs_place.h"

#include "ui/plots/plot_view.h"
#include "ui/runs/answers_strip.h"
#include "ui/runs/run_list.h"
#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QSplitter>
#include <QTabWidget>
#include <QTableWidget>
#include <QTextBrowser>

namespace fettle::ui {

RunsPlace::RunsPlace(Session& session, QWidget* parent)
    : Place(session, "runs", tr("Runs"), parent)
{
    createTools();
    createLayout();
    createPlaceActions();
    connectSignals();
    refreshList();
}

void RunsPlace::createTools()
{
    m_pause = plainButton(tr("Pause"), "runsPauseButton", "media-playback-pause", this);
    m_stop = plainButton(tr("Stop and keep"), "runsStopButton", "media-playback-stop", this);
    m_continue = plainButton(tr("Continue"), "runsContinueButton", "media-playback-start", this);
    m_back = plainButton(tr("Go back …"), "runsBackButton", "go-previous", this);
    m_back->setToolTip(tr("Go on from an earlier save point, more gently"));
    m_again = plainButton(tr("Train again"), "runsAgainButton", "view-refresh", this);
    m_again->setToolTip(tr("The same plan on the newest rows, with the same random start"));
    for (QPushButton* button : {m_pause, m_stop, m_continue, m_back, m_again})
        addTool(button);
}

void RunsPlace::createLayout()
{
    auto* empty = new EmptyState("office-chart-line", tr("Your runs will be here"),
                                 tr("A run is the original model learning from your examples. You "
                                    "watch it here, and stop it "
                                    "when it is good."));
    auto* toPlan = primaryButton(tr("Make a plan"), "runsToPlanButton");
    empty->setButton(toPlan);
    connect(toPlan, &QPushButton::clicked, this, [this] { m_session.go("plan"); });

    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->setObjectName("runsSplitter");
    splitter->setChildrenCollapsible(false);
    m_list = new RunList;
    m_list->installEventFilter(this);
    splitter->addWidget(m_list);
    auto* work = new QWidget;
    auto* column = new QVBoxLayout(work);
    column->setContentsMargins(8, 0, 0, 0);
    column->setSpacing(Theme::instance().px(8));
    column->addWidget(createHeader());
    m_end = new Card(work, Card::Kind::Tinted);
    m_end->setObjectName("runsEndSheet");
    m_end->box()->setContentsMargins(14, 10, 14, 10);
    m_endWords = new Text({}, TextRole::Body);
    m_endWords->setObjectName("runsEndWords");
    m_endWords->setWordWrap(true);
    m_end->box()->addWidget(m_endWords);
    m_end->hide();
    column->addWidget(m_end);
    m_tabs = new QTabWidget;
    m_tabs->setObjectName("runsTabs");
    m_tabs->setDocumentMode(true);
    createPages(m_tabs);
    column->addWidget(m_tabs, 1);
    QHBoxLayout* bottom = addBottomRow(column);
    m_meters = new Text({}, TextRole::Small, Ink::Second);
    m_meters->setObjectName("runsMeters");
    m_meters->setElided(true);
    m_compare = plainButton(tr("Compare"), "runsCompareButton", "view-split-left-right");
    m_deploy = plainButton(tr("Take it away"), "runsDeployButton", "document-export");
    m_try = primaryButton(tr("Try it"), "runsTryButton");
    bottom->addWidget(m_meters, 1);
    for (QPushButton* button : {m_compare, m_deploy, m_try})
        bottom->addWidget(button);
    splitter->addWidget(work);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({250, 800});
    Preferences::instance().keep(splitter);
    setPages(empty, nullptr, splitter);
}

QWidget* RunsPlace::createHeader()
{
    auto* head = new QWidget;
    auto* box = new QVBoxLayout(head);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(2);
    m_title = new Text({}, TextRole::Section);
    m_title->setElided(true);
    m_line = new Text({}, TextRole::Small, Ink::Second);
    m_line->setElided(true);
    m_phaseLabel = new Text({}, TextRole::Body);
    m_phaseLabel->setObjectName("runsPhaseLabel");
    m_bar = new QProgressBar;
    m_bar->setObjectName("runsProgressBar");
    m_bar->setAccessibleName(tr("Progress of the run"));
    m_bar->setTextVisible(false);
    m_bar->setFixedHeight(12);
    m_bar->setRange(0, 1000);
    auto* top = new QHBoxLayout;
    top->addWidget(m_title, 1);
    top->addWidget(m_phaseLabel);
    box->addLayout(top);
    box->addWidget(m_line);
    box->addWidget(m_bar);
    return head;
}

QWidget* RunsPlace::createCurves()
{
    auto* page = new QWidget;
    auto* box = new QVBoxLayout(page);
    box->setContentsMargins(0, 10, 0, 0);
    box->setSpacing(4);
    auto* plots = new QSplitter(Qt::Vertical);
    plots->setObjectName("runsPlotSplitter");
    plots->setChildrenCollapsible(false);
    m_loss = new PlotView("runsLossPlot", tr("loss"), tr("nats per piece"));
    m_rate = new PlotView("runsRatePlot", tr("change per step"), {});
    m_rate->follow(m_loss);
    m_second = new QComboBox;
    m_second->setObjectName("runsRateCombo");
    m_second->setAccessibleName(tr("What the lower plot shows"));
    m_second->setProperty("quiet", true);
    m_second->addItems({tr("Change per step"), tr("Size of change"), tr("Word pieces per second")});
    m_second->setToolTip(wordTip("change per step") + "\n\n" + wordTip("size of change"));
    auto* lower = new QWidget;
    auto* lowerBox = new QVBoxLayout(lower);
    lowerBox->setContentsMargins(0, 0, 0, 0);
    lowerBox->setSpacing(0);
    lowerBox->addWidget(m_second, 0, Qt::AlignLeft);
    lowerBox->addWidget(m_rate, 1);
    plots->addWidget(m_loss);
    plots->addWidget(lower);
    plots->setStretchFactor(0, 3);
    plots->setStretchFactor(1, 2);
    Preferences::instance().keep(plots);
    m_reader = new Text({}, TextRole::Body);
    m_reader->setObjectName("runsReaderLabel");
    m_reader->setWordWrap(true);
    box->addWidget(plots, 1);
    box->addWidget(m_reader);
    connect(m_second, &QComboBox::currentIndexChanged, this, &RunsPlace::showSecondPlot);
    for (PlotView* plot : {m_loss, m_rate}) {
        plot->setOrigin(m_session.title());
        connect(plot, &PlotView::problem, this,
                [this](const QString& words) { messages()->show(MessageBar::Kind::Error, words); });
    }
    return page;
}

void RunsPlace::createPages(QTabWidget* tabs)
{
    tabs->addTab(createCurves(), tr("Curves"));
    m_answers = new AnswersStrip;
    tabs->addTab(m_answers, tr("Answers"));
    m_settings = new QTableWidget(0, 3);
    m_settings->setObjectName("runsSettingsTable");
    m_settings->setAccessibleName(tr("Settings of this run"));
    m_settings->setHorizontalHeaderLabels({tr("Setting"), tr("Value"), tr("Meaning")});
    m_settings->horizontalHeader()->setStretchLastSection(true);
    m_settings->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_settings->verticalHeader()->hide();
    m_settings->setShowGrid(false);
    m_settings->setTabKeyNavigation(false);
    m_settings->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_settings->setSelectionBehavior(QAbstractItemView::SelectRows);
    tabs->addTab(m_settings, tr("Settings"));
    m_log = new QPlainTextEdit;
    m_log->setObjectName("runsLogView");
    m_log->setAccessibleName(tr("Log of this run"));
    m_log->setReadOnly(true);
    m_log->setLineWrapMode(QPlainTextEdit::NoWrap);
    m_log->setFont(Theme::instance().font(TextRole::Fixed));
    m_log->setMaximumBlockCount(20'000);
    m_log->setTabChangesFocus(true);
    tabs->addTab(m_log, tr("Log"));
    m_record = new QTextBrowser;
    m_record->setObjectName("runsRecordView");
    m_record->setAccessibleName(tr("Record of this run: what it was made from"));
    m_record->setOpenLinks(false);
    tabs->addTab(m_record, tr("Record"));
}

void RunsPlace::connectSignals()
{
    connect(m_list, &QListWidget::itemSelectionChanged, this, &RunsPlace::loadChosen);
    connect(m_pause, &QPushButton::clicked, this, &RunsPlace::togglePause);
    connect(m_stop, &QPushButton::clicked, this, &RunsPlace::stop);
    connect(m_continue, &QPushButton::clicked, this, &RunsPlace::continueRun);
    connect(m_back, &QPushButton::clicked, this, &RunsPlace::goBack);
    connect(m_again, &QPushButton::clicked, this, &RunsPlace::again);
    connect(m_try, &QPushButton::clicked, this, [this] {
        if (current())
            m_session.go("try", qs(current()->record.id));
    });
    connect(m_deploy, &QPushButton::clicked, this, [this] {
        if (current())
            m_session.go("deploy", qs(current()->record.id));
    });
    connect(m_compare, &QPushButton::clicked, this,
            [this] { m_session.go("compare", m_list->chosen().join('\n')); });
    connect(&m_session, &Session::runsChanged, this, &RunsPlace::refreshList);
    connect(&m_session, &Session::runStarted, this, [this](const QString& id) {
        m_wanted = id;
        refreshList();
    });
    connect(&m_session, &Session::runSteps, this, &RunsPlace::stepsDone);
    connect(&m_session, &Session::runHappened, this, &RunsPlace::happened);
    connect(&m_session, &Session::runEnded, this, &RunsPlace::ended);
    connect(&m_session, &Session::jobsChanged, this, &RunsPlace::refreshButtons);
    // Runs of other processes are seen on disk.
    connect(&m_poll, &QTimer::timeout, this, [this] {
        if (isVisible() && current() && current()->record.status == store::RunStatus::Running &&
            !m_session.runJob(current()->record.id))
            loadChosen();
    });
    m_poll.start(2000);
}

void RunsPlace::createPlaceActions()
{
    addPlaceAction(tr("Pause or continue"), "actionRunsPause", {}, [this] { togglePause(); });
    addPlaceAction(tr("Stop and keep"), "actionRunsStop", {}, [this] { stop(); });
    addPlaceAction(tr("Train again"), "actionRunsAgain", {}, [this] { again(); });
    addPlaceAction(tr("Try it"), "actionRunsTry", QKeySequence("Ctrl+T"),
                   [this] { m_try->click(); });
    addPlaceAction(tr("Move this run to the bin"), "actionRunsRemove", QKeySequence("Delete"),
                   [this] { remove(); });
}

void RunsPlace::keyPressEvent(QKeyEvent* event)
{
    // Space where no control wants it; a shortcut would take it from buttons with the focus.
    if (event->key() == Qt::Key_Space)
        togglePause();
    else
        Place::keyPressEvent(event);
}

bool RunsPlace::eventFilter(QObject* object, QEvent* event)
{
    if (object == m_list && event->type() == QEvent::KeyPress &&
        static_cast<QKeyEvent*>(event)->key() == Qt::Key_Space) {
        togglePause();
        return true;
    }
    return Place::eventFilter(object, event);
}

void RunsPlace::activate(const QString& argument)
{
    if (!argument.isEmpty())
        m_wanted = argument;
    refreshList();
}

void RunsPlace::savePlotOrTable()
{
    m_tabs->setCurrentIndex(0);
    if (auto* save = findChild<QToolButton*>("runsLossPlotSaveButton"))
        save->click();
}

} // namespace fettle::ui

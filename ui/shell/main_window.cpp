#include "ui/shell/main_window.h"

#include "ui/compare/compare_place.h"
#include "ui/data/data_place.h"
#include "ui/deploy/deploy_place.h"
#include "ui/evaluate/evaluate_place.h"
#include "ui/help/help_place.h"
#include "ui/home/home_place.h"
#include "ui/plan/plan_place.h"
#include "ui/runs/runs_place.h"
#include "ui/settings/models_page.h"
#include "ui/settings/preferences.h"
#include "ui/settings/settings_place.h"
#include "ui/shell/go_anywhere.h"
#include "ui/shell/rail.h"
#include "ui/shell/work_bar.h"
#include "ui/text/words.h"
#include "ui/try/try_place.h"
#include "ui/widgets/ask.h"

#include <QApplication>
#include <QCloseEvent>
#include <QHBoxLayout>
#include <QMenuBar>
#include <QScreen>
#include <QStackedWidget>

namespace fettle::ui {

MainWindow::MainWindow(std::shared_ptr<store::Workspace> workspace, QWidget* parent)
    : QMainWindow(parent)
    , m_session(std::make_unique<Session>(std::move(workspace)))
{
    setObjectName("shellWindow");
    setWindowIcon(programIcon());
    createPlaces();
    createLayout();
    createActions();
    connectSignals();
    restoreState();
}

MainWindow::~MainWindow()
{
    // The places refer to the session: they go first.
    const std::unique_ptr<QWidget> places(takeCentralWidget());
}

void MainWindow::createPlaces()
{
    m_places = new QStackedWidget;
    const auto add = [this](Place* place) {
        m_byName[place->name()] = place;
        m_places->addWidget(place);
        connect(place, &Place::news, this, [this, place] {
            if (place->name() != m_current)
                m_rail->setNews(place->name(), true);
        });
        connect(place, &Place::undoChanged, this, &MainWindow::refreshUndo);
    };
    Session& s = *m_session;
    add(new HomePlace(s));
    add(new DataPlace(s));
    add(new PlanPlace(s));
    add(new RunsPlace(s));
    add(new ComparePlace(s));
    add(new EvaluatePlace(s));
    add(new TryPlace(s));
    add(new DeployPlace(s));
    add(new SettingsPlace(s));
    add(new HelpPlace(s));
}

void MainWindow::createLayout()
{
    auto* centre = new QWidget(this);
    auto* column = new QVBoxLayout(centre);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    auto* row = new QHBoxLayout;
    row->setSpacing(0);
    m_rail = new Rail(centre);
    row->addWidget(m_rail);
    row->addWidget(m_places, 1);
    column->addLayout(row, 1);
    column->addWidget(new WorkBar(*m_session, centre));
    setCentralWidget(centre);
    setMinimumSize(1024, 640);
}

void MainWindow::connectSignals()
{
    connect(m_rail, &Rail::chosen, this, [this](const QString& place) { go(place); });
    connect(m_session.get(), &Session::placeWanted, this, &MainWindow::go);
    connect(m_session.get(), &Session::networkChanged, this, &MainWindow::refreshTitle);
    connect(m_session.get(), &Session::filesGiven, this,
            [this](const QStringList& files, const data::ImportOptions& options) {
                if (!files.isEmpty() && ModelsPage::looksLikeModel(files.first())) {
                    go("settings", "models");
                    static_cast<SettingsPlace*>(place("settings"))->importModel(files.first());
                    return;
                }
                go("data");
                static_cast<DataPlace*>(place("data"))->importFiles(files, options);
            });
    connect(m_session.get(), &Session::runEnded, this, [this] {
        if (m_current != "runs")
            m_rail->setNews("runs", true);
        if (!isActiveWindow() && Preferences::instance().value("notices/desktop").toBool())
            QApplication::alert(this);
        if (m_closeWhenEnded && !m_session->isTraining())
            close();
    });
    connect(m_session.get(), &Session::startFailed, this, [this](const QString& words) {
        place(m_current)->messages()->show(MessageBar::Kind::Error, words);
    });
    connect(m_session.get(), &Session::runStarted, this,
            [this](const QString& id) { go("runs", id); });
    auto* home = static_cast<HomePlace*>(place("home"));
    connect(home, &HomePlace::openWanted, this, &MainWindow::openWorkspace);
    connect(home, &HomePlace::newWanted, this, &MainWindow::newWorkspace);
    connect(home, &HomePlace::workspaceWanted, this, &MainWindow::workspaceWanted);
    connect(static_cast<SettingsPlace*>(place("settings")), &SettingsPlace::openWorkspaceWanted,
            this, &MainWindow::openWorkspace);
}

void MainWindow::restoreState()
{
    auto& preferences = Preferences::instance();
    if (!restoreGeometry(preferences.value("window/geometry").toByteArray()))
        resize(QSize(1280, 800).boundedTo(screen()->availableSize()));
    preferences.rememberWorkspace(qs(m_session->workspace()->folder().string()));
    refreshTitle();
    const Json last = m_session->workspace()->preference("lastPlace");
    const QString place = last.is_string() ? qs(last.get<std::string>()) : QString();
    go(m_byName.contains(place) ? place : QString("home"));
}

void MainWindow::refreshTitle()
{
    setWindowTitle(m_session->networkOn() ? tr("Fettle — %1").arg(m_session->title())
                                          : tr("Fettle — %1 — Offline").arg(m_session->title()));
}

Place* MainWindow::place(const QString& name) const
{
    const auto found = m_byName.find(name);
    return found == m_byName.end() ? nullptr : found->second;
}

void MainWindow::go(const QString& name, const QString& argument)
{
    Place* target = place(name);
    if (!target)
        return;
    m_current = name;
    m_rail->setCurrent(name);
    m_rail->setNews(name, false);
    m_places->setCurrentWidget(target);
    target->activate(argument);
    m_session->workspace()->setPreference("lastPlace", ss(name));
    createPlaceMenu();
    refreshUndo();
}

void MainWindow::openFiles()
{
    QStringList endings;
    for (const std::string& ending : data::importableExtensions())
        endings << "*." + qs(ending);
    ask::files(this, tr("Choose examples"),
               tr("Examples (%1);;All files (*)").arg(endings.join(' ')),
               [this](const QStringList& files) {
                   if (!files.isEmpty())
                       m_session->importFiles(files);
               });
}

void MainWindow::openWorkspace()
{
    ask::folder(this, tr("Open a workspace"), [this](const QString& folder) {
        if (!folder.isEmpty())
            Q_EMIT workspaceWanted(folder);
    });
}

void MainWindow::newWorkspace()
{
    ask::folder(this, tr("Choose an empty folder for the new workspace"),
                [this](const QString& folder) {
                    if (!folder.isEmpty())
                        Q_EMIT workspaceWanted(folder);
                });
}

void MainWindow::pressMainButton()
{
    QPushButton* button = place(m_current)->mainButton();
    if (button && button->isVisible() && button->isEnabled())
        button->click();
}

void MainWindow::goToAnything()
{
    auto* dialog = new GoAnywhere(*m_session, this);
    dialog->open();
}

void MainWindow::showHelpOfFocus()
{
    const QWidget* focus = QApplication::focusWidget();
    QString topic = m_current;
    for (const QWidget* w = focus; w; w = w->parentWidget()) {
        if (!w->objectName().isEmpty()) {
            topic += '/' + w->objectName();
            break;
        }
    }
    go("help", topic);
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (m_session->isTraining() && !m_closeWhenEnded) {
        event->ignore();
        QStringList answers;
        const bool canDetach = !Session::commandLineProgram().isEmpty();
        if (canDetach)
            answers << tr("Keep running without the window");
        answers << tr("Stop and keep") << tr("Stay");
        ask::choice(this, tr("A run is going on"),
                    tr("Stop and keep saves it at this step; you can continue it later."), answers,
                    [this, canDetach, last = answers.size() - 1](int answer) {
                        if (answer < 0 || answer == last)
                            return;
                        m_closeWhenEnded = true;
                        for (JobBridge* job : m_session->jobs()) {
                            const std::string run = m_session->runOf(job);
                            if (canDetach && answer == 0 && !run.empty())
                                m_session->detachRun(run);
                            else
                                job->requestStop();
                        }
                    });
        return;
    }
    Preferences::instance().setValue("window/geometry", saveGeometry());
    event->accept();
}

} // namespace fettle::ui

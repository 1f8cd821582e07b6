// The window's menus and keys.
#include "ui/shell/main_window.h"
#include "ui/shell/rail.h"

#include <QAction>
#include <QApplication>
#include <QMenuBar>
#include <QShortcut>

namespace fettle::ui {

void MainWindow::createActions()
{
    const auto add = [this](QMenu* menu, const QString& words, const QString& name,
                            const QKeySequence& keys, auto act) {
        QAction* action = menu->addAction(words);
        action->setObjectName(name);
        action->setShortcut(keys);
        connect(action, &QAction::triggered, this, act);
        return action;
    };
    QMenu* workspace = menuBar()->addMenu(tr("&Workspace"));
    add(workspace, tr("&Open examples …"), "actionOpen", QKeySequence("Ctrl+O"),
        [this] { openFiles(); });
    add(workspace, tr("Open &workspace …"), "actionOpenWorkspace", QKeySequence("Ctrl+Shift+O"),
        [this] { openWorkspace(); });
    add(workspace, tr("&New workspace …"), "actionNewWorkspace", QKeySequence("Ctrl+Shift+N"),
        [this] { newWorkspace(); });
    workspace->addSeparator();
    add(workspace, tr("&Save"), "actionSave", QKeySequence("Ctrl+S"), [this] {
        place(m_current)->messages()->show(MessageBar::Kind::Good, tr("Everything is saved."));
    });
    add(workspace, tr("Save &plot or table …"), "actionSavePlot", QKeySequence("Ctrl+E"),
        [this] { place(m_current)->savePlotOrTable(); });
    workspace->addSeparator();
    add(workspace, tr("&Quit"), "actionQuit", QKeySequence("Ctrl+Q"), [this] { close(); });

    m_editMenu = menuBar()->addMenu(tr("&Edit"));
    m_undo = add(m_editMenu, tr("&Undo"), "actionUndo", QKeySequence("Ctrl+Z"),
                 [this] { place(m_current)->undo(); });
    m_redo = add(m_editMenu, tr("&Redo"), "actionRedo", QKeySequence("Ctrl+Shift+Z"),
                 [this] { place(m_current)->redo(); });
    m_editMenu->addSeparator();
    add(m_editMenu, tr("&Filter"), "actionFilter", QKeySequence("Ctrl+F"), [this] {
        if (QWidget* field = place(m_current)->filterField())
            field->setFocus(Qt::ShortcutFocusReason);
    });

    QMenu* view = menuBar()->addMenu(tr("&View"));
    int digit = 1;
    for (const PlaceName& name : placeNames()) {
        QKeySequence keys;
        if (name.name == "settings")
            keys = QKeySequence("Ctrl+,");
        else if (name.name != "help")
            keys = QKeySequence(QStringLiteral("Ctrl+%1").arg(digit++));
        add(view, name.words, "actionGo_" + name.name, keys,
            [this, place = name.name] { go(place); });
    }
    view->addSeparator();
    add(view, tr("Go to &anything …"), "actionGoAnywhere", QKeySequence("Ctrl+K"),
        [this] { goToAnything(); });
    add(view, tr("Next &area"), "actionNextArea", QKeySequence("F6"), [this] {
        QWidget* focus = QApplication::focusWidget();
        if (focus && m_places->isAncestorOf(focus))
            findChild<QWidget*>("rail_" + m_current)->setFocus(Qt::ShortcutFocusReason);
        else
            place(m_current)->setFocus(Qt::ShortcutFocusReason),
                place(m_current)->nextInFocusChain()->setFocus();
    });
    m_placeMenu = menuBar()->addMenu(tr("&Run"));
    createHelpMenu();
}

void MainWindow::createHelpMenu()
{
    QMenu* help = menuBar()->addMenu(tr("&Help"));
    const auto add = [this, help](const QString& words, const QString& name,
                                  const QKeySequence& keys, auto act) {
        QAction* action = help->addAction(words);
        action->setObjectName(name);
        action->setShortcut(keys);
        connect(action, &QAction::triggered, this, act);
    };
    add(tr("&Help for what has the focus"), "actionHelp", QKeySequence("F1"),
        [this] { showHelpOfFocus(); });
    add(tr("&Keys"), "actionKeys", QKeySequence("Ctrl+/"), [this] { go("help", "keys"); });
    add(tr("&Words"), "actionWords", {}, [this] { go("help", "words"); });
    add(tr("&About Fettle"), "actionAbout", {}, [this] { go("settings", "about"); });
    auto* press = new QShortcut(QKeySequence("Ctrl+Return"), this);
    press->setObjectName("shortcutMainButton");
    connect(press, &QShortcut::activated, this, &MainWindow::pressMainButton);
    auto* pressEnter = new QShortcut(QKeySequence("Ctrl+Enter"), this);
    connect(pressEnter, &QShortcut::activated, this, &MainWindow::pressMainButton);
}

void MainWindow::createPlaceMenu()
{
    if (!m_placeMenu)
        return;
    m_placeMenu->clear();
    const QString current = m_current;
    for (const PlaceName& name : placeNames()) {
        if (name.name == current)
            m_placeMenu->setTitle('&' + name.words);
    }
    if (QPushButton* button = place(m_current)->mainButton()) {
        QAction* action = m_placeMenu->addAction(button->text());
        action->setShortcut(QKeySequence());
        connect(action, &QAction::triggered, this, &MainWindow::pressMainButton);
        m_placeMenu->addSeparator();
    }
    m_placeMenu->addActions(place(m_current)->placeActions());
    m_placeMenu->menuAction()->setVisible(!m_placeMenu->isEmpty());
}

void MainWindow::refreshUndo()
{
    if (!m_undo || !place(m_current))
        return;
    const QString undo = place(m_current)->undoWords(), redo = place(m_current)->redoWords();
    m_undo->setText(undo.isEmpty() ? tr("&Undo") : tr("&Undo %1").arg(undo));
    m_redo->setText(redo.isEmpty() ? tr("&Redo") : tr("&Redo %1").arg(redo));
    m_undo->setEnabled(!undo.isEmpty());
    m_redo->setEnabled(!redo.isEmpty());
}

} // namespace fettle::ui

#pragma once

#include "ui/session/session.h"
#include "ui/shell/place.h"

#include <QMainWindow>
#include <map>

class QStackedWidget;

namespace fettle::ui {

class Rail;

/// The window of one workspace.
class MainWindow : public QMainWindow
{
    Q_OBJECT
public:
    explicit MainWindow(std::shared_ptr<store::Workspace> workspace, QWidget* parent = nullptr);
    ~MainWindow() override;

    Session& session() { return *m_session; }
    Place* place(const QString& name) const;
    QString currentPlace() const { return m_current; }
    void go(const QString& place, const QString& argument = {});

Q_SIGNALS:
    void workspaceWanted(const QString& folder);

protected:
    void closeEvent(QCloseEvent* event) override;

private:
    void createPlaces();
    void createLayout();
    void createActions();
    void createPlaceMenu();
    void createHelpMenu();
    void connectSignals();
    void restoreState();
    void openFiles();
    void openWorkspace();
    void newWorkspace();
    void pressMainButton();
    void goToAnything();
    void showHelpOfFocus();
    void refreshTitle();
    void refreshUndo();
    void stopAndClose();

    std::unique_ptr<Session> m_session;
    Rail* m_rail = nullptr;
    QStackedWidget* m_places = nullptr;
    std::map<QString, Place*> m_byName;
    QString m_current;
    QMenu *m_editMenu = nullptr, *m_placeMenu = nullptr;
    QAction *m_undo = nullptr, *m_redo = nullptr;
    bool m_closeWhenEnded = false;
};

} // namespace fettle::ui

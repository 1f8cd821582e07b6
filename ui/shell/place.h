#pragma once

#include "ui/session/session.h"
#include "ui/widgets/message_bar.h"

#include <QAction>
#include <QStackedWidget>
#include <functional>

class QHBoxLayout;

namespace fettle::ui {

enum class PlaceState
{
    Empty,
    Loading,
    Error,
    Full
};

/// One place of the window: heading top left, tools top right, message bar, a stack of states.
class Place : public QWidget
{
    Q_OBJECT
public:
    Place(Session& session, const QString& name, const QString& title, QWidget* parent = nullptr);

    const QString& name() const { return m_name; }
    MessageBar* messages() const { return m_messages; }
    QStackedWidget* stack() const { return m_stack; }
    PlaceState state() const { return m_state; }

    /// The place comes to the front; `argument` is a run, dataset or setting to go to.
    virtual void activate(const QString& argument) { Q_UNUSED(argument) }
    /// What Ctrl+Return presses.
    virtual QPushButton* mainButton() const { return nullptr; }
    /// What the menus show for this place.
    virtual QList<QAction*> placeActions() const { return m_actions; }
    /// Ctrl+F goes here.
    virtual QWidget* filterField() const { return nullptr; }
    virtual void undo() {}
    virtual void redo() {}
    virtual QString undoWords() const { return {}; }
    virtual QString redoWords() const { return {}; }
    virtual void savePlotOrTable() {}

Q_SIGNALS:
    void news(); ///< something happened here while another place is in front
    void undoChanged();

protected:
    /// The pages of the stack; `full` may be a layout of splitters.
    void setPages(QWidget* empty, QWidget* loading, QWidget* full);
    void setState(PlaceState state);
    void setSubtitle(const QString& text);
    void addTool(QWidget* tool);
    QAction* addPlaceAction(const QString& words, const QString& name, const QKeySequence& keys,
                            std::function<void()> act);
    /// Row under the full page: secondary buttons, then the main button at the right.
    QHBoxLayout* addBottomRow(QVBoxLayout* page);

    Session& m_session;

private:
    QString m_name;
    PlaceState m_state = PlaceState::Empty;
    bool m_hasEmpty = false, m_hasLoading = false;
    Text* m_subtitle;
    QHBoxLayout* m_tools;
    MessageBar* m_messages;
    QStackedWidget* m_stack;
    QList<QAction*> m_actions;
};

} // namespace fettle::ui

#include "ui/shell/place.h"

#include <QAction>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <QVariant>

namespace fettle::ui {

Place::Place(Session& session, const QString& name, const QString& title, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_name(name)
    , m_subtitle(new Text({}, TextRole::Body, Ink::Second, this))
    , m_tools(new QHBoxLayout)
    , m_messages(new MessageBar(name, this))
    , m_stack(new QStackedWidget(this))
{
    const Theme& theme = Theme::instance();
    setObjectName(name + "Place");
    m_stack->setObjectName(name + "Stack");
    auto* heading = new Text(title, TextRole::Heading, Ink::Text, this);
    heading->setObjectName(name + "Heading");
    m_subtitle->setObjectName(name + "Subtitle");
    m_subtitle->setElided(true);
    auto* head = new QHBoxLayout;
    head->setSpacing(theme.px(12));
    head->addWidget(heading, 0, Qt::AlignBaseline);
    head->addWidget(m_subtitle, 1, Qt::AlignBaseline);
    m_tools->setSpacing(theme.px(8));
    head->addLayout(m_tools);
    auto* box = new QVBoxLayout(this);
    const int margin = theme.px(24);
    box->setContentsMargins(margin, theme.px(16), margin, theme.px(16));
    box->setSpacing(theme.px(12));
    box->addLayout(head);
    box->addWidget(m_messages);
    box->addWidget(m_stack, 1);
}

void Place::setPages(QWidget* empty, QWidget* loading, QWidget* full)
{
    m_hasEmpty = empty != nullptr;
    m_hasLoading = loading != nullptr;
    for (QWidget* page : {empty, loading, full})
        m_stack->addWidget(page ? page : new QWidget(m_stack));
    setState(PlaceState::Empty);
}

void Place::setState(PlaceState state)
{
    static const char* const kNames[] = {"empty", "loading", "error", "full"};
    m_state = state;
    m_stack->setProperty("state", kNames[static_cast<int>(state)]);
    // An error stands in the message bar; the good part stays on show.
    int page = 2;
    if (state == PlaceState::Empty && m_hasEmpty)
        page = 0;
    else if (state == PlaceState::Loading && m_hasLoading)
        page = 1;
    m_stack->setCurrentIndex(page);
}

void Place::setSubtitle(const QString& text) { m_subtitle->setText(text); }

void Place::addTool(QWidget* tool) { m_tools->addWidget(tool); }

QAction* Place::addPlaceAction(const QString& words, const QString& name, const QKeySequence& keys,
                               std::function<void()> act)
{
    auto* action = new QAction(words, this);
    action->setObjectName(name);
    action->setShortcut(keys);
    action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
    connect(action, &QAction::triggered, this, std::move(act));
    addAction(action);
    m_actions << action;
    return action;
}

QHBoxLayout* Place::addBottomRow(QVBoxLayout* page)
{
    auto* row = new QHBoxLayout;
    row->setSpacing(Theme::instance().px(8));
    page->addLayout(row);
    return row;
}

} // namespace fettle::ui

#include "ui/widgets/message_bar.h"

#include "ui/theme/style.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QHBoxLayout>
#include <QPainter>

namespace fettle::ui {

MessageBar::MessageBar(const QString& place, QWidget* parent)
    : QFrame(parent)
    , m_icon(new IconLabel("data-information", 16, Ink::Accent, this))
    , m_text(new Text({}, TextRole::Body, Ink::Text, this))
    , m_action(plainButton({}, place + "MessageButton", {}, this))
    , m_copy(quietButton(tr("Copy details"), place + "MessageCopy", {}, this))
    , m_close(toolButton("window-close", tr("Close this message"), place + "MessageClose", this))
{
    setObjectName(place + "MessageBar");
    m_text->setObjectName(place + "MessageText");
    m_text->setWordWrap(true);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_text->setFocusPolicy(Qt::NoFocus);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(12, 6, 6, 6);
    row->setSpacing(10);
    row->addWidget(m_icon);
    row->addWidget(m_text, 1);
    row->addWidget(m_action);
    row->addWidget(m_copy);
    row->addWidget(m_close);
    connect(m_close, &QToolButton::clicked, this, &MessageBar::clear);
    connect(m_copy, &QPushButton::clicked, this,
            [this] { QApplication::clipboard()->setText(m_details); });
    connect(m_action, &QPushButton::clicked, this, [this] {
        const auto act = m_act;
        clear();
        if (act)
            act();
    });
    QFrame::hide();
}

void MessageBar::show(Kind kind, const QString& text, const QString& action,
                      std::function<void()> act)
{
    static constexpr std::pair<const char*, Ink> kLooks[] = {{"data-information", Ink::Accent},
                                                             {"data-success", Ink::Good},
                                                             {"data-warning", Ink::Warning},
                                                             {"data-error", Ink::Error}};
    m_kind = kind;
    const auto& [name, ink] = kLooks[static_cast<int>(kind)];
    m_icon->setIcon(name, ink);
    m_text->setText(text);
    m_act = std::move(act);
    m_action->setText(action);
    m_action->setVisible(!action.isEmpty());
    m_copy->setVisible(!m_details.isEmpty());
    setAccessibleName(text);
    QFrame::show();
    update();
    QAccessibleEvent event(this, QAccessible::Alert);
    QAccessible::updateAccessibility(&event);
}

void MessageBar::setDetails(const QString& details)
{
    m_details = details;
    m_copy->setVisible(!details.isEmpty());
}

void MessageBar::clear()
{
    m_details.clear();
    m_act = {};
    QFrame::hide();
}

void MessageBar::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    const QColor fills[] = {c.tint, c.goodTint, c.warningTint, c.errorTint};
    QPainter painter(this);
    roundedRect(&painter, rect(), fills[static_cast<int>(m_kind)],
                c.highContrast ? c.text : QColor(), 6, 2);
}

} // namespace fettle::ui

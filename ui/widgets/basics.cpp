#include "ui/widgets/basics.h"

#include "ui/theme/style.h"

#include <QEvent>
#include <QPainter>
#include <QScrollArea>
#include <QStyle>
#include <QVBoxLayout>

namespace fettle::ui {

namespace {

QPalette::ColorRole roleOf(Ink ink)
{
    switch (ink) {
    case Ink::Second:
        return QPalette::PlaceholderText;
    case Ink::Accent:
        return QPalette::Link;
    default:
        return QPalette::WindowText;
    }
}

QColor explicitColour(Ink ink)
{
    switch (ink) {
    case Ink::Good:
        return colours().good;
    case Ink::Warning:
        return colours().warning;
    case Ink::Error:
        return colours().error;
    case Ink::OnAccent:
        return colours().onAccent;
    default:
        return {};
    }
}

} // namespace

Text::Text(const QString& text, TextRole role, Ink ink, QWidget* parent)
    : QLabel(text, parent)
    , m_role(role)
    , m_ink(ink)
{
    setTextFormat(Qt::PlainText);
    refresh();
    connect(&Theme::instance(), &Theme::changed, this, &Text::refresh);
}

void Text::setInk(Ink ink)
{
    m_ink = ink;
    refresh();
}

void Text::setElided(bool elided)
{
    m_elided = elided;
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    setToolTip(elided ? text() : QString());
}

void Text::setText(const QString& text)
{
    if (text == QLabel::text())
        return;
    QLabel::setText(text);
    if (m_elided)
        setToolTip(text);
}

QSize Text::minimumSizeHint() const
{
    QSize size = QLabel::minimumSizeHint();
    if (m_elided)
        size.setWidth(qMin(size.width(), 40));
    return size;
}

void Text::paintEvent(QPaintEvent* event)
{
    if (!m_elided || fontMetrics().horizontalAdvance(text()) <= contentsRect().width()) {
        QLabel::paintEvent(event);
        return;
    }
    QPainter painter(this);
    painter.setPen(palette().color(foregroundRole()));
    painter.drawText(contentsRect(), int(alignment()) | Qt::TextSingleLine,
                     fontMetrics().elidedText(text(), Qt::ElideMiddle, contentsRect().width()));
}

void Text::refresh()
{
    setFont(Theme::instance().font(m_role));
    setForegroundRole(roleOf(m_ink));
    QPalette p;
    if (const QColor colour = explicitColour(m_ink); colour.isValid())
        p.setColor(QPalette::WindowText, colour);
    setPalette(p);
}

IconLabel::IconLabel(const QString& name, int size, Ink ink, QWidget* parent)
    : QLabel(parent)
    , m_name(name)
    , m_size(size)
    , m_ink(ink)
{
    refresh();
    connect(&Theme::instance(), &Theme::changed, this, &IconLabel::refresh);
}

void IconLabel::setIcon(const QString& name, Ink ink)
{
    m_name = name;
    m_ink = ink;
    refresh();
}

void IconLabel::refresh()
{
    const int side = Theme::instance().px(m_size);
    setPixmap(iconPixmap(m_name, side, m_ink, devicePixelRatioF()));
    setFixedSize(side, side);
}

Card::Card(QWidget* parent, Kind kind)
    : QFrame(parent)
    , m_kind(kind)
    , m_box(new QVBoxLayout(this))
{
    const int edge = Theme::instance().px(16);
    m_box->setContentsMargins(edge, edge, edge, edge);
    m_box->setSpacing(Theme::instance().px(8));
}

void Card::setKind(Kind kind)
{
    m_kind = kind;
    update();
}

Text* Card::addTitle(const QString& title)
{
    auto* text = new Text(title, TextRole::Group, Ink::Text, this);
    m_box->addWidget(text);
    return text;
}

void Card::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    QPainter painter(this);
    if (m_kind == Kind::Drop) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setBrush(c.base);
        painter.setPen(QPen(c.outline, 1.5, Qt::DashLine));
        painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 10, 10);
        return;
    }
    const QColor fill = m_kind == Kind::Sunken   ? c.sunken()
                        : m_kind == Kind::Tinted ? c.tint
                                                 : c.base;
    roundedRect(&painter, rect(), fill,
                m_kind == Kind::Plain || c.highContrast ? c.hairline() : QColor(), 8);
}

CardButton::CardButton(QWidget* parent)
    : QAbstractButton(parent)
    , m_box(new QVBoxLayout(this))
{
    const int edge = Theme::instance().px(14);
    m_box->setContentsMargins(edge, edge, edge, edge);
    m_box->setSpacing(Theme::instance().px(4));
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_Hover);
    setCursor(Qt::PointingHandCursor);
}

QSize CardButton::sizeHint() const { return m_box->sizeHint(); }
QSize CardButton::minimumSizeHint() const { return m_box->minimumSize(); }

void CardButton::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::EnabledChange)
        update();
    QAbstractButton::changeEvent(event);
}

void CardButton::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    QPainter painter(this);
    const QColor fill = isChecked()                   ? c.tint
                        : isDown()                    ? c.tint
                        : underMouse() && isEnabled() ? c.hover()
                                                      : c.base;
    roundedRect(&painter, rect(), fill, isChecked() ? c.accent : c.hairline(), 8,
                isChecked() ? 2 : 1);
    if (hasKeyboardFocus(this))
        focusRing(&painter, rect(), 8);
}

QPushButton* primaryButton(const QString& text, const QString& name, QWidget* parent)
{
    auto* button = new QPushButton(text, parent);
    button->setObjectName(name);
    button->setProperty("main", true);
    button->setAutoDefault(false);
    button->setToolTip(QObject::tr("Ctrl+Return"));
    return button;
}

QPushButton* plainButton(const QString& text, const QString& name, const QString& iconName,
                         QWidget* parent)
{
    auto* button = new QPushButton(text, parent);
    button->setObjectName(name);
    button->setAutoDefault(false);
    if (!iconName.isEmpty())
        button->setIcon(icon(iconName));
    return button;
}

QPushButton* quietButton(const QString& text, const QString& name, const QString& iconName,
                         QWidget* parent)
{
    auto* button = new QPushButton(text, parent);
    button->setObjectName(name);
    button->setProperty("quiet", true);
    button->setAutoDefault(false);
    if (!iconName.isEmpty())
        button->setIcon(icon(iconName, Ink::Accent));
    return button;
}

QToolButton* toolButton(const QString& iconName, const QString& words, const QString& name,
                        QWidget* parent)
{
    auto* button = new QToolButton(parent);
    button->setObjectName(name);
    button->setIcon(icon(iconName));
    button->setToolTip(words);
    button->setAccessibleName(words);
    button->setFocusPolicy(Qt::StrongFocus);
    button->setAutoRaise(true);
    return button;
}

namespace {

class Line final : public QFrame
{
public:
    using QFrame::QFrame;

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter(this).fillRect(rect(), colours().hairline());
    }
};

} // namespace

QFrame* hairline(QWidget* parent, Qt::Orientation orientation)
{
    auto* line = new Line(parent);
    if (orientation == Qt::Horizontal)
        line->setFixedHeight(1);
    else
        line->setFixedWidth(1);
    return line;
}

QWidget* scrolled(QWidget* content, const QString& name)
{
    auto* area = new QScrollArea;
    area->setObjectName(name);
    area->setFrameShape(QFrame::NoFrame);
    area->setWidgetResizable(true);
    area->setFocusPolicy(Qt::NoFocus);
    area->viewport()->setAutoFillBackground(false);
    content->setAutoFillBackground(false);
    area->setWidget(content);
    return area;
}

void clearLayout(QLayout* layout)
{
    while (QLayoutItem* item = layout->takeAt(0)) {
        if (QWidget* widget = item->widget()) {
            widget->hide();
            widget->setParent(nullptr);
            widget->deleteLater();
        }
        if (QLayout* inner = item->layout())
            clearLayout(inner);
        std::unique_ptr<QLayoutItem> owned(item);
    }
}

} // namespace fettle::ui

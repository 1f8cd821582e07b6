#include "ui/shell/rail.h"

#include "ui/theme/icons.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QKeyEvent>
#include <QPainter>
#include <QVBoxLayout>

namespace fettle::ui {

const QList<PlaceName>& placeNames()
{
    const auto t = [](const char* text) { return QCoreApplication::translate("Rail", text); };
    static const QList<PlaceName> names{
        {"home", t("Home"), "go-home"},
        {"data", t("Data"), "table"},
        {"plan", t("Plan"), "view-calendar-list"},
        {"runs", t("Runs"), "office-chart-line"},
        {"compare", t("Compare"), "view-split-left-right"},
        {"evaluate", t("Evaluate"), "task-complete"},
        {"try", t("Try"), "dialog-messages"},
        {"deploy", t("Deploy"), "document-export"},
        {"settings", t("Settings"), "settings-configure"},
        {"help", t("Help"), "help-contents"},
    };
    return names;
}

RailButton::RailButton(const QString& words, const QString& iconName, QWidget* parent)
    : QAbstractButton(parent)
    , m_icon(iconName)
{
    setText(words);
    setAccessibleName(words);
    setCheckable(true);
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_Hover);
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void RailButton::setNews(bool news)
{
    m_news = news;
    setAccessibleDescription(news ? tr("There is news") : QString());
    update();
}

QSize RailButton::sizeHint() const
{
    const Theme& theme = Theme::instance();
    return {theme.px(88), theme.px(54)};
}

void RailButton::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    const Theme& theme = Theme::instance();
    QPainter painter(this);
    if (isChecked())
        roundedRect(&painter, rect(), c.tint, c.highContrast ? c.text : QColor(), 8, 2);
    else if (underMouse())
        roundedRect(&painter, rect(), c.hover(), {}, 8);
    const int side = theme.px(22);
    const QPixmap image =
        iconPixmap(m_icon, side, isChecked() ? Ink::Accent : Ink::Text, devicePixelRatioF());
    painter.drawPixmap((width() - side) / 2, theme.px(8), image);
    QFont font = theme.font(TextRole::Small);
    font.setWeight(isChecked() ? QFont::DemiBold : QFont::Normal);
    painter.setFont(font);
    painter.setPen(c.text);
    painter.drawText(QRect(0, theme.px(31), width(), height() - theme.px(32)),
                     Qt::AlignHCenter | Qt::AlignTop, text());
    if (m_news) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(c.window, 2));
        painter.setBrush(c.accent);
        painter.drawEllipse(QPointF(width() / 2.0 + side / 2.0 + 2, theme.px(10)), 5, 5);
    }
    if (hasKeyboardFocus(this))
        focusRing(&painter, rect(), 8);
}

Rail::Rail(QWidget* parent)
    : QFrame(parent)
{
    setObjectName("shellRail");
    setAccessibleName(tr("Places"));
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(8, 12, 8, 8);
    box->setSpacing(2);
    for (const PlaceName& place : placeNames()) {
        if (place.name == "settings")
            box->addStretch(1);
        auto* button = new RailButton(place.words, place.icon, this);
        button->setObjectName("rail_" + place.name);
        button->setProperty("place", place.name);
        button->setToolTip(place.words);
        m_group.addButton(button);
        box->addWidget(button, 0, Qt::AlignHCenter);
    }
    connect(&m_group, &QButtonGroup::buttonClicked, this, [this](QAbstractButton* button) {
        Q_EMIT chosen(button->property("place").toString());
    });
}

void Rail::setCurrent(const QString& place)
{
    for (QAbstractButton* button : m_group.buttons()) {
        if (button->property("place").toString() == place)
            button->setChecked(true);
    }
}

void Rail::setNews(const QString& place, bool news)
{
    for (QAbstractButton* button : m_group.buttons()) {
        if (button->property("place").toString() == place)
            static_cast<RailButton*>(button)->setNews(news);
    }
}

void Rail::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), colours().sunken());
    const int x = layoutDirection() == Qt::RightToLeft ? 0 : width() - 1;
    painter.fillRect(QRect(x, 0, 1, height()), colours().hairline());
}

void Rail::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Down)
        focusNextChild();
    else if (event->key() == Qt::Key_Up)
        focusPreviousChild();
    else
        QFrame::keyPressEvent(event);
}

} // namespace fettle::ui

#include "ui/theme/style.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QAbstractItemView>
#include <QAbstractSpinBox>
#include <QComboBox>
#include <QLineEdit>
#include <QPainter>
#include <QPushButton>
#include <QScrollBar>
#include <QSlider>
#include <QStyleFactory>
#include <QStyleOption>
#include <QTabBar>
#include <QToolButton>

namespace fettle::ui {

void roundedRect(QPainter* painter, const QRect& rect, const QColor& fill, const QColor& edge,
                 double radius, double width)
{
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    painter->setBrush(fill.isValid() ? QBrush(fill) : QBrush(Qt::NoBrush));
    painter->setPen(edge.isValid() ? QPen(edge, width) : QPen(Qt::NoPen));
    const double half = edge.isValid() ? width / 2 : 0;
    painter->drawRoundedRect(QRectF(rect).adjusted(half, half, -half, -half), radius, radius);
    painter->restore();
}

void focusRing(QPainter* painter, const QRect& rect, double radius)
{
    roundedRect(painter, rect, {}, colours().accent, radius, 2);
}

bool hasKeyboardFocus(const QWidget* widget)
{
    return widget->hasFocus() && widget->window()->testAttribute(Qt::WA_KeyboardFocusChange);
}

Style::Style()
    : QProxyStyle(QStyleFactory::create(QStringLiteral("Fusion")))
{
}

void Style::polish(QWidget* widget)
{
    QProxyStyle::polish(widget);
    if (qobject_cast<QAbstractButton*>(widget) || qobject_cast<QComboBox*>(widget) ||
        qobject_cast<QAbstractSpinBox*>(widget) || qobject_cast<QScrollBar*>(widget) ||
        qobject_cast<QSlider*>(widget) || qobject_cast<QTabBar*>(widget))
        widget->setAttribute(Qt::WA_Hover);
}

void Style::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                          const QWidget* widget) const
{
    const Colours& c = colours();
    switch (element) {
    case PE_PanelLineEdit:
        if (widget && qobject_cast<const QAbstractSpinBox*>(widget->parentWidget()))
            return; // the spin box draws the field
        if (const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
            frame && frame->lineWidth == 0) {
            painter->fillRect(option->rect, Qt::transparent);
            return;
        }
        drawField(option, painter, option->state & State_HasFocus);
        return;
    case PE_FrameLineEdit:
        return;
    case PE_FrameFocusRect:
        if (widget && qobject_cast<const QAbstractItemView*>(widget))
            return; // the selection shows where the focus is
        focusRing(painter, option->rect, 4);
        return;
    case PE_IndicatorCheckBox:
        drawCheck(option, painter, false);
        return;
    case PE_IndicatorRadioButton:
        drawCheck(option, painter, true);
        return;
    case PE_IndicatorItemViewItemCheck:
        drawCheck(option, painter, false);
        return;
    case PE_Frame:
    case PE_FrameTabWidget:
        if (widget && widget->inherits("QAbstractScrollArea") && option->rect.width() > 4) {
            const bool view = qobject_cast<const QAbstractItemView*>(widget) != nullptr;
            const bool ring =
                view ? hasKeyboardFocus(widget) : bool(option->state & State_HasFocus);
            roundedRect(painter, option->rect, c.base, ring ? c.accent : c.hairline(), 6,
                        ring ? 2 : 1);
        }
        return;
    case PE_FrameTabBarBase:
        painter->fillRect(
            QRect(option->rect.left(), option->rect.bottom(), option->rect.width(), 1),
            c.hairline());
        return;
    case PE_PanelItemViewItem: {
        const auto* item = qstyleoption_cast<const QStyleOptionViewItem*>(option);
        if (!item)
            return;
        if (item->backgroundBrush.style() != Qt::NoBrush)
            painter->fillRect(option->rect, item->backgroundBrush);
        if (option->state & State_Selected)
            painter->fillRect(option->rect, c.tint);
        else if ((option->state & State_MouseOver) && (option->state & State_Enabled))
            painter->fillRect(option->rect, c.hover());
        return;
    }
    case PE_PanelItemViewRow:
        return;
    case PE_PanelMenu:
        roundedRect(painter, option->rect, c.base, c.hairline(), 4);
        return;
    case PE_FrameMenu:
        return;
    case PE_PanelTipLabel:
        roundedRect(painter, option->rect, c.base, c.outline, 2);
        return;
    case PE_PanelButtonTool:
        return;
    default:
        QProxyStyle::drawPrimitive(element, option, painter, widget);
    }
}

void Style::drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                        const QWidget* widget) const
{
    const Colours& c = colours();
    switch (element) {
    case CE_PushButtonBevel:
        if (const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option))
            drawButton(button, painter, widget);
        return;
    case CE_PushButtonLabel:
        if (const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option)) {
            QStyleOptionButton copy(*button);
            if (widget && widget->property("main").toBool() && (option->state & State_Enabled))
                copy.palette.setColor(QPalette::ButtonText, c.onAccent);
            else if (widget && widget->property("quiet").toBool() &&
                     (option->state & State_Enabled))
                copy.palette.setColor(QPalette::ButtonText, c.accent);
            QProxyStyle::drawControl(element, &copy, painter, widget);
        }
        return;
    case CE_TabBarTabShape:
        if (const auto* tab = qstyleoption_cast<const QStyleOptionTab*>(option))
            drawTab(tab, painter);
        return;
    case CE_HeaderSection:
        if (const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option))
            drawHeader(header, painter);
        return;
    case CE_HeaderEmptyArea:
        painter->fillRect(option->rect, c.base);
        painter->fillRect(
            QRect(option->rect.left(), option->rect.bottom(), option->rect.width(), 1),
            c.hairline());
        return;
    case CE_Splitter: {
        const QRect r = option->rect;
        const bool upright = r.height() > r.width();
        const QColor line = option->state & State_MouseOver ? c.accent : c.hairline();
        if (upright)
            painter->fillRect(QRect(r.center().x(), r.top(), 1, r.height()), line);
        else
            painter->fillRect(QRect(r.left(), r.center().y(), r.width(), 1), line);
        return;
    }
    case CE_ProgressBarGroove: {
        const int high = qMin(8, option->rect.height());
        const QRect r(option->rect.x(), option->rect.center().y() - high / 2, option->rect.width(),
                      high);
        roundedRect(painter, r, c.hairline(), c.highContrast ? c.text : QColor(), high / 2.0);
        return;
    }
    case CE_ProgressBarContents:
        if (const auto* bar = qstyleoption_cast<const QStyleOptionProgressBar*>(option)) {
            const int high = qMin(8, bar->rect.height());
            QRect r(bar->rect.x(), bar->rect.center().y() - high / 2, bar->rect.width(), high);
            if (bar->maximum > bar->minimum) {
                const double part =
                    double(bar->progress - bar->minimum) / (bar->maximum - bar->minimum);
                r.setWidth(qRound(r.width() * qBound(0.0, part, 1.0)));
                if (bar->direction == Qt::RightToLeft)
                    r.moveRight(bar->rect.right());
            } else {
                r.adjust(r.width() / 3, 0, -r.width() / 3,
                         0); // no movement: a rest is quieter than a flicker
            }
            if (r.width() > 0)
                roundedRect(painter, r, c.accent, {}, high / 2.0);
        }
        return;
    case CE_ProgressBarLabel:
        return;
    case CE_ScrollBarAddLine:
    case CE_ScrollBarSubLine:
        return;
    case CE_MenuBarEmptyArea:
        painter->fillRect(option->rect, c.window);
        return;
    case CE_MenuBarItem:
        if (const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option)) {
            painter->fillRect(item->rect, c.window);
            if (item->state & (State_Selected | State_Sunken))
                roundedRect(painter, item->rect.adjusted(1, 2, -1, -2), c.tint, {}, 4);
            drawItemText(painter, item->rect,
                         Qt::AlignCenter | Qt::TextShowMnemonic | Qt::TextSingleLine, item->palette,
                         true, item->text, QPalette::WindowText);
        }
        return;
    default:
        QProxyStyle::drawControl(element, option, painter, widget);
    }
}

void Style::drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                               QPainter* painter, const QWidget* widget) const
{
    if (control == CC_ComboBox) {
        if (const auto* combo = qstyleoption_cast<const QStyleOptionComboBox*>(option))
            return drawCombo(combo, painter, widget);
    } else if (control == CC_SpinBox) {
        if (const auto* spin = qstyleoption_cast<const QStyleOptionSpinBox*>(option))
            return drawSpin(spin, painter, widget);
    } else if (control == CC_Slider) {
        if (const auto* slider = qstyleoption_cast<const QStyleOptionSlider*>(option))
            return drawSlider(slider, painter, widget);
    } else if (control == CC_ScrollBar) {
        if (const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option))
            return drawScrollBar(bar, painter, widget);
    } else if (control == CC_ToolButton) {
        if (const auto* button = qstyleoption_cast<const QStyleOptionToolButton*>(option))
            return drawToolButton(button, painter, widget);
    }
    QProxyStyle::drawComplexControl(control, option, painter, widget);
}

} // namespace fettle::ui

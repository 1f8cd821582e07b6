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

int Style::pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const
{
    const Theme& theme = Theme::instance();
    switch (metric) {
    case PM_LayoutHorizontalSpacing:
    case PM_LayoutVerticalSpacing:
        return theme.px(8);
    case PM_ButtonMargin:
        return theme.px(12);
    case PM_IndicatorWidth:
    case PM_IndicatorHeight:
    case PM_ExclusiveIndicatorWidth:
    case PM_ExclusiveIndicatorHeight:
        return theme.px(18);
    case PM_CheckBoxLabelSpacing:
    case PM_RadioButtonLabelSpacing:
        return theme.px(8);
    case PM_ScrollBarExtent:
        return 12;
    case PM_ScrollBarSliderMin:
        return 32;
    case PM_SplitterWidth:
        return 9;
    case PM_SliderThickness:
    case PM_SliderLength:
    case PM_SliderControlThickness:
        return theme.px(18);
    case PM_ButtonShiftHorizontal:
    case PM_ButtonShiftVertical:
        return 0;
    case PM_SmallIconSize:
    case PM_ButtonIconSize:
        return theme.px(16);
    case PM_MenuPanelWidth:
        return 1;
    case PM_TabBarTabHSpace:
        return theme.px(24);
    case PM_TabBarTabVSpace:
        return theme.px(14);
    case PM_TabBarTabShiftHorizontal:
    case PM_TabBarTabShiftVertical:
    case PM_TabBarTabOverlap:
    case PM_TabBarBaseOverlap:
        return 0;
    case PM_ToolTipLabelFrameWidth:
        return 7;
    default:
        return QProxyStyle::pixelMetric(metric, option, widget);
    }
}

int Style::styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                     QStyleHintReturn* data) const
{
    switch (hint) {
    case SH_ComboBox_Popup:
        return 0; // a list under the field, also on a long list
    case SH_UnderlineShortcut:
        return 1;
    case SH_ItemView_ShowDecorationSelected:
        return 1;
    case SH_ScrollBar_LeftClickAbsolutePosition:
        return 1;
    case SH_EtchDisabledText:
        return 0;
    case SH_DitherDisabledText:
        return 0;
    default:
        return QProxyStyle::styleHint(hint, option, widget, data);
    }
}

QSize Style::sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& size,
                              const QWidget* widget) const
{
    const Theme& theme = Theme::instance();
    QSize s = QProxyStyle::sizeFromContents(type, option, size, widget);
    switch (type) {
    case CT_PushButton: {
        const bool main = widget && widget->property("main").toBool();
        s.setWidth(qMax(s.width() + theme.px(main ? 16 : 4), theme.px(72)));
        s.setHeight(qMax(size.height() + theme.px(8), theme.px(main ? 34 : 30)));
        return s;
    }
    case CT_ToolButton:
        return s.expandedTo(QSize(theme.px(28), theme.px(28)));
    case CT_LineEdit:
    case CT_SpinBox:
        s.setHeight(qMax(s.height(), theme.px(30)));
        return s;
    case CT_ComboBox:
        s.setHeight(qMax(s.height(), theme.px(30)));
        s.setWidth(s.width() + theme.px(8));
        return s;
    case CT_ItemViewItem:
        s.setHeight(qMax(s.height(), theme.px(28)));
        return s;
    case CT_HeaderSection:
        s.setHeight(qMax(s.height(), theme.px(30)));
        return s;
    case CT_MenuItem:
        if (const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option);
            item && item->menuItemType != QStyleOptionMenuItem::Separator)
            s.setHeight(qMax(s.height(), theme.px(28)));
        return s;
    case CT_MenuBarItem:
        s.setHeight(qMax(s.height(), theme.px(28)));
        return s;
    default:
        return s;
    }
}

QRect Style::subElementRect(SubElement element, const QStyleOption* option,
                            const QWidget* widget) const
{
    if (element == SE_LineEditContents)
        return option->rect.adjusted(8, 1, -8, -1);
    if (element == SE_ProgressBarGroove || element == SE_ProgressBarContents)
        return option->rect;
    return QProxyStyle::subElementRect(element, option, widget);
}

QRect Style::subControlRect(ComplexControl control, const QStyleOptionComplex* option,
                            SubControl sub, const QWidget* widget) const
{
    const QRect r = option->rect;
    const int arrow = Theme::instance().px(24);
    if (control == CC_ComboBox) {
        if (sub == SC_ComboBoxEditField)
            return visualRect(option->direction, r, r.adjusted(8, 1, -arrow, -1));
        if (sub == SC_ComboBoxArrow)
            return visualRect(option->direction, r,
                              QRect(r.right() - arrow + 1, r.top(), arrow, r.height()));
    }
    if (control == CC_SpinBox) {
        const int half = r.height() / 2;
        if (sub == SC_SpinBoxEditField)
            return visualRect(option->direction, r, r.adjusted(2, 1, -arrow, -1));
        if (sub == SC_SpinBoxUp)
            return visualRect(option->direction, r,
                              QRect(r.right() - arrow + 1, r.top(), arrow, half));
        if (sub == SC_SpinBoxDown)
            return visualRect(
                option->direction, r,
                QRect(r.right() - arrow + 1, r.top() + half, arrow, r.height() - half));
    }
    if (control == CC_ScrollBar) {
        // No arrow buttons: the groove takes the whole length.
        const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option);
        const bool flat = bar && bar->orientation == Qt::Horizontal;
        if (sub == SC_ScrollBarAddLine || sub == SC_ScrollBarSubLine)
            return {};
        if (sub == SC_ScrollBarGroove)
            return r;
        if (bar && (sub == SC_ScrollBarSlider || sub == SC_ScrollBarAddPage ||
                    sub == SC_ScrollBarSubPage)) {
            const int length = flat ? r.width() : r.height();
            const qint64 range = qint64{bar->maximum} - bar->minimum;
            int thumb = length;
            if (range > 0)
                thumb = qBound(
                    32,
                    int(length * qint64{bar->pageStep} / qMax<qint64>(1, range + bar->pageStep)),
                    length);
            const int at = sliderPositionFromValue(bar->minimum, bar->maximum, bar->sliderPosition,
                                                   length - thumb, bar->upsideDown);
            int from = at, size = thumb;
            if (sub == SC_ScrollBarSubPage)
                from = 0, size = at;
            else if (sub == SC_ScrollBarAddPage)
                from = at + thumb, size = length - at - thumb;
            return flat ? QRect(r.x() + from, r.y(), size, r.height())
                        : QRect(r.x(), r.y() + from, r.width(), size);
        }
    }
    return QProxyStyle::subControlRect(control, option, sub, widget);
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
        if (widget && widget->inherits("QAbstractScrollArea") && option->rect.width() > 4)
            roundedRect(painter, option->rect, {},
                        option->state & State_HasFocus ? c.accent
                                                       : (c.highContrast ? c.text : c.hairline()),
                        6, option->state & State_HasFocus ? 2 : 1);
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

// Sizes and places: how large controls are and where their parts lie.
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QStyleOption>
#include <QWidget>

namespace fettle::ui {

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
    case PM_DefaultFrameWidth:
        return widget && widget->inherits("QAbstractScrollArea")
                   ? 2
                   : QProxyStyle::pixelMetric(metric, option, widget);
    case PM_FocusFrameHMargin:
    case PM_HeaderMargin:
        return theme.px(6);
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
    case CT_SpinBox:
        s.setWidth(s.width() + theme.px(20));
        s.setHeight(qMax(s.height(), theme.px(30)));
        return s;
    case CT_LineEdit:
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

} // namespace fettle::ui

// The drawing of single controls; style.cpp says which control is drawn by what.
#include "ui/theme/icons.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QPainter>
#include <QPainterPath>
#include <QStyleOption>
#include <QWidget>

namespace fettle::ui {

namespace {

QColor shaded(const QColor& colour, double part)
{
    const QColor to = colours().dark ? Qt::white : Qt::black;
    return QColor::fromRgbF(
        static_cast<float>(colour.redF() + (to.redF() - colour.redF()) * part),
        static_cast<float>(colour.greenF() + (to.greenF() - colour.greenF()) * part),
        static_cast<float>(colour.blueF() + (to.blueF() - colour.blueF()) * part));
}

void chevron(QPainter* painter, const QPointF& centre, double half, bool up, const QColor& colour)
{
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    painter->setPen(QPen(colour, 1.4, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    const double dy = up ? -half / 2 : half / 2;
    painter->drawPolyline(QPolygonF{{centre.x() - half, centre.y() - dy},
                                    {centre.x(), centre.y() + dy},
                                    {centre.x() + half, centre.y() - dy}});
    painter->restore();
}

} // namespace

void Style::drawButton(const QStyleOptionButton* option, QPainter* painter,
                       const QWidget* widget) const
{
    const Colours& c = colours();
    const bool enabled = option->state & State_Enabled;
    const bool hovered = enabled && (option->state & State_MouseOver);
    const bool pressed = option->state & (State_Sunken | State_On);
    const bool main = widget && widget->property("main").toBool();
    const bool quiet = widget && widget->property("quiet").toBool();
    QColor fill = c.base, edge = c.outline;
    if (main && enabled) {
        fill = pressed ? shaded(c.accent, 0.2) : hovered ? shaded(c.accent, 0.1) : c.accent;
        edge = fill;
    } else if (quiet) {
        fill = pressed ? c.tint : hovered ? c.hover() : QColor();
        edge = QColor();
    } else if (!enabled) {
        fill = QColor();
        edge = c.hairline();
    } else {
        fill = pressed ? c.tint : hovered ? c.hover() : c.base;
    }
    roundedRect(painter, option->rect, fill, edge, 6, c.highContrast ? 2 : 1);
    if ((option->state & State_HasFocus) && (option->state & State_KeyboardFocusChange)) {
        focusRing(painter, option->rect);
        if (main)
            roundedRect(painter, option->rect.adjusted(3, 3, -3, -3), {}, c.onAccent, 4, 1);
    }
}

void Style::drawField(const QStyleOption* option, QPainter* painter, bool focus) const
{
    const Colours& c = colours();
    const bool enabled = option->state & State_Enabled;
    const QColor edge = focus ? c.accent : enabled ? c.outline : c.hairline();
    roundedRect(painter, option->rect, enabled ? c.base : c.window, edge, 6,
                focus || c.highContrast ? 2 : 1);
}

void Style::drawCheck(const QStyleOption* option, QPainter* painter, bool round) const
{
    const Colours& c = colours();
    const int side = qMin(option->rect.width(), option->rect.height());
    QRect r(0, 0, side, side);
    r.moveCenter(option->rect.center());
    r.adjust(1, 1, -1, -1);
    const bool on = option->state & State_On;
    const bool part = option->state & State_NoChange;
    const bool enabled = option->state & State_Enabled;
    const QColor fill = on || part ? (enabled ? c.accent : c.outline) : c.base;
    roundedRect(painter, r, fill, on || part ? fill : c.outline, round ? side / 2.0 : 4, 1);
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    if (on && round) {
        painter->setPen(Qt::NoPen);
        painter->setBrush(c.onAccent);
        painter->drawEllipse(QRectF(r).adjusted(side * .28, side * .28, -side * .28, -side * .28));
    } else if (on) {
        painter->setPen(QPen(c.onAccent, 1.8, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        painter->drawPolyline(QPolygonF{{r.x() + r.width() * .25, r.y() + r.height() * .54},
                                        {r.x() + r.width() * .44, r.y() + r.height() * .72},
                                        {r.x() + r.width() * .78, r.y() + r.height() * .32}});
    } else if (part) {
        painter->setPen(QPen(c.onAccent, 2));
        painter->drawLine(QPointF(r.left() + 4, r.center().y() + 0.5),
                          QPointF(r.right() - 3, r.center().y() + 0.5));
    }
    painter->restore();
    if ((option->state & State_HasFocus) && (option->state & State_KeyboardFocusChange))
        focusRing(painter, option->rect, round ? side / 2.0 : 5);
}

void Style::drawTab(const QStyleOptionTab* option, QPainter* painter) const
{
    const Colours& c = colours();
    const bool chosen = option->state & State_Selected;
    const QRect r = option->rect;
    if (!chosen && (option->state & State_MouseOver))
        roundedRect(painter, r.adjusted(2, 4, -2, -4), c.hover(), {}, 6);
    if (chosen)
        roundedRect(painter, QRect(r.left() + 8, r.bottom() - 2, r.width() - 16, 3), c.accent, {},
                    1.5);
    if ((option->state & State_HasFocus) && (option->state & State_KeyboardFocusChange))
        focusRing(painter, r.adjusted(2, 3, -2, -4), 6);
}

void Style::drawCombo(const QStyleOptionComboBox* option, QPainter* painter,
                      const QWidget* widget) const
{
    const Colours& c = colours();
    const bool focus = option->state & State_HasFocus;
    QStyleOption field(*option);
    if (widget && widget->property("quiet").toBool()) {
        if (option->state & State_MouseOver)
            roundedRect(painter, option->rect, c.hover(), {}, 6);
        if (focus)
            focusRing(painter, option->rect);
    } else {
        drawField(&field, painter, focus);
        if (!focus && (option->state & State_MouseOver) && (option->state & State_Enabled))
            roundedRect(painter, option->rect, c.hover(), c.outline, 6);
    }
    const QRect arrow = subControlRect(CC_ComboBox, option, SC_ComboBoxArrow, widget);
    chevron(painter, QRectF(arrow).center(), 4, false,
            option->state & State_Enabled ? c.secondText : c.outline);
}

void Style::drawSpin(const QStyleOptionSpinBox* option, QPainter* painter,
                     const QWidget* widget) const
{
    const Colours& c = colours();
    drawField(option, painter, option->state & State_HasFocus);
    if (option->buttonSymbols == QAbstractSpinBox::NoButtons)
        return;
    const QRect up = subControlRect(CC_SpinBox, option, SC_SpinBoxUp, widget);
    const QRect down = subControlRect(CC_SpinBox, option, SC_SpinBoxDown, widget);
    for (const auto& [rect, isUp] : {std::pair{up, true}, std::pair{down, false}}) {
        const bool can = option->stepEnabled & (isUp ? QAbstractSpinBox::StepUpEnabled
                                                     : QAbstractSpinBox::StepDownEnabled);
        const bool hovered = (option->state & State_MouseOver) &&
                             option->activeSubControls == (isUp ? SC_SpinBoxUp : SC_SpinBoxDown);
        const QColor ink = !can || !(option->state & State_Enabled) ? c.hairline()
                           : hovered                                ? c.accent
                                                                    : c.secondText;
        chevron(painter, QRectF(rect).center() + QPointF(0, isUp ? 1.5 : -1.5), 3.5, isUp, ink);
    }
}

void Style::drawSlider(const QStyleOptionSlider* option, QPainter* painter,
                       const QWidget* widget) const
{
    const Colours& c = colours();
    const QRect handle = subControlRect(CC_Slider, option, SC_SliderHandle, widget);
    const bool flat = option->orientation == Qt::Horizontal;
    const QRect r = option->rect;
    const bool enabled = option->state & State_Enabled;
    if (flat) {
        const QRect groove(r.left() + 2, r.center().y() - 1, r.width() - 4, 4);
        roundedRect(painter, groove, c.hairline(), {}, 2);
        QRect filled = groove;
        if (option->upsideDown)
            filled.setLeft(handle.center().x());
        else
            filled.setRight(handle.center().x());
        roundedRect(painter, filled, enabled ? c.accent : c.outline, {}, 2);
    } else {
        roundedRect(painter, QRect(r.center().x() - 1, r.top() + 2, 4, r.height() - 4),
                    c.hairline(), {}, 2);
    }
    QRect knob(0, 0, 16, 16);
    knob.moveCenter(handle.center());
    roundedRect(painter, knob, c.base, enabled ? c.accent : c.outline, 8, 2);
    if (option->state & State_HasFocus)
        focusRing(painter, knob.adjusted(-3, -3, 3, 3), 11);
}

void Style::drawScrollBar(const QStyleOptionSlider* option, QPainter* painter,
                          const QWidget* widget) const
{
    const Colours& c = colours();
    const QRect slider = subControlRect(CC_ScrollBar, option, SC_ScrollBarSlider, widget);
    if (option->maximum <= option->minimum)
        return;
    const bool active = option->state & (State_MouseOver | State_Sunken);
    QColor ink = c.outline;
    ink.setAlphaF(active || c.highContrast ? 0.95f : 0.5f);
    const int inset = active ? 2 : 3;
    roundedRect(painter, slider.adjusted(inset, inset, -inset, -inset), ink, {}, 4);
}

void Style::drawToolButton(const QStyleOptionToolButton* option, QPainter* painter,
                           const QWidget* widget) const
{
    const Colours& c = colours();
    const bool enabled = option->state & State_Enabled;
    const bool on = option->state & State_On;
    if (on || (option->state & State_Sunken))
        roundedRect(painter, option->rect, c.tint, c.highContrast ? c.text : QColor(), 6);
    else if (enabled && (option->state & State_MouseOver))
        roundedRect(painter, option->rect, c.hover(), {}, 6);
    if ((option->state & State_HasFocus) && (option->state & State_KeyboardFocusChange))
        focusRing(painter, option->rect);
    QStyleOptionToolButton label(*option);
    label.state &= ~State_Sunken;
    label.rect = option->rect.adjusted(4, 2, -4, -2);
    if (option->features & QStyleOptionToolButton::HasMenu)
        label.rect.setRight(label.rect.right() - 12);
    QProxyStyle::drawControl(CE_ToolButtonLabel, &label, painter, widget);
    if (option->features & QStyleOptionToolButton::HasMenu)
        chevron(painter, QPointF(option->rect.right() - 10, option->rect.center().y() + 1), 3.5,
                false, c.secondText);
}

void Style::drawHeader(const QStyleOptionHeader* option, QPainter* painter) const
{
    const Colours& c = colours();
    painter->fillRect(option->rect, c.base);
    painter->fillRect(QRect(option->rect.left(), option->rect.bottom(), option->rect.width(), 1),
                      c.hairline());
}

} // namespace fettle::ui

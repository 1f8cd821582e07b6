#include "ui/plots/legend_entry.h"

#include "ui/theme/run_colours.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QPainter>
#include <QPainterPath>

namespace fettle::ui {

namespace {

constexpr int kSample = 26;
constexpr int kMaxName = 220;

} // namespace

void paintRunSample(QPainter* painter, const QRect& rect, int colour)
{
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    const QPen pen = runPen(colour, colours().dark);
    painter->setPen(pen);
    const QPointF centre = QRectF(rect).center();
    painter->drawLine(QPointF(rect.left(), centre.y()), QPointF(rect.right(), centre.y()));
    painter->setPen(QPen(pen.color(), 1.5));
    painter->setBrush(pen.color());
    const double r = 3.5;
    const QRectF box(centre.x() - r, centre.y() - r, 2 * r, 2 * r);
    switch (runLook(colour).marker) {
    case Marker::Disc:
        painter->drawEllipse(box);
        break;
    case Marker::Square:
        painter->drawRect(box);
        break;
    case Marker::TriangleUp:
        painter->drawPolygon(
            QPolygonF{box.bottomLeft(), box.bottomRight(), {centre.x(), box.top()}});
        break;
    case Marker::TriangleDown:
        painter->drawPolygon(QPolygonF{box.topLeft(), box.topRight(), {centre.x(), box.bottom()}});
        break;
    case Marker::Diamond:
        painter->drawPolygon(QPolygonF{{centre.x(), box.top() - 1},
                                       {box.right() + 1, centre.y()},
                                       {centre.x(), box.bottom() + 1},
                                       {box.left() - 1, centre.y()}});
        break;
    case Marker::Star:
    case Marker::Plus:
        painter->drawLine(QPointF(centre.x(), box.top()), QPointF(centre.x(), box.bottom()));
        painter->drawLine(QPointF(box.left(), centre.y()), QPointF(box.right(), centre.y()));
        if (runLook(colour).marker == Marker::Plus)
            break;
        [[fallthrough]];
    case Marker::Cross:
        painter->drawLine(box.topLeft(), box.bottomRight());
        painter->drawLine(box.topRight(), box.bottomLeft());
        break;
    }
    painter->restore();
}

LegendEntry::LegendEntry(const QString& name, int colour, QWidget* parent)
    : QAbstractButton(parent)
    , m_colour(colour)
{
    setText(name);
    setAccessibleName(name);
    setCheckable(true);
    setChecked(true);
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_Hover);
    setToolTip(name + '\n' + tr("Click shows or hides this run"));
    setFont(Theme::instance().font(TextRole::Small));
}

QSize LegendEntry::sizeHint() const
{
    return {kSample + 20 + qMin(kMaxName, fontMetrics().horizontalAdvance(text())),
            Theme::instance().px(26)};
}

void LegendEntry::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    if (underMouse())
        roundedRect(&painter, rect(), colours().hover(), {}, 6);
    if (!isChecked())
        painter.setOpacity(0.4);
    paintRunSample(&painter, QRect(6, 0, kSample, height()), m_colour);
    painter.setPen(colours().text);
    QFont font = this->font();
    font.setStrikeOut(!isChecked());
    painter.setFont(font);
    const QRect words(kSample + 12, 0, width() - kSample - 16, height());
    painter.drawText(words, Qt::AlignVCenter | Qt::TextSingleLine,
                     fontMetrics().elidedText(text(), Qt::ElideMiddle, words.width()));
    painter.setOpacity(1);
    if (hasKeyboardFocus(this))
        focusRing(&painter, rect());
}

} // namespace fettle::ui

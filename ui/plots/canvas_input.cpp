// What the hand does on a plot: hover, zoom, pan, keys, the reading line.
#include "ui/plots/canvas.h"
#include "ui/text/words.h"
#include "ui/theme/run_colours.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QAccessible>
#include <algorithm>
#include <cmath>

namespace fettle::ui {

void PlotCanvas::setXRange(double from, double to, bool byPerson)
{
    if (qFuzzyCompare(xAxis->range().lower + 1, from + 1) &&
        qFuzzyCompare(xAxis->range().upper + 1, to + 1))
        return;
    {
        const QSignalBlocker quiet(xAxis);
        xAxis->setRange(from, to);
    }
    // A follower still fits its y axis; a leader moved by the person stays where it was put.
    m_zoomed = m_zoomed || (byPerson && !m_follower);
    refresh();
}

QString PlotCanvas::readingAt(double x) const
{
    struct Value
    {
        double distance, value, smooth, check, checkLow, checkHigh;
        std::int64_t step;
        const Curve* curve;
    };
    std::vector<Value> values;
    const double reach = xAxis->range().size() / 20;
    for (const Curve& curve : *m_curves) {
        const auto found = m_graphs.find(curve.id);
        if (!curve.visible || found == m_graphs.end() || found->second.x.empty())
            continue;
        const Graphs& g = found->second;
        auto at = static_cast<std::size_t>(std::ranges::lower_bound(g.x, x) - g.x.begin());
        if (at == g.x.size() || (at > 0 && x - g.x[at - 1] < g.x[at] - x))
            --at;
        Value v{std::abs(g.x[at] - x),
                curve.raw[at].value,
                g.smoothed[at],
                qQNaN(),
                0,
                0,
                curve.raw[at].step,
                &curve};
        double nearest = reach;
        for (const CheckValue& check : curve.checks) {
            const double d = std::abs(xOf(check.at, m_options.x, startOf(curve)) - x);
            if (d < nearest)
                nearest = d, v.check = check.at.value, v.checkLow = check.low,
                v.checkHigh = check.high;
        }
        values.push_back(v);
    }
    std::ranges::sort(values, {}, &Value::distance);
    QStringList lines;
    for (const Value& v : values) {
        if (lines.size() >= 8)
            break;
        QString line = QStringLiteral("<b><span style='color:%1'>%2</span></b> · %3: %4")
                           .arg(runColour(v.curve->colour, colours().dark).name(),
                                v.curve->name.toHtmlEscaped(), tr("step %1").arg(count(v.step)),
                                number(v.value));
        if (m_options.halfLife > 0 && std::isfinite(v.smooth))
            line += tr(", smoothed %1").arg(number(v.smooth));
        if (std::isfinite(v.check))
            line += v.checkHigh > v.checkLow
                        ? tr(", checking rows %1 (range %2 to %3)")
                              .arg(number(v.check), number(v.checkLow), number(v.checkHigh))
                        : tr(", checking rows %1").arg(number(v.check));
        lines << line;
    }
    return lines.join(QStringLiteral("<br>"));
}

void PlotCanvas::drawReadingLine()
{
    if (!m_line) {
        m_line = new QCPItemStraightLine(this);
        m_line->setPen(QPen(colours().outline, 1));
    }
    m_line->point1->setCoords(m_readingX, yAxis->range().lower);
    m_line->point2->setCoords(m_readingX, yAxis->range().lower + yAxis->range().size());
}

void PlotCanvas::showReading(double x, const QPoint& at)
{
    const QString text = m_curves ? readingAt(x) : QString();
    if (text.isEmpty()) {
        m_hover->hide();
        return;
    }
    m_readingX = x;
    drawReadingLine();
    m_hover->setText(text);
    m_hover->adjustSize();
    QPoint corner = at + QPoint(16, -m_hover->height() - 8);
    if (corner.x() + m_hover->width() > width() - 8)
        corner.setX(at.x() - m_hover->width() - 16);
    corner.setY(qBound(4, corner.y(), qMax(4, height() - m_hover->height() - 4)));
    corner.setX(qMax(4, corner.x()));
    m_hover->move(corner);
    m_hover->setAutoFillBackground(true);
    m_hover->setFrameStyle(QFrame::Box);
    m_hover->show();
    replot(QCustomPlot::rpQueuedReplot);
    QTextDocument plain;
    plain.setHtml(text);
    m_reading = plain.toPlainText();
}

void PlotCanvas::mouseMoveEvent(QMouseEvent* event)
{
    if (event->buttons() & Qt::LeftButton)
        m_zoomed = true;
    QCustomPlot::mouseMoveEvent(event);
    const QPoint at = event->position().toPoint();
    if (event->buttons() == Qt::NoButton && axisRect()->rect().contains(at))
        showReading(xAxis->pixelToCoord(at.x()), at);
    else
        m_hover->hide();
}

void PlotCanvas::leaveEvent(QEvent* event)
{
    m_hover->hide();
    if (m_line) {
        removeItem(m_line);
        m_line = nullptr;
        replot(QCustomPlot::rpQueuedReplot);
    }
    QCustomPlot::leaveEvent(event);
}

void PlotCanvas::wheelEvent(QWheelEvent* event)
{
    const QPointF at = event->position();
    const double factor = std::pow(0.85, event->angleDelta().y() / 120.0);
    m_zoomed = true;
    if (!(event->modifiers() & Qt::ShiftModifier))
        xAxis->scaleRange(factor, xAxis->pixelToCoord(at.x()));
    yAxis->scaleRange(factor, yAxis->pixelToCoord(at.y()));
    refresh();
    event->accept();
}

void PlotCanvas::mouseDoubleClickEvent(QMouseEvent*) { fit(); }

void PlotCanvas::moveReadingLine(int by)
{
    if (!m_curves || m_graphs.empty())
        return;
    const double next =
        qBound(xAxis->range().lower, m_readingX + by * xAxis->range().size() / 100.0,
               xAxis->range().upper);
    showReading(m_readingX == 0 ? xAxis->range().center() : next,
                QPoint(qRound(xAxis->coordToPixel(next)), axisRect()->center().y()));
    setAccessibleDescription(m_reading);
    QAccessibleEvent spoken(this, QAccessible::DescriptionChanged);
    QAccessible::updateAccessibility(&spoken);
    Q_EMIT readingChanged(m_reading);
}

void PlotCanvas::keyPressEvent(QKeyEvent* event)
{
    const bool control = event->modifiers() & Qt::ControlModifier;
    const auto pan = [this](QCPAxis* axis, double part) {
        m_zoomed = true;
        axis->moveRange(axis->range().size() * part);
        refresh();
    };
    const auto zoom = [this](double factor) {
        m_zoomed = true;
        xAxis->scaleRange(factor);
        yAxis->scaleRange(factor);
        refresh();
    };
    switch (event->key()) {
    case Qt::Key_Left:
        control ? moveReadingLine(-1) : pan(xAxis, -0.1);
        return;
    case Qt::Key_Right:
        control ? moveReadingLine(1) : pan(xAxis, 0.1);
        return;
    case Qt::Key_Up:
        pan(yAxis, 0.1);
        return;
    case Qt::Key_Down:
        pan(yAxis, -0.1);
        return;
    case Qt::Key_Plus:
        zoom(0.8);
        return;
    case Qt::Key_Minus:
        zoom(1.25);
        return;
    case Qt::Key_0:
        fit();
        return;
    default:
        QCustomPlot::keyPressEvent(event);
    }
}

void PlotCanvas::focusInEvent(QFocusEvent* event)
{
    QCustomPlot::focusInEvent(event);
    update();
}

void PlotCanvas::focusOutEvent(QFocusEvent* event)
{
    QCustomPlot::focusOutEvent(event);
    update();
}

void PlotCanvas::paintEvent(QPaintEvent* event)
{
    QCustomPlot::paintEvent(event);
    if (hasKeyboardFocus(this)) {
        QPainter painter(this);
        focusRing(&painter, rect(), 6);
    }
}

void PlotCanvas::prepareSaving(bool on, const QString& title)
{
    m_saving = on;
    legend->setVisible(on);
    m_hover->hide();
    if (m_line) {
        removeItem(m_line);
        m_line = nullptr;
    }
    if (on && !m_title) {
        plotLayout()->insertRow(0);
        m_title = new QCPTextElement(this, title, Theme::instance().font(TextRole::Small));
        m_title->setTextColor(colours().secondText);
        plotLayout()->addElement(0, 0, m_title);
    } else if (!on && m_title) {
        plotLayout()->remove(m_title);
        plotLayout()->simplify();
        m_title = nullptr;
    }
}

} // namespace fettle::ui

#include "ui/plots/canvas.h"

#include "ui/text/words.h"
#include "ui/theme/run_colours.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <algorithm>
#include <cmath>

namespace fettle::ui {

namespace {

QCPScatterStyle scatter(int number, const QColor& colour, bool filled, double size)
{
    static constexpr QCPScatterStyle::ScatterShape kShapes[] = {QCPScatterStyle::ssCircle,
                                                                QCPScatterStyle::ssSquare,
                                                                QCPScatterStyle::ssTriangle,
                                                                QCPScatterStyle::ssDiamond,
                                                                QCPScatterStyle::ssTriangleInverted,
                                                                QCPScatterStyle::ssPlus,
                                                                QCPScatterStyle::ssCross,
                                                                QCPScatterStyle::ssStar};
    QCPScatterStyle style(kShapes[static_cast<int>(runLook(number).marker)], size);
    style.setPen(QPen(colour, 1.6));
    style.setBrush(filled ? QBrush(colour) : QBrush(Qt::NoBrush));
    return style;
}

QVector<double> vector(const std::vector<double>& values) { return {values.begin(), values.end()}; }

constexpr int kManyPoints = 20'000;

} // namespace

PlotCanvas::PlotCanvas(QWidget* parent)
    : QCustomPlot(parent)
    , m_hover(new QLabel(this))
{
    setFocusPolicy(Qt::StrongFocus);
    setMinimumHeight(120);
    setInteractions(QCP::iRangeDrag);
    setNoAntialiasingOnDrag(true);
    setPlottingHint(QCP::phCacheLabels);
    setLayoutDirection(Qt::LeftToRight);
    axisRect()->setRangeDrag(Qt::Horizontal | Qt::Vertical);
    m_hover->setAttribute(Qt::WA_TransparentForMouseEvents);
    m_hover->setTextFormat(Qt::RichText);
    m_hover->setMargin(8);
    m_hover->hide();
    connect(xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this,
            [this](const QCPRange& range) {
                if (!m_saving)
                    Q_EMIT xRangeChanged(range.lower, range.upper, m_zoomed);
            });
    connect(this, &QCustomPlot::mouseRelease, this, [this] { refresh(); });
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        applyTheme();
        build();
        refresh();
    });
    applyTheme();
}

void PlotCanvas::applyTheme()
{
    const Colours& c = colours();
    const QFont small = Theme::instance().font(TextRole::Small);
    setBackground(c.base);
    legend->setFont(small);
    legend->setTextColor(c.text);
    legend->setBrush(c.base);
    legend->setBorderPen(Qt::NoPen);
    legend->setVisible(false);
    QColor grid = c.outline;
    grid.setAlphaF(0.25f);
    for (QCPAxis* axis : {xAxis, yAxis}) {
        axis->setTickLabelFont(small);
        axis->setLabelFont(small);
        axis->setTickLabelColor(c.secondText);
        axis->setLabelColor(c.secondText);
        axis->setBasePen(axis == xAxis ? QPen(c.hairline()) : QPen(Qt::NoPen));
        axis->setTickPen(Qt::NoPen);
        axis->setSubTickPen(Qt::NoPen);
        axis->grid()->setPen(QPen(grid, 1));
        axis->grid()->setZeroLinePen(Qt::NoPen);
        axis->setLabelPadding(4);
    }
    xAxis->grid()->setVisible(c.highContrast);
    m_hover->setPalette(Theme::paletteOf(c));
    m_hover->setFont(small);
}

void PlotCanvas::setCurves(const std::vector<Curve>* curves)
{
    m_curves = curves;
    build();
}

void PlotCanvas::build()
{
    clearPlottables();
    clearItems();
    m_graphs.clear();
    m_line = nullptr;
    if (!m_curves)
        return;
    for (const Curve& curve : *m_curves) {
        Graphs g;
        g.low = addGraph();
        g.high = addGraph();
        g.smooth = addGraph();
        g.checks = addGraph();
        g.best = addGraph();
        g.gaps = addGraph();
        g.whiskers = new QCPErrorBars(xAxis, yAxis);
        g.whiskers->setDataPlottable(g.checks);
        style(g, curve);
        m_graphs.emplace(curve.id, std::move(g));
    }
}

void PlotCanvas::style(Graphs& g, const Curve& curve)
{
    const Colours& c = colours();
    const QColor ink = runColour(curve.colour, c.dark);
    QColor fill = ink, edge = ink;
    fill.setAlphaF(0.22f);
    edge.setAlphaF(0.42f);
    g.low->setPen(QPen(edge, 1));
    g.high->setPen(QPen(edge, 1));
    g.high->setBrush(fill);
    g.high->setChannelFillGraph(g.low);
    g.smooth->setPen(runPen(curve.colour, c.dark));
    g.checks->setPen(QPen(ink, 1));
    g.best->setPen(Qt::NoPen);
    g.best->setLineStyle(QCPGraph::lsNone);
    QCPScatterStyle ring(QCPScatterStyle::ssCircle, 16);
    ring.setPen(QPen(ink, 2));
    g.best->setScatterStyle(ring);
    g.gaps->setPen(Qt::NoPen);
    g.gaps->setLineStyle(QCPGraph::lsNone);
    QCPScatterStyle tick(QCPScatterStyle::ssCross, 9);
    tick.setPen(QPen(c.error, 2));
    g.gaps->setScatterStyle(tick);
    g.whiskers->setPen(QPen(ink, 1));
    g.whiskers->setWhiskerWidth(6);
    g.whiskers->setSymbolGap(8);
    for (QCPAbstractPlottable* p :
         std::initializer_list<QCPAbstractPlottable*>{g.low, g.high, g.best, g.gaps, g.whiskers})
        p->removeFromLegend();
    g.smooth->setName(curve.name + QStringLiteral(" · ") +
                      (m_options.halfLife > 0 ? tr("smoothed, half-life %n step(s)", nullptr,
                                                   static_cast<int>(m_options.halfLife))
                                              : tr("every step")));
    g.checks->setName(curve.name + QStringLiteral(" · ") + tr("checking rows"));
}

void PlotCanvas::setOptions(const PlotOptions& options)
{
    const bool otherAxis = options.x != m_options.x || options.logarithmic != m_options.logarithmic;
    m_options = options;
    applyAxes();
    if (otherAxis)
        m_zoomed = false;
    build();
    refresh();
}

void PlotCanvas::applyAxes()
{
    static const char* const kLabels[] = {QT_TR_NOOP("step"), QT_TR_NOOP("word pieces read"),
                                          QT_TR_NOOP("time since the start (min:s)"),
                                          QT_TR_NOOP("time without pauses (min:s)")};
    xAxis->setLabel(tr(kLabels[static_cast<int>(m_options.x)]));
    if (m_options.x == XAxis::Time || m_options.x == XAxis::TrainingTime) {
        QSharedPointer<QCPAxisTickerTime> ticker(new QCPAxisTickerTime);
        ticker->setTimeFormat(QStringLiteral("%m:%s"));
        ticker->setFieldWidth(QCPAxisTickerTime::tuMinutes, 1);
        ticker->setTickCount(6);
        xAxis->setTicker(ticker);
    } else {
        QSharedPointer<QCPAxisTicker> ticker(new QCPAxisTicker);
        ticker->setTickCount(6);
        xAxis->setTicker(ticker);
        xAxis->setNumberFormat("f");
        xAxis->setNumberPrecision(0);
    }
    yAxis->setScaleType(m_options.logarithmic ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (m_options.logarithmic) {
        yAxis->setTicker(QSharedPointer<QCPAxisTicker>(new QCPAxisTickerLog));
    } else {
        QSharedPointer<QCPAxisTicker> ticker(new QCPAxisTicker);
        ticker->setTickCount(5);
        yAxis->setTicker(ticker);
    }
    yAxis->setNumberFormat("gb");
    yAxis->setNumberPrecision(4);
    yAxis->setLabel(m_options.unit.isEmpty()
                        ? m_options.quantity
                        : QStringLiteral("%1 (%2)").arg(m_options.quantity, m_options.unit));
}

void PlotCanvas::computeValues()
{
    for (const Curve& curve : *m_curves) {
        const auto found = m_graphs.find(curve.id);
        if (found == m_graphs.end())
            continue;
        Graphs& g = found->second;
        const std::int64_t start = startOf(curve);
        g.x.clear(), g.value.clear();
        g.x.reserve(curve.raw.size()), g.value.reserve(curve.raw.size());
        for (const PlotPoint& p : curve.raw) {
            g.x.push_back(xOf(p, m_options.x, start));
            const bool drawable = std::isfinite(p.value) && (!m_options.logarithmic || p.value > 0);
            g.value.push_back(drawable ? p.value : qQNaN());
        }
        g.smoothed = smoothed(curve.raw, m_options.halfLife);
    }
}

void PlotCanvas::fit()
{
    m_zoomed = false;
    refresh();
    Q_EMIT fitted();
}

void PlotCanvas::refresh()
{
    if (!m_curves)
        return;
    computeValues();
    if (!m_zoomed) {
        double x0 = qInf(), x1 = -qInf(), y0 = qInf(), y1 = -qInf();
        for (const Curve& curve : *m_curves) {
            if (!curve.visible)
                continue;
            const Graphs& g = m_graphs.at(curve.id);
            const std::int64_t start = startOf(curve);
            for (std::size_t i = 0; i < g.x.size(); ++i) {
                x0 = qMin(x0, g.x[i]), x1 = qMax(x1, g.x[i]);
                if (std::isfinite(g.value[i]))
                    y0 = qMin(y0, g.value[i]), y1 = qMax(y1, g.value[i]);
            }
            for (const CheckValue& check : curve.checks) {
                const double x = xOf(check.at, m_options.x, start);
                x0 = qMin(x0, x), x1 = qMax(x1, x);
                if (std::isfinite(check.at.value))
                    y0 = qMin(y0, qMin(check.low, check.at.value)),
                    y1 = qMax(y1, qMax(check.high, check.at.value));
            }
        }
        if (x0 > x1)
            x0 = 0, x1 = 10;
        if (y0 > y1)
            y0 = m_options.logarithmic ? 0.1 : 0, y1 = 1;
        const double xPad = qMax((x1 - x0) * 0.02, 0.5);
        if (!m_follower)
            xAxis->setRange(x0 - xPad, x1 + xPad);
        if (m_options.logarithmic)
            yAxis->setRange(qMax(1e-12, y0) / 1.1, y1 * 1.1);
        else
            yAxis->setRange(y0 - qMax((y1 - y0) * 0.07, std::abs(y1) * 0.002 + 1e-12),
                            y1 + qMax((y1 - y0) * 0.07, std::abs(y1) * 0.002 + 1e-12));
    }
    drawCurves();
    drawMarks();
    replot(QCustomPlot::rpQueuedReplot);
}

void PlotCanvas::drawCurves()
{
    const QCPRange range = xAxis->range();
    const int columns = qMax(50, axisRect()->width());
    std::size_t visiblePoints = 0;
    for (const Curve& curve : *m_curves) {
        Graphs& g = m_graphs.at(curve.id);
        const bool smooth = m_options.halfLife > 0;
        const Envelope raw = envelope(g.x, g.value, range.lower, range.upper, columns);
        visiblePoints += raw.x.size();
        g.low->setData(vector(raw.x), vector(raw.low), true);
        g.high->setData(vector(raw.x), vector(raw.high), true);
        const Envelope line = envelope(g.x, g.smoothed, range.lower, range.upper, columns);
        std::vector<double> middle(line.x.size());
        for (std::size_t i = 0; i < middle.size(); ++i)
            middle[i] = (line.low[i] + line.high[i]) / 2;
        g.smooth->setData(vector(line.x), vector(middle), true);
        g.smooth->setVisible(curve.visible && smooth);
        QVector<double> x, y, minus, plus, bestX, bestY, gapX, gapY;
        const std::int64_t start = startOf(curve);
        for (const CheckValue& check : curve.checks) {
            const double at = xOf(check.at, m_options.x, start);
            x << at, y << check.at.value;
            minus << qMax(0.0, check.at.value - check.low),
                plus << qMax(0.0, check.high - check.at.value);
            if (check.best)
                bestX = {at}, bestY = {check.at.value};
        }
        for (std::size_t i = 0; i < g.value.size(); ++i) {
            if (!std::isfinite(g.value[i]))
                gapX << g.x[i], gapY << range.lower;
        }
        for (double& v : gapY)
            v = yAxis->pixelToCoord(axisRect()->bottom() - 4);
        g.checks->setData(x, y, true);
        g.best->setData(bestX, bestY, true);
        g.gaps->setData(gapX, gapY, true);
        g.whiskers->setData(minus, plus);
        const bool ranged =
            std::ranges::any_of(curve.checks, [](const CheckValue& c) { return c.high > c.low; });
        g.checks->setScatterStyle(
            scatter(curve.colour, runColour(curve.colour, colours().dark), false, 8));
        g.whiskers->setVisible(curve.visible && ranged);
        for (QCPGraph* graph : {g.low, g.high, g.checks, g.best, g.gaps})
            graph->setVisible(curve.visible);
    }
    setAntialiasedElements(visiblePoints > kManyPoints ? QCP::aeNone : QCP::aeAll);
}

void PlotCanvas::drawMarks()
{
    clearItems();
    m_line = nullptr;
    for (const Curve& curve : *m_curves) {
        if (!curve.visible)
            continue;
        const std::int64_t start = startOf(curve);
        for (const PlotMark& mark : curve.marks) {
            auto at = std::ranges::lower_bound(curve.raw, mark.step, {}, &PlotPoint::step);
            if (at == curve.raw.end())
                continue;
            auto* line = new QCPItemStraightLine(this);
            const double x = xOf(*at, m_options.x, start);
            line->point1->setCoords(x, 0);
            line->point2->setCoords(x, 1);
            line->setPen(QPen(colours().outline, 1, Qt::DotLine));
        }
    }
    if (m_hover->isVisible())
        drawReadingLine();
}

} // namespace fettle::ui

#include "report/curve_drawing.h"

#include "base/text.h"
#include "report/canvas.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace fettle::report {

namespace {

constexpr double kMargin = 24, kLabelSpace = 74, kLegendRow = 22, kSwatch = 44, kSmall = 0.9;

struct Box
{
    double left = 0, top = 0, right = 0, bottom = 0;
};

struct Layout
{
    Box loss, rate, legend;
};

std::string legendText(const DrawnSeries& series)
{
    for (const auto& check : series.checks) {
        if (check.best)
            return fmt::format("{}   best check {}", series.name, shortNumber(check.y));
    }
    return series.name;
}

/// Long names are shortened in the middle.
std::string shortened(const Canvas& canvas, std::string text, double width)
{
    const std::string full = text;
    std::size_t keep = full.size() / 2;
    while (canvas.textWidth(text, kSmall) > width && keep > 1) {
        --keep;
        std::string_view front(full.data(), keep), back(full.data() + full.size() - keep, keep);
        while (!back.empty() && (static_cast<unsigned char>(back.front()) & 0xc0) == 0x80)
            back.remove_prefix(1);
        text = std::string(front.substr(0, completeUtf8Prefix(front))) + "…" + std::string(back);
    }
    return text;
}

class Drawing
{
public:
    Drawing(const Canvas& canvas, const CurveOptions& options, std::vector<DrawnSeries> series)
        : m_canvas(canvas)
        , m_options(options)
        , m_series(std::move(series))
        , m_axes(axesFor(m_series, options.xAxis))
    {
        for (const auto& one : m_series)
            m_legend.push_back(shortened(canvas, legendText(one), 420));
        placePanels(0);
        if (!placeLegendInside())
            placeLegendBelow();
    }

    void draw()
    {
        drawHeading();
        drawPanel(m_layout.loss, m_axes.loss, "Loss, nats per word piece");
        if (m_axes.hasRate)
            drawPanel(m_layout.rate, m_axes.rate, "Learning rate");
        drawSteps();
        clip(m_layout.loss);
        for (const auto& series : m_series)
            drawRaw(series);
        for (const auto& series : m_series)
            drawLine(series.x, series.smooth, m_axes.loss, m_layout.loss, series.style);
        for (const auto& series : m_series)
            drawChecks(series);
        cairo_reset_clip(m_canvas.cairo());
        if (m_axes.hasRate)
            drawRates();
        drawBroken();
        drawLegend();
        drawCaption();
    }

private:
    double px(double x) const { return m_axes.x.at(x, m_layout.loss.left, m_layout.loss.right); }
    double py(double y) const { return m_axes.loss.at(y, m_layout.loss.bottom, m_layout.loss.top); }

    void placePanels(double below)
    {
        const double right = m_options.width - kMargin, left = kMargin + kLabelSpace;
        const double top = m_options.subtitle.empty() ? 62 : 82,
                     bottom = m_options.height - 88 - below;
        const double rateHeight = m_axes.hasRate ? 0.19 * (bottom - top) : 0,
                     gap = m_axes.hasRate ? 26 : 0;
        m_layout.loss = {left, top, right, bottom - rateHeight - gap};
        m_layout.rate = {left, bottom - rateHeight, right, bottom};
    }

    double legendWidth() const
    {
        double width = 0;
        for (const auto& text : m_legend)
            width = std::max(width, m_canvas.textWidth(text, kSmall));
        return width + kSwatch + 32;
    }

    /// True when the line from one point to the next touches the box.
    bool touches(const Box& box, double x1, double y1, double x2, double y2) const
    {
        constexpr double air = 8; // pixels
        const double left = std::max(std::min(px(x1), px(x2)), box.left - air);
        const double right = std::min(std::max(px(x1), px(x2)), box.right + air);
        if (left > right)
            return false;
        const double width = px(x2) - px(x1);
        const auto yAt = [&](double x) {
            return py(y1) + (x - px(x1)) / width * (py(y2) - py(y1));
        };
        const auto [top, bottom] =
            width == 0 ? std::minmax({py(y1), py(y2)}) : std::minmax({yAt(left), yAt(right)});
        return top < box.bottom + air && bottom > box.top - air;
    }

    /// True when something is drawn inside the box.
    bool occupied(const Box& box) const
    {
        for (const auto& series : m_series) {
            for (const auto* line : {&series.raw, &series.smooth}) {
                for (std::size_t i = 0; i < series.x.size(); ++i) {
                    const std::size_t before = i == 0 ? 0 : i - 1;
                    if (std::isfinite((*line)[i]) && std::isfinite((*line)[before]) &&
                        touches(box, series.x[before], (*line)[before], series.x[i], (*line)[i]))
                        return true;
                }
            }
            for (const auto& check : series.checks) {
                if (touches(box, check.x, check.low, check.x, check.high))
                    return true;
            }
        }
        return false;
    }

    bool placeLegendInside()
    {
        const double width = legendWidth(),
                     height = static_cast<double>(m_legend.size()) * kLegendRow + 12;
        const auto& area = m_layout.loss;
        const Box topRight = {area.right - width - 8, area.top + 8, area.right - 8,
                              area.top + 8 + height};
        const Box bottomLeft = {area.left + 10, area.bottom - height - 8, area.left + 10 + width,
                                area.bottom - 8};
        for (const auto& box : {topRight, bottomLeft}) {
            if (box.left > area.left && box.bottom < area.bottom && !occupied(box)) {
                m_layout.legend = box;
                return true;
            }
        }
        return false;
    }

    void placeLegendBelow()
    {
        const double height = static_cast<double>(m_legend.size()) * kLegendRow + 12;
        placePanels(height);
        const double top = m_options.height - 40 - height;
        m_layout.legend = {m_layout.loss.left, top, m_layout.loss.right, top + height};
    }

    void drawHeading() const
    {
        m_canvas.colour(kText);
        m_canvas.text(kMargin, 38, toValidUtf8(m_options.title), Anchor::Left, 1.5, true);
        m_canvas.colour(kSecondText);
        if (!m_options.subtitle.empty())
            m_canvas.text(kMargin, 61, toValidUtf8(m_options.subtitle));
    }

    void drawPanel(const Box& box, const Axis& axis, const std::string& title) const
    {
        for (std::size_t i = 0; i < axis.ticks.size(); ++i) {
            const double y = std::round(axis.at(axis.ticks[i], box.bottom, box.top)) + 0.5;
            m_canvas.colour(kOutline, 0.25);
            m_canvas.line(box.left, y, box.right, y);
            m_canvas.colour(kSecondText);
            m_canvas.text(box.left - 8, y + 4.5, axis.labels[i], Anchor::Right, kSmall);
        }
        for (const double tick : m_axes.x.ticks) {
            const double x = std::round(px(tick)) + 0.5;
            m_canvas.colour(kOutline, 0.25);
            m_canvas.line(x, box.top, x, box.bottom);
        }
        m_canvas.colour(kText);
        m_canvas.risingText(kMargin + 10, (box.top + box.bottom) / 2, title);
        m_canvas.colour(kSecondText);
        m_canvas.text(box.left - 8, box.top - 6, powerOfTen(axis.exponent), Anchor::Right, kSmall);
    }

    void drawSteps() const
    {
        const double bottom = m_axes.hasRate ? m_layout.rate.bottom : m_layout.loss.bottom;
        m_canvas.colour(kSecondText);
        for (std::size_t i = 0; i < m_axes.x.ticks.size(); ++i)
            m_canvas.text(px(m_axes.x.ticks[i]), bottom + 20, m_axes.x.labels[i], Anchor::Centre,
                          kSmall);
        m_canvas.colour(kText);
        m_canvas.text((m_layout.loss.left + m_layout.loss.right) / 2, bottom + 42,
                      xTitle(m_options.xAxis, m_axes.x), Anchor::Centre);
    }

    void clip(const Box& box) const
    {
        cairo_new_path(m_canvas.cairo());
        cairo_rectangle(m_canvas.cairo(), box.left - 10, box.top - 1, box.right - box.left + 20,
                        box.bottom - box.top + 2);
        cairo_clip(m_canvas.cairo());
    }

    /// Lowest and highest raw value of each pixel column, as one filled band per unbroken stretch.
    void drawRaw(const DrawnSeries& series) const
    {
        struct Column
        {
            double x, low, high;
        };
        std::vector<Column> stretch;
        const auto flush = [&] {
            cairo_t* cr = m_canvas.cairo();
            cairo_new_path(cr);
            for (const auto& column : stretch)
                cairo_line_to(cr, column.x, py(column.high));
            if (std::ranges::any_of(stretch, [](const Column& c) { return c.high > c.low; })) {
                for (auto column = stretch.rbegin(); column != stretch.rend(); ++column)
                    cairo_line_to(cr, column->x, py(column->low));
                cairo_close_path(cr);
                m_canvas.colour(series.style.colour, 0.22);
                cairo_fill_preserve(cr);
            }
            m_canvas.colour(series.style.colour, 0.32);
            cairo_set_line_width(cr, 1);
            cairo_stroke(cr);
            stretch.clear();
        };
        for (std::size_t i = 0; i < series.x.size(); ++i) {
            const double value = series.raw[i];
            if (!std::isfinite(value)) {
                flush();
                continue;
            }
            const double x = px(series.x[i]);
            if (!stretch.empty() && std::floor(x) == std::floor(stretch.back().x))
                stretch.back() = {stretch.back().x, std::min(stretch.back().low, value),
                                  std::max(stretch.back().high, value)};
            else
                stretch.push_back({x, value, value});
        }
        flush();
    }

    void drawLine(const std::vector<double>& x, const std::vector<double>& y, const Axis& axis,
                  const Box& box, const RunStyle& style) const
    {
        cairo_t* cr = m_canvas.cairo();
        cairo_new_path(cr);
        bool open = false;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double py = axis.at(y[i], box.bottom, box.top);
            if (!std::isfinite(py)) {
                open = false;
                continue;
            }
            open ? cairo_line_to(cr, px(x[i]), py) : cairo_move_to(cr, px(x[i]), py);
            open = true;
        }
        m_canvas.stroke(style);
    }

    void drawChecks(const DrawnSeries& series) const
    {
        m_canvas.colour(series.style.colour, 0.75);
        const CheckMark* before = nullptr;
        for (const auto& check : series.checks) {
            if (before != nullptr && std::isfinite(before->y) && std::isfinite(check.y))
                m_canvas.line(px(before->x), py(before->y), px(check.x), py(check.y));
            before = &check;
        }
        for (const auto& check : series.checks) {
            if (!std::isfinite(check.y))
                continue;
            const double x = px(check.x), y = py(check.y);
            if (check.high > check.low) {
                m_canvas.colour(series.style.colour);
                m_canvas.line(x, py(check.low), x, py(check.high), 1.2);
                for (const double end : {check.low, check.high})
                    m_canvas.line(x - 3, py(end), x + 3, py(end), 1.2);
            }
            m_canvas.marker(x, y, series.style);
            if (check.best) {
                m_canvas.colour(series.style.colour);
                cairo_new_path(m_canvas.cairo());
                cairo_arc(m_canvas.cairo(), x, y, 9, 0, 2 * std::numbers::pi);
                cairo_set_line_width(m_canvas.cairo(), 1.2);
                cairo_stroke(m_canvas.cairo());
            }
        }
    }

    void drawRates() const
    {
        clip(m_layout.rate);
        for (const auto& series : m_series)
            drawLine(series.rateX, series.rate, m_axes.rate, m_layout.rate, series.style);
        cairo_reset_clip(m_canvas.cairo());
    }

    /// Red ticks on the axis where the loss was not a number.
    void drawBroken() const
    {
        m_canvas.colour(kErrorColour);
        for (const auto& series : m_series) {
            for (std::size_t i = 0; i < series.x.size(); ++i) {
                if (!std::isfinite(series.raw[i]))
                    m_canvas.line(px(series.x[i]), m_layout.loss.bottom - 10, px(series.x[i]),
                                  m_layout.loss.bottom, 2);
            }
        }
    }

    void drawLegend() const
    {
        const auto& box = m_layout.legend;
        m_canvas.colour(kGround, 0.88);
        cairo_new_path(m_canvas.cairo());
        cairo_rectangle(m_canvas.cairo(), box.left, box.top, box.right - box.left,
                        box.bottom - box.top);
        cairo_fill(m_canvas.cairo());
        for (std::size_t i = 0; i < m_series.size(); ++i) {
            const double y = box.top + 6 + (static_cast<double>(i) + 0.5) * kLegendRow,
                         left = box.left + 10;
            const auto& style = m_series[i].style;
            cairo_new_path(m_canvas.cairo());
            cairo_move_to(m_canvas.cairo(), left, y);
            cairo_line_to(m_canvas.cairo(), left + kSwatch, y);
            m_canvas.stroke(style);
            if (!m_series[i].checks.empty())
                m_canvas.marker(left + kSwatch / 2, y, style);
            m_canvas.colour(kText);
            m_canvas.text(left + kSwatch + 10, y + 4.5, m_legend[i], Anchor::Left, kSmall);
        }
    }

    void drawCaption() const
    {
        std::string caption =
            m_options.halfLife > 0
                ? fmt::format("Line: smoothed, half-life {:g} steps, over the raw values",
                              m_options.halfLife)
                : std::string("Line: raw values");
        if (std::ranges::any_of(m_series, [](const DrawnSeries& s) { return !s.checks.empty(); }))
            caption +=
                "   ·   markers: checking rows, 95 % range over rows   ·   ring: best save point";
        m_canvas.colour(kSecondText);
        m_canvas.text(m_layout.loss.left, m_options.height - 16, caption, Anchor::Left, kSmall);
    }

    const Canvas& m_canvas;
    const CurveOptions& m_options;
    std::vector<DrawnSeries> m_series;
    CurveAxes m_axes;
    std::vector<std::string> m_legend;
    Layout m_layout;
};

} // namespace

void drawCurves(const Canvas& canvas, const CurveOptions& options, std::vector<DrawnSeries> series)
{
    Drawing(canvas, options, std::move(series)).draw();
}

} // namespace fettle::report

#include "report/curve_data.h"

#include "base/smoothing.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::report {

namespace {

constexpr double kMinute = 60; // seconds

double xOf(const store::MetricPoint& point, XAxis kind)
{
    switch (kind) {
    case XAxis::Tokens:
        return point.tokens;
    case XAxis::Time:
        return point.seconds / kMinute;
    case XAxis::Step:
        break;
    }
    return static_cast<double>(point.step);
}

/// A check is made after a step; the tokens read by then are those of that step's point.
double xOf(const jobs::EvalDone& check, const std::vector<store::MetricPoint>& loss, XAxis kind)
{
    if (kind == XAxis::Step)
        return static_cast<double>(check.step);
    if (kind == XAxis::Time)
        return check.seconds / kMinute;
    double tokens = 0;
    for (const auto& point : loss) {
        if (point.step > check.step)
            break;
        tokens = point.tokens;
    }
    return tokens;
}

struct Range
{
    double low = INFINITY, high = -INFINITY;
    void add(double value)
    {
        if (std::isfinite(value)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    bool empty() const { return low > high; }
};

void keepEverySecond(Axis& axis)
{
    Axis thin{axis.low, axis.high, {}, {}, axis.exponent};
    for (std::size_t i = 0; i < axis.ticks.size(); i += 2) {
        thin.ticks.push_back(axis.ticks[i]);
        thin.labels.push_back(axis.labels[i]);
    }
    axis = thin;
}

} // namespace

Result<CurveSeries> loadCurve(const store::Workspace& workspace, const std::string& run)
{
    const auto record = workspace.run(run);
    if (!record)
        return record.error();
    CurveSeries series;
    series.name = fmt::format("Run {} · {}", record->number, record->name);
    series.colour = record->colour;
    series.loss = workspace.metric(record->id, "loss");
    series.learningRate = workspace.metric(record->id, "learningRate");
    series.checks = workspace.evaluations(record->id);
    return series;
}

Result<XAxis> xAxisFrom(const std::string& name)
{
    for (const auto& [known, kind] :
         {std::pair("step", XAxis::Step), std::pair("tokens", XAxis::Tokens),
          std::pair("time", XAxis::Time)}) {
        if (name == known)
            return kind;
    }
    return Error{ErrorCode::InvalidInput, fmt::format("\"{}\" is no x axis", name), "x axis",
                 "Choose step, tokens or time"};
}

std::vector<DrawnSeries> drawnSeries(const std::vector<CurveSeries>& series,
                                     const CurveOptions& options)
{
    std::vector<DrawnSeries> drawn;
    for (const auto& from : series) {
        DrawnSeries to;
        to.name = toValidUtf8(from.name);
        to.style = runStyle(from.colour);
        std::vector<double> steps;
        for (const auto& point : from.loss) {
            steps.push_back(static_cast<double>(point.step));
            to.x.push_back(xOf(point, options.xAxis));
            to.raw.push_back(point.value);
        }
        to.smooth = smoothed(steps, to.raw, options.halfLife);
        for (const auto& check : from.checks) {
            const bool ranged = std::isfinite(check.low) && std::isfinite(check.high);
            to.checks.push_back({xOf(check, from.loss, options.xAxis), check.loss,
                                 ranged ? check.low : check.loss, ranged ? check.high : check.loss,
                                 false});
        }
        const auto lowest =
            std::ranges::min_element(to.checks, [](const CheckMark& a, const CheckMark& b) {
                return std::isfinite(a.y) && !(a.y >= b.y);
            });
        if (lowest != to.checks.end() && std::isfinite(lowest->y))
            lowest->best = true;
        for (const auto& point : from.learningRate) {
            to.rateX.push_back(xOf(point, options.xAxis));
            to.rate.push_back(point.value);
        }
        drawn.push_back(std::move(to));
    }
    return drawn;
}

CurveAxes axesFor(const std::vector<DrawnSeries>& series, XAxis kind)
{
    Range x, loss, rate;
    for (const auto& one : series) {
        std::ranges::for_each(one.x, [&](double v) { x.add(v); });
        std::ranges::for_each(one.rateX, [&](double v) { x.add(v); });
        std::ranges::for_each(one.raw, [&](double v) { loss.add(v); });
        std::ranges::for_each(one.rate, [&](double v) { rate.add(v); });
        for (const auto& check : one.checks) {
            x.add(check.x);
            loss.add(check.y);
            loss.add(check.low);
            loss.add(check.high);
        }
    }
    x.add(0); // a run starts at nothing
    if (loss.empty())
        loss = {0, 1};
    if (!rate.empty())
        rate.add(0);
    CurveAxes axes{makeAxis(x.low, x.high, false, kind == XAxis::Step),
                   makeAxis(loss.low, loss.high, true, false),
                   {},
                   false};
    axes.hasRate = !rate.empty();
    if (axes.hasRate) {
        axes.rate = makeAxis(0, rate.high * 1.08, false, false);
        if (axes.rate.ticks.size() > 4)
            keepEverySecond(axes.rate); // enough for the low panel
    }
    return axes;
}

std::string xTitle(XAxis kind, const Axis& axis)
{
    const std::string power = powerOfTen(axis.exponent);
    switch (kind) {
    case XAxis::Tokens:
        return power.empty() ? "Word pieces read" : "Word pieces read, " + power;
    case XAxis::Time:
        return power.empty() ? "Training time, min" : "Training time, min " + power;
    case XAxis::Step:
        break;
    }
    return power.empty() ? "Step" : "Step, " + power;
}

} // namespace fettle::report

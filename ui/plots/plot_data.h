#pragma once

#include <QString>
#include <cstdint>
#include <vector>

namespace fettle::ui {

/// What the x axis of a plot counts.
enum class XAxis
{
    Step,
    Pieces,
    Time,
    TrainingTime
};

struct PlotPoint
{
    std::int64_t step = 0;
    double value = 0;      ///< NaN where the number was not finite
    double pieces = 0;     ///< real word pieces read by then
    double seconds = 0;    ///< training time by then, without pauses
    std::int64_t time = 0; ///< ms since 1970
};

/// A value measured on the checking rows, with its range.
struct CheckValue
{
    PlotPoint at;
    double low = 0, high = 0; ///< equal to the value when there is no range
    bool best = false;
};

struct PlotMark
{
    std::int64_t step = 0;
    QString text;
};

/// One run on a plot.
struct Curve
{
    QString id, name;
    int colour = 0;
    bool visible = true;
    std::vector<PlotPoint> raw;
    std::vector<CheckValue> checks;
    std::vector<PlotMark> marks;
};

/// x of a point; `start` is the time of the curve's first point (ms).
double xOf(const PlotPoint& point, XAxis axis, std::int64_t start);
std::int64_t startOf(const Curve& curve);

/// At point i: sum over j <= i of y_j 2^(-(t_i - t_j)/h) over the sum of the weights, t in steps.
/// Only finite values count; a value that is not finite gives NaN there. h = 0 gives the values.
std::vector<double> smoothed(const std::vector<PlotPoint>& points, double halfLife);

/// Smallest and largest value of each pixel column between `from` and `to`; a single spike stays.
struct Envelope
{
    std::vector<double> x, low, high;
};
Envelope envelope(const std::vector<double>& x, const std::vector<double>& y, double from,
                  double to, int columns);

/// Fills in pieces and times of checks from the raw points by step, where they lack them.
void alignChecks(Curve& curve);

/// All raw points and checks of the visible curves: what "Save as CSV" writes.
QString csvOf(const std::vector<Curve>& curves, const QString& quantity);
/// One sentence for people who do not see the plot.
QString summaryOf(const std::vector<Curve>& curves, const QString& quantity);

/// "Still improving; last three checks fell by 0.04, 0.03, 0.02.": what the checks say.
QString readCurve(const Curve& curve);

} // namespace fettle::ui

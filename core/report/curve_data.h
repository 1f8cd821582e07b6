#pragma once

#include "report/axis.h"
#include "report/curve_image.h"
#include "report/run_style.h"

namespace fettle::report {

/// One value with its range on the checking rows.
struct CheckMark
{
    double x = 0, y = 0, low = 0, high = 0;
    bool best = false;
};

/// A series in the units of the chosen x axis.
struct DrawnSeries
{
    std::string name;
    RunStyle style;
    std::vector<double> x, raw, smooth; ///< same length; NaN is a gap
    std::vector<CheckMark> checks;
    std::vector<double> rateX, rate;
};

std::vector<DrawnSeries> drawnSeries(const std::vector<CurveSeries>& series,
                                     const CurveOptions& options);

/// Axes that hold all finite values.
struct CurveAxes
{
    Axis x, loss, rate;
    bool hasRate = false;
};
CurveAxes axesFor(const std::vector<DrawnSeries>& series, XAxis kind);

/// Title of an axis with its unit: "Step", "Word pieces read", "Training time, min".
std::string xTitle(XAxis kind, const Axis& axis);

} // namespace fettle::report

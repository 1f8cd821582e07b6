#pragma once

#include "store/workspace.h"

#include <filesystem>
#include <string>
#include <vector>

namespace fettle::report {

/// What a run's curves are drawn from: raw points as they are stored.
struct CurveSeries
{
    std::string name;
    int colour = 0;                       ///< the run's colour for life
    std::vector<store::MetricPoint> loss; ///< by step, nats per token
    std::vector<store::MetricPoint> learningRate;
    std::vector<jobs::EvalDone> checks; ///< loss on the checking rows
};

/// Everything of one run (id, number, name, "last"). Errors: NotFound.
Result<CurveSeries> loadCurve(const store::Workspace& workspace, const std::string& run);

enum class XAxis
{
    Step,
    Tokens,
    Time
};
/// "step", "tokens", "time". Errors: InvalidInput.
Result<XAxis> xAxisFrom(const std::string& name);

struct CurveOptions
{
    std::string title = "Loss";
    std::string subtitle = {}; ///< model and data, second line; may be empty
    double halfLife = 20;      ///< of the smoothing, in steps; 0: raw points only
    XAxis xAxis = XAxis::Step;
    double width = 1200, height = 760; ///< device-independent pixels (points in PDF)
    double scale = 2;                  ///< PNG pixels per unit, 1 to 4
};

/// Draws loss (raw envelope under the smoothed line), the checking rows with their range, and the
/// learning rate below, and writes PNG, PDF or SVG by the ending of `path`.
/// Errors: InvalidInput (other ending, no series, no point at all), DiskFull, Io.
Result<void> writeCurveImage(const std::vector<CurveSeries>& series, const CurveOptions& options,
                             const std::filesystem::path& path);

} // namespace fettle::report

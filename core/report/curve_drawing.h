#pragma once

#include "report/canvas.h"
#include "report/curve_data.h"

namespace fettle::report {

/// Draws heading, loss panel, learning-rate panel, legend and caption onto the canvas.
void drawCurves(const Canvas& canvas, const CurveOptions& options, std::vector<DrawnSeries> series);

} // namespace fettle::report

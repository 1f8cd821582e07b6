#include "report/curve_image.h"

#include "base/atomic_file.h"
#include "base/text.h"
#include "report/curve_drawing.h"

#include <algorithm>

namespace fettle::report {

namespace {

Result<Canvas::Format> formatOf(const std::filesystem::path& path)
{
    const std::string ending = lowerAscii(path.extension().string());
    if (ending == ".png")
        return Canvas::Format::Png;
    if (ending == ".pdf")
        return Canvas::Format::Pdf;
    if (ending == ".svg")
        return Canvas::Format::Svg;
    return Error{ErrorCode::InvalidInput,
                 "the name of the picture ends in none of .png, .pdf, .svg",
                 path.filename().string(), "Choose one of these endings"};
}

} // namespace

Result<void> writeCurveImage(const std::vector<CurveSeries>& series, const CurveOptions& options,
                             const std::filesystem::path& path)
{
    const auto format = formatOf(path);
    if (!format)
        return format.error();
    const bool hasPoints = std::ranges::any_of(
        series, [](const CurveSeries& one) { return !one.loss.empty() || !one.checks.empty(); });
    if (!hasPoints)
        return Error{ErrorCode::InvalidInput, "there is no point to draw yet",
                     series.empty() ? "runs" : series.front().name,
                     "Wait for the first step of the run"};
    Canvas canvas(*format, options.width, options.height, options.scale, options.title);
    drawCurves(canvas, options, drawnSeries(series, options));
    auto bytes = canvas.finish();
    if (!bytes)
        return bytes.error();
    return writeFileAtomically(path, *bytes);
}

} // namespace fettle::report

#pragma once

#include "base/result.h"
#include "report/run_style.h"

#include <cairo.h>
#include <memory>
#include <string>

namespace fettle::report {

/// Colours of light ground.
inline constexpr std::uint32_t kGround = 0xffffff, kText = 0x1b1e21, kSecondText = 0x5a6067,
                               kOutline = 0x7a8088, kErrorColour = 0xb3261e;

enum class Anchor
{
    Left,
    Centre,
    Right
};

/// A drawing surface in device-independent pixels that becomes the bytes of a PNG, PDF or SVG file.
class Canvas
{
public:
    enum class Format
    {
        Png,
        Pdf,
        Svg
    };

    /// `scale`: pixels per unit, PNG only.
    Canvas(Format format, double width, double height, double scale, const std::string& title);

    cairo_t* cairo() const { return m_cairo.get(); }
    void colour(std::uint32_t rgb, double opacity = 1) const;
    void line(double x1, double y1, double x2, double y2, double width = 1) const;
    /// `y` is the base line. `size` is relative to body text.
    void text(double x, double y, const std::string& text, Anchor anchor = Anchor::Left,
              double size = 1, bool bold = false) const;
    /// Rises along the left edge of a panel, centred on `y`.
    void risingText(double x, double y, const std::string& text) const;
    double textWidth(const std::string& text, double size = 1, bool bold = false) const;
    /// Present path in the run's line.
    void stroke(const RunStyle& style) const;
    /// Open marker: ground inside, run colour around.
    void marker(double x, double y, const RunStyle& style, double radius = 4.5) const;

    /// The finished file. Errors: Internal with Cairo's reason.
    Result<std::string> finish();

private:
    void font(double size, bool bold) const;

    Format m_format;
    std::string m_bytes;
    std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> m_surface;
    std::unique_ptr<cairo_t, decltype(&cairo_destroy)> m_cairo;
};

} // namespace fettle::report

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace fettle::report {

enum class Marker
{
    Disc,
    Square,
    TriangleUp,
    Diamond,
    TriangleDown,
    Plus,
    Cross,
    Star
};

/// How a run looks on light ground, for life.
struct RunStyle
{
    std::uint32_t colour = 0;       ///< 0xRRGGBB
    std::span<const double> dashes; ///< lengths of stroke and gap in pixels; empty: solid
    double width = 2;               ///< pixels
    Marker marker = Marker::Disc;
};

/// Style of the run colour `index`: eight of them, distinct for all kinds of colour vision. From
/// the ninth on the colours start again with the next line.
RunStyle runStyle(int index);

} // namespace fettle::report

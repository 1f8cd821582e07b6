#include "report/run_style.h"

namespace fettle::report {

namespace {

constexpr std::array<double, 2> kDash = {9, 4};
constexpr std::array<double, 2> kDot = {2, 3};
constexpr std::array<double, 4> kDashDot = {9, 3, 2, 3};
constexpr std::array<double, 2> kLongDash = {16, 5};
constexpr std::array<double, 6> kDashDotDot = {9, 3, 2, 3, 2, 3};
constexpr std::array<double, 2> kShortDash = {5, 3};

struct Line
{
    std::span<const double> dashes;
    double width;
};

} // namespace

RunStyle runStyle(int index)
{
    static constexpr std::array<std::uint32_t, 8> colours = {
        0x003fc4, 0xa83c00, 0x1d7a55, 0xf4257e, 0x2a97a6, 0x999400, 0xb05cf8, 0x202428};
    static constexpr std::array<Marker, 8> markers = {
        Marker::Disc,         Marker::Square, Marker::TriangleUp, Marker::Diamond,
        Marker::TriangleDown, Marker::Plus,   Marker::Cross,      Marker::Star};
    static const std::array<Line, 8> lines = {{{{}, 2},
                                               {kDash, 2},
                                               {kDot, 2},
                                               {{}, 3},
                                               {kDashDot, 2},
                                               {kLongDash, 2},
                                               {kDashDotDot, 2},
                                               {kShortDash, 2}}};
    const auto colour = static_cast<std::size_t>(index < 0 ? 0 : index);
    const auto& line = lines[(colour % 8 + colour / 8) % 8];
    return {colours[colour % 8], line.dashes, line.width, markers[colour % 8]};
}

} // namespace fettle::report

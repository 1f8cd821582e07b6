#pragma once

#include <string>
#include <vector>

namespace fettle::report {

/// A linear scale with ticks at round numbers.
struct Axis
{
    double low = 0, high = 1;        ///< shown range
    std::vector<double> ticks;       ///< inside the range, ascending
    std::vector<std::string> labels; ///< one per tick, in units of `factor`
    int exponent =
        0; ///< labels are values divided by 10^exponent; a multiple of 3, or -k for tiny values

    double at(double value, double from,
              double to) const ///< position of `value` between two pixels
    {
        return from + (value - low) / (high - low) * (to - from);
    }
};

/// 4 to 7 ticks at multiples of 1, 2 or 5 powers of ten. `whole`: no fractions (steps). The range
/// is widened to hold `low` and `high` with a little air above and below when `padded`.
Axis makeAxis(double low, double high, bool padded, bool whole);

/// "x10^-4" with raised digits for an axis title; empty for 0.
std::string powerOfTen(int exponent);
/// Three significant digits, thousands separated: "1,204", "0.0123".
std::string shortNumber(double value);

} // namespace fettle::report

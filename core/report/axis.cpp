#include "report/axis.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::report {

namespace {

/// The smallest round step that needs at most `most` intervals for `span`.
double roundStep(double span, int most, bool whole)
{
    const double rough = span / most;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
        if (factor * power >= rough * (1 - 1e-9))
            return whole ? std::max(1.0, factor * power) : factor * power;
    }
    return 10 * power;
}

std::string separated(std::string digits)
{
    const std::size_t start = digits.starts_with('-') ? 1 : 0;
    auto end = std::min(digits.find('.'), digits.size());
    while (end > start + 3) {
        end -= 3;
        digits.insert(end, 1, ',');
    }
    return digits;
}

} // namespace

Axis makeAxis(double low, double high, bool padded, bool whole)
{
    if (!(high > low)) { // one value, or none
        const double half = low == 0 ? 0.5 : std::abs(low) * 0.05;
        low -= whole ? 0 : half;
        high = whole ? low + 1 : high + half;
    }
    if (padded) {
        const double air = 0.04 * (high - low);
        low -= air;
        high += air;
    }
    Axis axis{low, high, {}, {}, 0};
    const double step = roundStep(high - low, 6, whole);
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
        axis.ticks.push_back(k == 0 ? 0 : k * step);

    const double largest = std::max(std::abs(low), std::abs(high));
    if (largest < 0.01 || largest >= 1e6)
        axis.exponent = static_cast<int>(std::floor(std::log10(largest) + 1e-9));
    const double scale = std::pow(10.0, axis.exponent);
    const int decimals =
        std::max(0, -static_cast<int>(std::floor(std::log10(step / scale) + 1e-9)));
    for (const double tick : axis.ticks)
        axis.labels.push_back(separated(fmt::format("{:.{}f}", tick / scale, decimals)));
    return axis;
}

std::string powerOfTen(int exponent)
{
    if (exponent == 0)
        return {};
    static constexpr const char* raised[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string out = exponent < 0 ? "× 10⁻" : "× 10";
    for (const char digit : std::to_string(std::abs(exponent)))
        out += raised[digit - '0'];
    return out;
}

std::string shortNumber(double value)
{
    if (!std::isfinite(value))
        return "not a number";
    const double size = std::abs(value);
    if (size == 0)
        return "0";
    if (size >= 1000)
        return separated(fmt::format("{:.0f}", value));
    if (size < 0.001)
        return fmt::format("{:.2e}", value);
    const int before = size < 1 ? 0 : static_cast<int>(std::floor(std::log10(size))) + 1;
    const int lead = size < 1 ? -static_cast<int>(std::floor(std::log10(size))) - 1 : 0;
    return fmt::format("{:.{}f}", value, std::max(0, 3 - before + lead));
}

} // namespace fettle::report

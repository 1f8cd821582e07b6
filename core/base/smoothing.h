#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace fettle {

/// Smoothed curve: at point i the mean of all points j <= i with weights 2^(-(t_i - t_j) /
/// halfLife). Uses finite points only, does not look ahead, and does not depend on how much is
/// shown. `t` [n] ascending, `y` [n]; halfLife in the unit of t; 0 or less gives y back. Result
/// [n]: NaN where y is not finite (a gap).
inline std::vector<double> smoothed(std::span<const double> t, std::span<const double> y,
                                    double halfLife)
{
    std::vector<double> out(y.begin(), y.end());
    double sum = 0, weight = 0, last = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        if (!std::isfinite(y[i])) {
            out[i] = std::numeric_limits<double>::quiet_NaN();
            continue;
        }
        if (halfLife <= 0)
            continue;
        const double fade = std::exp2(-(t[i] - last) / halfLife);
        sum = sum * fade + y[i];
        weight = weight * fade + 1;
        last = t[i];
        out[i] = sum / weight;
    }
    return out;
}

} // namespace fettle

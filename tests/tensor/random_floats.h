#pragma once

#include <random>
#include <vector>

namespace fettle::tests {

/// Bell-shaped values of this deviation, the same for a seed.
inline std::vector<float> randoms(std::size_t count, unsigned seed, double size = 1)
{
    std::mt19937 source(seed);
    std::normal_distribution<double> normal(0, size);
    std::vector<float> values(count);
    for (auto& value : values)
        value = static_cast<float>(normal(source));
    return values;
}

} // namespace fettle::tests

#include "generate/generator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fettle::generate {

std::int32_t chooseToken(std::span<const float> logits, const Settings& settings, double uniform)
{
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    if (settings.temperature <= 0)
        return static_cast<std::int32_t>(best);
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto larger = [&](std::int32_t a, std::int32_t b) {
        const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    auto kept = order.size();
    if (settings.topK > 0 && static_cast<std::size_t>(settings.topK) < kept) {
        kept = static_cast<std::size_t>(settings.topK);
        std::partial_sort(order.begin(), order.begin() + settings.topK, order.end(), larger);
    } else {
        std::sort(order.begin(), order.end(), larger);
    }
    std::vector<double> weights(kept);
    double total = 0;
    const double top = logits[static_cast<std::size_t>(order[0])];
    for (std::size_t i = 0; i < kept; ++i)
        total += weights[i] = std::exp((logits[static_cast<std::size_t>(order[i])] - top) / settings.temperature);
    if (settings.topP < 1) {  // the smallest set whose probability reaches topP
        double sum = 0;
        std::size_t count = 0;
        while (count < kept && sum < settings.topP * total)
            sum += weights[count++];
        kept = std::max<std::size_t>(1, count);
        total = sum;
    }
    double rest = uniform * total;
    for (std::size_t i = 0; i < kept; ++i) {
        rest -= weights[i];
        if (rest < 0)
            return order[i];
    }
    return order[kept - 1];
}

} // namespace fettle::generate

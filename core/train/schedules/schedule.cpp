#include "train/schedules/schedule.h"

#include <algorithm>
#include <cmath>

namespace fettle::train {

double Schedule::at(std::int64_t step) const
{
    if (step < warmupSteps)
        return peak * static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, warmupSteps));
    if (kind == "constant")
        return peak;
    const double progress = static_cast<double>(step - warmupSteps)
                            / static_cast<double>(std::max<std::int64_t>(1, totalSteps - warmupSteps));
    if (kind == "linear")
        return peak * std::max(0.0, 1.0 - progress);
    return peak * std::max(0.0, 0.5 * (1.0 + std::cos(M_PI * progress)));
}

} // namespace fettle::train

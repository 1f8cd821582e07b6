#pragma once

#include <cstdint>
#include <string>

namespace fettle::train {

/// Learning rate as a pure function of the step.
struct Schedule
{
    std::string kind = "cosine";   ///< "cosine", "linear", "constant"
    double peak = 0;               ///< learning rate after warm-up
    std::int64_t warmupSteps = 0;  ///< steps of linear growth from 0
    std::int64_t totalSteps = 0;

    /// Rate for the step with this 0-based number. The same numbers as the schedules that
    /// transformers calls linear, cosine and constant_with_warmup.
    double at(std::int64_t step) const;
};

} // namespace fettle::train

#pragma once

#include "base/json.h"

#include <cstdint>

namespace fettle::train {

/// Notices a loss that runs away: a fast average of the steps' losses leaves a slow one by many
/// deviations. A pure function of the losses, and saved with the run, so a resumed run notices the same.
class LossWatch
{
public:
    /// One step's loss (finite). True when it has run away.
    bool add(std::int64_t step, double loss);

    double fast() const { return m_fast; }             ///< average over about the last four steps
    double slow() const { return m_slow; }             ///< average over about the last fifty
    double deviation() const;                          ///< of single steps around the slow average
    std::int64_t calmStep() const { return m_calmStep; }  ///< last step at which the two were together

    Json json() const;
    static LossWatch from(const Json& json);

private:
    double limit() const;  ///< how far the averages may be apart

    std::int64_t m_seen = 0, m_calmStep = 0;
    double m_fast = 0, m_slow = 0, m_variance = 0;
};

} // namespace fettle::train

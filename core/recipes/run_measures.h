#pragma once

#include "base/clock.h"
#include "jobs/event.h"

#include <optional>

namespace fettle::recipes {

/// What one sitting of a run really takes: memory at its peak beyond what the program had before, and time
/// beside the time that its first step foretold.
class RunMeasures
{
public:
    void begin();
    /// The loop begins: what its steps read on average, and how many checks come behind the first one.
    void training(double tokensPerStep, std::int64_t checks);
    void see(const jobs::Event& event);
    /// {"fromStep", "toStep", "peakBytes", "seconds", "secondsAfterOneStep"}; null where nothing was measured.
    Json json() const;

private:
    Stopwatch m_watch;
    std::uint64_t m_residentBefore = 0;
    std::optional<std::int64_t> m_firstStep;
    std::int64_t m_lastStep = 0;
    double m_trainingAt = 0, m_tokensPerStep = 0, m_foretold = 0;
    std::int64_t m_checks = 0;
};

} // namespace fettle::recipes

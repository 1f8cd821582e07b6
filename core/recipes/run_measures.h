#pragma once

#include "base/clock.h"
#include "jobs/event.h"

#include <filesystem>
#include <optional>

namespace fettle::recipes {

/// What one sitting of a run really takes: memory at its peak beyond what the program had before, and time
/// beside the time that its first step foretold.
class RunMeasures
{
public:
    /// `onCard`: the memory is that of tensors on the graphics card.
    void begin(bool onCard);
    /// What is to come behind the first step.
    struct Ahead
    {
        double tokensPerStep = 0; ///< on average
        std::int64_t checks = 0;  ///< behind the first one
        double savingSeconds = 0; ///< of all save points
    };
    /// The loop begins.
    void training(const Ahead& ahead);
    void see(const jobs::Event& event);
    /// {"fromStep", "toStep", "peakBytes", "seconds", "secondsAfterOneStep"}; null where nothing was measured.
    Json json() const;

private:
    Stopwatch m_watch;
    bool m_onCard = false;
    std::uint64_t m_before = 0; ///< bytes
    std::optional<std::int64_t> m_firstStep;
    std::int64_t m_lastStep = 0;
    double m_trainingAt = 0, m_foretold = 0;
    Ahead m_ahead;
};

/// What a byte of a save point costs in `folder`: a few megabytes are written, synced and read back
/// with their digest as a save point is. 0 where that fails.
double savingSecondsPerByte(const std::filesystem::path& folder);

} // namespace fettle::recipes

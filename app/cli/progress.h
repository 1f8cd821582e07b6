#pragma once

#include "jobs/event.h"

#include <cstdint>
#include <optional>
#include <string>

namespace fettle::cli {

/// Removes a bar that stands on the last line of the terminal, so that a sentence can be written.
void wipeProgress();

/// Shows what a job does: on a terminal a bar that is drawn again in place, otherwise a plain line
/// every few seconds. Checks, warnings and save points that matter get a line of their own.
class ProgressView
{
public:
    ProgressView();
    void show(const jobs::Event& event);

private:
    void phase(const jobs::PhaseChanged& phase);
    void step(const jobs::StepDone& step);
    void check(const jobs::EvalDone& check);
    std::string timeLeft(const jobs::StepDone& step) const;
    /// True when enough time has passed since the last line; the clock starts again then.
    bool due(double seconds);
    void bar(double fraction, const std::string& words);

    bool m_terminal;
    std::string m_phase;
    double m_lastShown = -1e9; // seconds on the steady clock
    std::optional<std::int64_t> m_firstStep;
    double m_firstStepAt = 0;
    double m_smoothedLoss = 0, m_weight = 0;
};

} // namespace fettle::cli

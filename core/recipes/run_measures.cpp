#include "recipes/run_measures.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace fettle::recipes {

namespace {

/// A line of /proc/self/status in bytes: "VmHWM:    123 kB". 0 where there is none.
std::uint64_t statusBytes(std::string_view key)
{
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(key))
            continue;
        const auto digits = line.find_first_of("0123456789");
        std::uint64_t kilobytes = 0;
        if (digits != std::string::npos)
            std::from_chars(line.data() + digits, line.data() + line.size(), kilobytes);
        return kilobytes * 1024;
    }
    return 0;
}

} // namespace

void RunMeasures::begin()
{
    m_watch.restart();
    m_residentBefore = statusBytes("VmRSS:");
    // Sets the peak back to what is resident now, where the kernel lets us; else it is that of the program.
    std::ofstream("/proc/self/clear_refs") << 5;
}

void RunMeasures::training(double tokensPerStep, std::int64_t checks)
{
    m_trainingAt = m_watch.seconds();
    m_tokensPerStep = tokensPerStep, m_checks = checks;
}

void RunMeasures::see(const jobs::Event& event)
{
    const auto* step = std::get_if<jobs::StepDone>(&event);
    if (step == nullptr)
        return;
    m_lastStep = step->step;
    if (m_firstStep)
        return;
    m_firstStep = step->step;
    // Later steps read the average number of tokens at the speed of this one; what else went by since the loop
    // began was the first check, and the later ones cost the same.
    const double perStep = m_tokensPerStep / std::max(1e-9, step->tokensPerSecond);
    const double perCheck = std::max(0.0, m_watch.seconds() - m_trainingAt - perStep);
    m_foretold = m_watch.seconds() + perStep * static_cast<double>(step->totalSteps - step->step)
                 + perCheck * static_cast<double>(m_checks);
}

Json RunMeasures::json() const
{
    if (!m_firstStep)
        return nullptr;
    const auto peak = statusBytes("VmHWM:");
    return {{"fromStep", *m_firstStep - 1},
            {"toStep", m_lastStep},
            {"peakBytes", peak > m_residentBefore ? peak - m_residentBefore : 0},
            {"seconds", m_watch.seconds()},
            {"secondsAfterOneStep", m_foretold}};
}

} // namespace fettle::recipes

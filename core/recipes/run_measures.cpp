#include "recipes/run_measures.h"

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "tensor/device.h"

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

void RunMeasures::begin(bool onCard)
{
    m_watch.restart();
    m_onCard = onCard;
    if (onCard) {
        m_before = tensor::cudaMemory().used;
        tensor::measureCudaPeak();
        return;
    }
    m_before = statusBytes("VmRSS:");
    // Sets the peak back to what is resident now, where the kernel lets us; else it is that of the program.
    std::ofstream("/proc/self/clear_refs") << 5;
}

void RunMeasures::training(const Ahead& ahead)
{
    m_trainingAt = m_watch.seconds();
    m_ahead = ahead;
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
    const double perStep = m_ahead.tokensPerStep / std::max(1e-9, step->tokensPerSecond);
    const double perCheck = std::max(0.0, m_watch.seconds() - m_trainingAt - perStep);
    m_foretold = m_watch.seconds() + perStep * static_cast<double>(step->totalSteps - step->step)
                 + perCheck * static_cast<double>(m_ahead.checks) + m_ahead.savingSeconds;
}

Json RunMeasures::json() const
{
    if (!m_firstStep)
        return nullptr;
    const auto peak = m_onCard ? tensor::cudaMemory().mostUsed : statusBytes("VmHWM:");
    return {{"fromStep", *m_firstStep - 1},
            {"toStep", m_lastStep},
            {"peakBytes", peak > m_before ? peak - m_before : 0},
            {"seconds", m_watch.seconds()},
            {"secondsAfterOneStep", m_foretold}};
}

double savingSecondsPerByte(const std::filesystem::path& folder)
{
    const std::string some(8 << 20, 'x');
    const auto path = folder / "speed-of-this-disk";
    const Stopwatch watch;
    auto done = static_cast<bool>(writeFileAtomically(path, some));
    for (int i = 0; done && i < 2; ++i) // for the manifest, and to see that it is whole
        done = static_cast<bool>(sha256OfFile(path));
    const double seconds = watch.seconds();
    std::error_code ec;
    std::filesystem::remove(path, ec);
    return done ? seconds / static_cast<double>(some.size()) : 0;
}

} // namespace fettle::recipes

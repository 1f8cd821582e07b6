#include "jobs/watchdog.h"

#include <algorithm>
#include <vector>

namespace fettle::jobs {

namespace {

constexpr std::size_t kRemembered = 51, kNeeded = 3;

double secondsSince(std::chrono::steady_clock::time_point begun)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

} // namespace

Watchdog::Watchdog(std::function<void(const Late&)> bark, Limits limits)
    : m_bark(std::move(bark)), m_limits(limits), m_thread([this](std::stop_token stop) { watch(stop); })
{
}

Watchdog::~Watchdog() { m_thread.request_stop(); }

void Watchdog::begin(std::int64_t step)
{
    {
        const std::lock_guard lock(m_mutex);
        m_step = step;
        ++m_turn;
        m_begun = std::chrono::steady_clock::now();
        m_late = false;
    }
    m_changed.notify_all();
}

std::optional<Watchdog::Late> Watchdog::end()
{
    const std::lock_guard lock(m_mutex);
    const Late late{m_step, secondsSince(m_begun), medianSeconds()};
    m_step = -1;
    if (m_late)
        return late;  // not counted, or the next one would be measured by it
    m_lengths.push_back(late.seconds);
    if (m_lengths.size() > kRemembered)
        m_lengths.pop_front();
    return {};
}

void Watchdog::rest()
{
    const std::lock_guard lock(m_mutex);
    m_step = -1;
}

double Watchdog::medianSeconds() const
{
    std::vector<double> sorted(m_lengths.begin(), m_lengths.end());
    if (sorted.empty())
        return 0;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    return *middle;
}

void Watchdog::watch(std::stop_token stop)
{
    std::unique_lock lock(m_mutex);
    while (!stop.stop_requested()) {
        m_changed.wait(lock, stop, [&] { return m_step >= 0 && !m_late && m_lengths.size() >= kNeeded; });
        if (stop.stop_requested())
            return;
        const auto turn = m_turn;
        const auto limit = std::max<std::chrono::duration<double>>(
            m_limits.least, std::chrono::duration<double>(m_limits.factor * medianSeconds()));
        const auto deadline = m_begun + std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit);
        const bool over = m_changed.wait_until(lock, stop, deadline, [&] { return m_turn != turn || m_step < 0; });
        if (over || stop.stop_requested())
            continue;
        m_late = true;
        const Late late{m_step, secondsSince(m_begun), medianSeconds()};
        lock.unlock();  // the bark may take its time
        m_bark(late);
        lock.lock();
    }
}

} // namespace fettle::jobs

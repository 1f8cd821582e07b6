#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace fettle::jobs {

/// Notices a step that takes far longer than its kind, while it is still going on. The clock stands
/// still while the machine sleeps, so a closed lid is no long step.
class Watchdog
{
public:
    struct Limits
    {
        double factor = 10;                       ///< times the median of the last steps
        std::chrono::milliseconds least{30'000};  ///< never sooner
    };
    struct Late
    {
        std::int64_t step = 0;
        double seconds = 0, median = 0;
    };
    /// `bark` is called once for a late step, from the watchdog's thread.
    Watchdog(std::function<void(const Late&)> bark, Limits limits);
    explicit Watchdog(std::function<void(const Late&)> bark) : Watchdog(std::move(bark), Limits{}) {}
    ~Watchdog();

    /// A step begins. Without an end() a new begin() takes its place uncounted.
    void begin(std::int64_t step);
    /// It is over. Gives its length when it was late.
    std::optional<Late> end();
    /// No step is going on; the one that began is not counted.
    void rest();

private:
    void watch(std::stop_token stop);
    double medianSeconds() const;

    const std::function<void(const Late&)> m_bark;
    const Limits m_limits;
    mutable std::mutex m_mutex;
    std::condition_variable_any m_changed;
    // guarded by m_mutex
    std::deque<double> m_lengths;  // seconds of the last steps
    std::int64_t m_step = -1;      // -1: none is going on
    std::int64_t m_turn = 0;       // counts begin(), so that a wait ends with its step
    std::chrono::steady_clock::time_point m_begun;
    bool m_late = false;
    std::jthread m_thread;  // last: starts when all else is there
};

} // namespace fettle::jobs

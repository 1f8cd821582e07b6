#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace fettle {

/// Milliseconds since 1970 in UTC.
std::int64_t nowMilliseconds();
/// "2026-11-24T16:30:00Z".
std::string isoTime(std::int64_t milliseconds);

/// Seconds since it was made or restarted, on the steady clock.
class Stopwatch
{
public:
    double seconds() const
    {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - m_start).count();
    }
    void restart() { m_start = std::chrono::steady_clock::now(); }

private:
    std::chrono::steady_clock::time_point m_start = std::chrono::steady_clock::now();
};

} // namespace fettle

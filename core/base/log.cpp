#include "base/log.h"

#include <cstdio>
#include <mutex>

namespace fettle {

namespace {

std::mutex& sinkMutex()
{
    static std::mutex mutex;
    return mutex;
}

std::function<void(LogLevel, std::string_view, std::string_view)>& sink()
{
    static std::function<void(LogLevel, std::string_view, std::string_view)> current;  // guarded by sinkMutex
    return current;
}

} // namespace

void setLogSink(std::function<void(LogLevel, std::string_view, std::string_view)> newSink)
{
    const std::lock_guard lock(sinkMutex());
    sink() = std::move(newSink);
}

void logLine(LogLevel level, std::string_view area, std::string_view line)
{
    const std::lock_guard lock(sinkMutex());
    if (sink()) {
        sink()(level, area, line);
        return;
    }
    if (level != LogLevel::Info)
        fmt::print(stderr, "{}: {}\n", area, line);
}

} // namespace fettle

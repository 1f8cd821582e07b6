#pragma once

#include <fmt/format.h>
#include <functional>
#include <string>
#include <string_view>

namespace fettle {

enum class LogLevel { Info, Warning, Error };

/// Where log lines go; the default writes to stderr. Set once in app/, before any thread starts.
/// Log lines never hold text from a user's data.
void setLogSink(std::function<void(LogLevel, std::string_view area, std::string_view line)> sink);
void logLine(LogLevel level, std::string_view area, std::string_view line);

template<class... Args>
void logInfo(std::string_view area, fmt::format_string<Args...> format, Args&&... args)
{
    logLine(LogLevel::Info, area, fmt::format(format, std::forward<Args>(args)...));
}
template<class... Args>
void logWarning(std::string_view area, fmt::format_string<Args...> format, Args&&... args)
{
    logLine(LogLevel::Warning, area, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace fettle

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <time.h>
#include <unistd.h>

namespace fettle::bench {

/// A line of /proc/self/status that ends in kB ("VmHWM", "RssAnon"), in bytes; 0 when there is
/// none.
inline std::uint64_t statusBytes(const char* key)
{
    std::FILE* file = std::fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kilobytes = 0;
    while (file && std::fgets(line, sizeof(line), file)) {
        if (std::strncmp(line, key, std::strlen(key)) == 0)
            std::sscanf(line + std::strlen(key), ": %llu", &kilobytes);
    }
    if (file)
        std::fclose(file);
    return kilobytes * 1024;
}

/// Processor time of this process, all threads: what a busy machine disturbs least.
inline double processorSeconds()
{
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

/// Since this process began, by the kernel's clock (hundredths), the loader's work included.
inline double secondsSinceStart()
{
    std::FILE* file = std::fopen("/proc/self/stat", "re");
    char line[1024] = "";
    const bool read = file && std::fgets(line, sizeof(line), file);
    if (file)
        std::fclose(file);
    const char* after = read ? std::strrchr(line, ')') : nullptr;
    unsigned long long ticks = 0;
    for (int field = 2; after && field < 22; ++field)
        after = std::strchr(after + 1, ' ');
    if (!after || std::sscanf(after, "%llu", &ticks) != 1)
        return 0;
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 -
           static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

} // namespace fettle::bench

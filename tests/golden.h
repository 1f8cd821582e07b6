#pragma once

#include "base/json.h"

#include <QTest>
#include <cmath>
#include <filesystem>
#include <string>

namespace fettle::tests {

inline std::filesystem::path sourceFolder() { return FETTLE_SOURCE_DIR; }

inline Json golden(const std::string& name)
{
    return readJsonFile(sourceFolder() / "tests" / "golden" / name).value();
}

/// |a - b| <= absolute + relative * |b|
inline bool near(double a, double b, double relative, double absolute)
{
    return std::abs(a - b) <= absolute + relative * std::abs(b);
}

/// The starter model's GGUF, which set-up puts into the cache; empty when it is not there.
inline std::filesystem::path starterGguf()
{
    if (const char* stated = std::getenv("FETTLE_STARTER_GGUF"))
        return stated;
    const char* cache = std::getenv("FETTLE_CACHE");
    const char* home = std::getenv("HOME");
    const std::filesystem::path folder = cache ? std::filesystem::path(cache) : std::filesystem::path(home ? home : "/") / ".cache/fettle";
    const auto file = folder / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";
    return std::filesystem::exists(file) ? file : std::filesystem::path();
}

} // namespace fettle::tests

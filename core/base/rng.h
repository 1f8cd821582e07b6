#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fettle {

/// Random numbers as a pure function of (seed, purpose, step, index): nothing to save, nothing to
/// restore, the same on every machine. Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers:
/// As Easy as 1, 2, 3"). Thread-safe: there is no state.
class Rng
{
public:
    /// `purpose` keeps streams apart: "data order", "dropout", "adapter init".
    Rng(std::uint64_t seed, std::string_view purpose);

    /// Four 32-bit words for the counter (step, index).
    std::array<std::uint32_t, 4> block(std::uint64_t step, std::uint64_t index) const;
    /// 64 random bits.
    std::uint64_t bits(std::uint64_t step, std::uint64_t index) const;
    /// Uniform in [0, 1), 53 bits.
    double uniform(std::uint64_t step, std::uint64_t index) const;
    /// A random order of 0 .. size-1 (Fisher-Yates), a function of the step alone.
    std::vector<std::uint32_t> permutation(std::uint32_t size, std::uint64_t step) const;

    /// Key words for kernels that run Philox themselves.
    std::array<std::uint32_t, 2> key() const { return m_key; }

private:
    std::array<std::uint32_t, 2> m_key;
};

} // namespace fettle

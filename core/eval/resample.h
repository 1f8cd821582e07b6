#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

namespace fettle::eval {

/// xoshiro256** (Blackman and Vigna 2018, "Scrambled Linear Pseudorandom Number Generators"), its
/// state filled by four outputs of SplitMix64(seed). The same numbers on every machine.
class Xoshiro256
{
public:
    explicit Xoshiro256(std::uint64_t seed);
    std::uint64_t next();
    /// Uniform in [0, 1), 53 bits.
    double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    /// floor(size * uniform): 0 .. size-1.
    std::uint32_t index(std::uint32_t size)
    {
        return static_cast<std::uint32_t>(static_cast<double>(size) * uniform());
    }

private:
    std::array<std::uint64_t, 4> m_state;
};

/// Fills the row indices of the next resample.
using NextResample = std::function<void(std::span<std::uint32_t> indices)>;
/// Rows drawn with replacement.
NextResample randomResamples(std::uint64_t seed);

} // namespace fettle::eval

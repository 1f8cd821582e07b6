#include "eval/resample.h"

#include <bit>
#include <memory>

namespace fettle::eval {

Xoshiro256::Xoshiro256(std::uint64_t seed)
{
    for (auto& word : m_state) { // SplitMix64
        seed += 0x9e3779b97f4a7c15u;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        word = z ^ (z >> 31);
    }
}

std::uint64_t Xoshiro256::next()
{
    const std::uint64_t result = std::rotl(m_state[1] * 5, 7) * 9;
    const std::uint64_t shifted = m_state[1] << 17;
    m_state[2] ^= m_state[0];
    m_state[3] ^= m_state[1];
    m_state[1] ^= m_state[2];
    m_state[0] ^= m_state[3];
    m_state[2] ^= shifted;
    m_state[3] = std::rotl(m_state[3], 45);
    return result;
}

NextResample randomResamples(std::uint64_t seed)
{
    return [random = std::make_shared<Xoshiro256>(seed)](std::span<std::uint32_t> indices) {
        const auto size = static_cast<std::uint32_t>(indices.size());
        for (auto& index : indices)
            index = random->index(size);
    };
}

} // namespace fettle::eval

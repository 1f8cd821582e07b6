#include "base/rng.h"

#include <numeric>

namespace fettle {

namespace {

std::uint64_t splitMix(std::uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

} // namespace

Rng::Rng(std::uint64_t seed, std::string_view purpose)
{
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a of the purpose
    for (const char c : purpose)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    const std::uint64_t mixed = splitMix(splitMix(seed) ^ hash);
    m_key = {static_cast<std::uint32_t>(mixed), static_cast<std::uint32_t>(mixed >> 32)};
}

std::array<std::uint32_t, 4> Rng::block(std::uint64_t step, std::uint64_t index) const
{
    std::array<std::uint32_t, 4> c = {
        static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
        static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)};
    auto [k0, k1] = m_key;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0];
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2];
        c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c;
}

std::uint64_t Rng::bits(std::uint64_t step, std::uint64_t index) const
{
    const auto words = block(step, index);
    return std::uint64_t{words[1]} << 32 | words[0];
}

double Rng::uniform(std::uint64_t step, std::uint64_t index) const
{
    return static_cast<double>(bits(step, index) >> 11) * 0x1p-53;
}

std::vector<std::uint32_t> Rng::permutation(std::uint32_t size, std::uint64_t step) const
{
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t i = size; i > 1; --i) {
        const auto j = static_cast<std::uint32_t>(
            (static_cast<unsigned __int128>(bits(step, i)) * i) >> 64);
        std::swap(order[i - 1], order[j]);
    }
    return order;
}

} // namespace fettle

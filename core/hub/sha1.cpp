#include "hub/sha1.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace fettle::hub {

void Sha1::block(const std::uint8_t* bytes)
{
    std::array<std::uint32_t, 80> w{};
    for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t k = 0; k < 4; ++k)
            w[i] = w[i] << 8 | bytes[4 * i + k];
    }
    for (std::size_t i = 16; i < 80; ++i)
        w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = m_state;
    for (std::size_t i = 0; i < 80; ++i) {
        std::uint32_t f = 0, k = 0;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5a827999u;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1u;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdcu;
        else
            f = b ^ c ^ d, k = 0xca62c1d6u;
        const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
        e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    m_state[0] += a, m_state[1] += b, m_state[2] += c, m_state[3] += d, m_state[4] += e;
}

void Sha1::update(const void* data, std::size_t size)
{
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    m_total += size;
    while (size > 0) {
        const std::size_t part = std::min(size, m_buffer.size() - m_filled);
        std::memcpy(m_buffer.data() + m_filled, bytes, part);
        m_filled += part, bytes += part, size -= part;
        if (m_filled == m_buffer.size()) {
            block(m_buffer.data());
            m_filled = 0;
        }
    }
}

std::string Sha1::finish()
{
    const std::uint64_t bits = m_total * 8;
    const std::uint8_t one = 0x80, zero = 0;
    update(&one, 1);
    while (m_filled != 56)
        update(&zero, 1);
    std::array<std::uint8_t, 8> length{};
    for (std::size_t i = 0; i < 8; ++i)
        length[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    update(length.data(), length.size());
    std::string text;
    for (const auto word : m_state)
        text += fmt::format("{:08x}", word);
    return text;
}

} // namespace fettle::hub

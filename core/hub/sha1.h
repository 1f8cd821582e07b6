#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace fettle::hub {

/// SHA-1 (FIPS 180-4) of a stream of bytes. Only to recognise files by the name that git gives
/// them; it is no protection against somebody who makes two files of one name.
class Sha1
{
public:
    void update(const void* data, std::size_t size);
    /// 40 lower-case hexadecimal digits; the object must not be used afterwards.
    std::string finish();

private:
    void block(const std::uint8_t* bytes);

    std::array<std::uint32_t, 5> m_state{0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u,
                                         0xc3d2e1f0u};
    std::array<std::uint8_t, 64> m_buffer{};
    std::size_t m_filled = 0;
    std::uint64_t m_total = 0;
};

} // namespace fettle::hub

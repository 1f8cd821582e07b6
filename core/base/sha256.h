#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace fettle {

/// SHA-256 (FIPS 180-4) of a stream of bytes.
class Sha256
{
public:
    Sha256();
    void update(const void* data, std::size_t size);
    void update(std::string_view text) { update(text.data(), text.size()); }
    /// 64 lower-case hexadecimal digits; the object must not be used afterwards.
    std::string finish();

private:
    void block(const std::uint8_t* bytes);

    std::array<std::uint32_t, 8> m_state;
    std::array<std::uint8_t, 64> m_buffer{};
    std::size_t m_filled = 0;
    std::uint64_t m_total = 0;
};

std::string sha256(std::string_view text);
Result<std::string> sha256OfFile(const std::filesystem::path& path);

} // namespace fettle

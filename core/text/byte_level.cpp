#include "text/byte_level.h"

#include "base/text.h"

#include <cstdint>

namespace fettle::text {

namespace {

constexpr int kFirstExtra = 0x100;
constexpr int kExtras = 68;

bool standsForItself(int byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Byte of each code point below 0x100 + 68; -1 where there is none.
const std::array<std::int16_t, kFirstExtra + kExtras>& byteOfChar()
{
    static const auto table = [] {
        std::array<std::int16_t, kFirstExtra + kExtras> bytes{};
        bytes.fill(-1);
        int extra = kFirstExtra;
        for (std::int16_t byte = 0; byte < 256; ++byte)
            bytes[static_cast<std::size_t>(standsForItself(byte) ? byte : extra++)] = byte;
        return bytes;
    }();
    return table;
}

} // namespace

const std::array<std::string, 256>& byteLevelAlphabet()
{
    static const auto alphabet = [] {
        std::array<std::string, 256> chars;
        char32_t extra = kFirstExtra;
        for (int byte = 0; byte < 256; ++byte)
            appendUtf8(chars[static_cast<std::size_t>(byte)],
                       standsForItself(byte) ? static_cast<char32_t>(byte) : extra++);
        return chars;
    }();
    return alphabet;
}

std::string toByteLevel(std::string_view bytes)
{
    const auto& alphabet = byteLevelAlphabet();
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 4);
    for (const char c : bytes)
        out += alphabet[static_cast<unsigned char>(c)];
    return out;
}

void appendFromByteLevel(std::string& out, std::string_view token)
{
    const auto& bytes = byteOfChar();
    const std::size_t start = out.size();
    for (std::size_t at = 0; at < token.size();) {
        const char32_t c = nextCodePoint(token, at);
        if (c >= bytes.size() || bytes[c] < 0) {
            out.resize(start);
            out += token;
            return;
        }
        out += static_cast<char>(bytes[c]);
    }
}

} // namespace fettle::text

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fettle::text {

/// Classes of code points that the split patterns ask for, as bits of one byte.
enum CharClass : std::uint8_t
{
    kLetter = 1,       ///< \p{L}
    kNumber = 2,       ///< \p{N}
    kSpace = 4,        ///< White_Space: what \s means in Oniguruma and in Rust
    kMark = 8,         ///< \p{M}
    kWord = 16,        ///< \w: alphabetic, mark, decimal digit, connector, joiner
    kPunctuation = 32, ///< what the reference's word splitters take for it: \p{P} of Unicode 8
    kNewer = 64        ///< see newerCharacters()
};

/// All classes of all 0x110000 code points, from ICU; built at first use, then constant.
const std::uint8_t* charClasses();

inline bool isClass(char32_t c, std::uint8_t classes) { return (charClasses()[c] & classes) != 0; }

/// Code point at `at` of well-formed UTF-8; `at` moves behind it. No checks: see toValidUtf8.
inline char32_t decodeValid(const char* text, std::size_t& at)
{
    const auto byte = [&](std::size_t i) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
    };
    const char32_t first = byte(at);
    if (first < 0x80) {
        at += 1;
        return first;
    }
    if (first < 0xE0) {
        at += 2;
        return (first & 0x1F) << 6 | (byte(at - 1) & 0x3F);
    }
    if (first < 0xF0) {
        at += 3;
        return (first & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
    }
    at += 4;
    return (first & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 |
           (byte(at - 1) & 0x3F);
}

/// Last code point of non-empty well-formed UTF-8; `length` is its number of bytes.
char32_t lastCodePoint(std::string_view text, std::size_t& length);

/// True for what Unicode had in that version already.
bool isSince(char32_t c, int version);

/// Full lower case of one code point, without context (no final-sigma rule).
void appendLower(std::string& out, char32_t c);

} // namespace fettle::text

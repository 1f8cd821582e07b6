#include "text/unicode.h"

#include "base/text.h"
#include "text/newer_characters.h"

#include <memory>
#include <unicode/uchar.h>

namespace fettle::text {

namespace {

constexpr UChar32 kCodePoints = 0x110000;

UBool markRange(const void* context, UChar32 start, UChar32 limit, UCharCategory category)
{
    auto* table = static_cast<std::uint8_t*>(const_cast<void*>(context));
    const std::uint32_t mask = U_MASK(category);
    std::uint8_t classes = 0;
    if (mask & U_GC_L_MASK)
        classes |= kLetter | kWord;
    if (mask & U_GC_N_MASK)
        classes |= kNumber;
    if (mask & U_GC_M_MASK)
        classes |= kMark | kWord;
    if (mask & (U_GC_ND_MASK | U_GC_PC_MASK))
        classes |= kWord;
    const bool punctuation = (mask & U_GC_P_MASK) != 0;
    for (UChar32 c = start; c < limit; ++c)
        table[c] = static_cast<std::uint8_t>(
            classes | (punctuation && isSince(static_cast<char32_t>(c), 8) ? kPunctuation : 0));
    return true;
}

std::unique_ptr<std::uint8_t[]> makeTable()
{
    auto table = std::make_unique<std::uint8_t[]>(kCodePoints);
    u_enumCharTypes(markRange, table.get());
    // White space and the alphabetic symbols lie in the first two planes.
    for (UChar32 c = 0; c < 0x20000; ++c) {
        if (u_isUWhiteSpace(c))
            table[c] |= kSpace;
        if (u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
            table[c] |= kWord;
    }
    // Punctuation in Unicode 8, something else today.
    table[0x166D] |= kPunctuation;
    table[0x111C9] |= kPunctuation;
    for (const NewerCharacters& range : newerCharacters()) {
        const std::uint8_t known = table[range.standIn] & (kLetter | kNumber | kMark | kWord);
        for (char32_t c = range.first; c <= range.last; ++c)
            table[c] |= known | kNewer;
    }
    return table;
}

/// Lower case, with the letters of Unicode 16 and 17 that ICU 72 does not know.
char32_t lowerOf(char32_t c)
{
    if (c >= 0x10D50 && c <= 0x10D65)
        return c + 0x20;
    if (c >= 0x16EA0 && c <= 0x16EB8)
        return c + 0x1B;
    switch (c) {
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
        return c + 1;
    case 0xA7CB:
        return 0x264;
    case 0xA7DC:
        return 0x19B;
    default:
        return static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
    }
}

} // namespace

const std::uint8_t* charClasses()
{
    static const auto table = makeTable();
    return table.get();
}

char32_t lastCodePoint(std::string_view text, std::size_t& length)
{
    std::size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80)
        --start;
    length = text.size() - start;
    return decodeValid(text.data(), start);
}

bool isSince(char32_t c, int version)
{
    UVersionInfo since;
    u_charAge(static_cast<UChar32>(c), since);
    return since[0] > 0 && since[0] <= version;
}

void appendLower(std::string& out, char32_t c)
{
    if (c == 0x130) // the one code point whose lower case is two
        out += "i\xCC\x87";
    else
        appendUtf8(out, lowerOf(c));
}

} // namespace fettle::text

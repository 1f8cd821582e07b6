#include "text/unicode.h"

#include "base/text.h"

#include <memory>
#include <unicode/uchar.h>
#include <utility>

namespace fettle::text {

namespace {

constexpr UChar32 kCodePoints = 0x110000;

// Letters and digits of Unicode 16, which the reference knows and ICU 72 does not.
constexpr std::pair<UChar32, UChar32> kNewLetters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3},
    {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x11380, 0x11389},
    {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113B7},
    {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0}, {0x13460, 0x143FA},
    {0x16100, 0x1611D}, {0x16D40, 0x16D6C}, {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED},
    {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D}};
constexpr std::pair<UChar32, UChar32> kNewNumbers[] = {
    {0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
    {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA}};

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
    if (mask & U_GC_P_MASK)
        classes |= kPunctuation;
    for (UChar32 c = start; c < limit; ++c)
        table[c] = classes;
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
    for (const auto& [first, last] : kNewLetters) {
        for (UChar32 c = first; c <= last; ++c)
            table[c] |= kLetter | kWord;
    }
    for (const auto& [first, last] : kNewNumbers) {
        for (UChar32 c = first; c <= last; ++c)
            table[c] |= kNumber | kWord;
    }
    return table;
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

void appendLower(std::string& out, char32_t c)
{
    if (c == 0x130) // the one code point whose lower case is two
        out += "i\xCC\x87";
    else
        appendUtf8(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
}

} // namespace fettle::text

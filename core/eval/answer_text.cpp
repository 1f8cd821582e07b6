#include "eval/answer_text.h"

#include "base/text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace fettle::eval {

namespace {

/// White space of Python's str.split(). Library functions differ on U+001C to U+001F.
bool isSpace(char32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool isAsciiPunctuation(char32_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

bool isWordCharacter(char32_t c)
{
    return (U_GET_GC_MASK(static_cast<UChar32>(c)) & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}

bool isArticle(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

/// `text` has no punctuation any more, so a word is a maximal run of letters and digits.
std::string withoutArticles(std::string_view text)
{
    std::string out, word;
    const auto endWord = [&] {
        out += isArticle(word) ? " " : word;
        word.clear();
    };
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = nextCodePoint(text, at);
        if (isWordCharacter(c)) {
            appendUtf8(word, c);
        } else {
            endWord();
            appendUtf8(out, c);
        }
    }
    endWord();
    return out;
}

} // namespace

std::string lowerUnicode(std::string_view text)
{
    std::string out;
    icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())))
        .toLower(icu::Locale::getRoot())
        .toUTF8String(out);
    return out;
}

std::vector<std::string> splitWhitespace(std::string_view text)
{
    std::vector<std::string> pieces;
    bool inPiece = false;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = nextCodePoint(text, at);
        if (isSpace(c)) {
            inPiece = false;
            continue;
        }
        if (!inPiece)
            pieces.emplace_back();
        inPiece = true;
        appendUtf8(pieces.back(), c);
    }
    return pieces;
}

std::string strippedText(std::string_view text)
{
    std::size_t begin = text.size(), end = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        if (isSpace(nextCodePoint(text, at)))
            continue;
        begin = std::min(begin, start);
        end = at;
    }
    return begin < end ? std::string(text.substr(begin, end - begin)) : std::string();
}

std::string squadNormalised(std::string_view text)
{
    std::string plain;
    const std::string lower = lowerUnicode(text);
    for (std::size_t at = 0; at < lower.size();) {
        const char32_t c = nextCodePoint(lower, at);
        if (!isAsciiPunctuation(c))
            appendUtf8(plain, c);
    }
    std::string out;
    for (const auto& word : splitWhitespace(withoutArticles(plain)))
        out += (out.empty() ? "" : " ") + word;
    return out;
}

} // namespace fettle::eval

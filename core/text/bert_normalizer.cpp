#include "text/bert_normalizer.h"

#include "base/text.h"
#include "text/normal_form.h"
#include "text/unicode.h"

#include <unicode/uchar.h>

namespace fettle::text {

namespace {

bool isCjk(char32_t c)
{
    // The start of the sixth range is what the reference's code has.
    constexpr std::pair<char32_t, char32_t> kRanges[] = {
        {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
        {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    for (const auto& [first, last] : kRanges) {
        if (c >= first && c <= last)
            return true;
    }
    return false;
}

bool isControl(char32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r')
        return false;
    const auto type = u_charType(static_cast<UChar32>(c));
    return type == U_CONTROL_CHAR || type == U_PRIVATE_USE_CHAR ||
           (type == U_FORMAT_CHAR && isSince(c, 8));
}

/// Marks without width as Unicode 8 had them, the version of the reference.
bool isAccent(char32_t c)
{
    if (c == 0x1885 || c == 0x1886 || c == 0xA9BD)
        return false;
    return c == 0x1734 ||
           (u_charType(static_cast<UChar32>(c)) == U_NON_SPACING_MARK && isSince(c, 8));
}

const NormalForm& canonical()
{
    static const NormalForm form("NFD");
    return form;
}

class BertNormalizer final : public Normalizer
{
public:
    BertNormalizer(bool clean, bool cjk, bool strip, bool lower)
        : m_clean(clean)
        , m_cjk(cjk)
        , m_strip(strip)
        , m_lower(lower)
    {
    }

    void apply(std::string& text) const override { run(text); }
    void apply(AlignedText& text) const override { run(text); }
    double growth() const override { return 9; } // spaces 5/3, canonical forms 3, lower case 1.5

private:
    template<typename Text> void run(Text& text) const
    {
        if (m_clean)
            eachCharacter(text, [](std::string& out, char32_t c) {
                if (c == 0 || c == 0xFFFD || isControl(c))
                    return;
                appendUtf8(out, isClass(c, kSpace) ? U' ' : c);
            });
        if (m_cjk)
            eachCharacter(text, [](std::string& out, char32_t c) {
                const bool apart = isCjk(c);
                if (apart)
                    out += ' ';
                appendUtf8(out, c);
                if (apart)
                    out += ' ';
            });
        if (m_strip) {
            canonical().apply(text);
            eachCharacter(text, [](std::string& out, char32_t c) {
                if (!isAccent(c))
                    appendUtf8(out, c);
            });
        }
        if (m_lower)
            eachCharacter(text, appendLower);
    }

    bool m_clean, m_cjk, m_strip, m_lower;
};

} // namespace

Result<std::unique_ptr<const Normalizer>> makeBertNormalizer(const JsonPart& part)
{
    if (auto known = part.onlyKeys(
            {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
        !known)
        return known.error();
    const auto clean = part.flag("clean_text", true), cjk = part.flag("handle_chinese_chars", true);
    const auto lower = part.flag("lowercase", true);
    if (!clean || !cjk || !lower)
        return part.badKinds();
    const auto strip = part.flag("strip_accents", *lower); // null follows lowercase
    if (!strip)
        return part.badKinds();
    return std::unique_ptr<const Normalizer>(new BertNormalizer(*clean, *cjk, *strip, *lower));
}

} // namespace fettle::text

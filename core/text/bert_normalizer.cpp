#include "text/bert_normalizer.h"

#include "base/text.h"
#include "text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
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
    return type == U_CONTROL_CHAR || type == U_FORMAT_CHAR || type == U_UNASSIGNED ||
           type == U_PRIVATE_USE_CHAR || type == U_SURROGATE;
}

std::string decomposed(const std::string& text)
{
    UErrorCode code = U_ZERO_ERROR;
    const auto* form = icu::Normalizer2::getNFDInstance(code);
    std::string out;
    icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
    form->normalizeUTF8(0, text, sink, nullptr, code);
    return out;
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

    void apply(std::string& text) const override
    {
        if (m_clean)
            each(text, [](std::string& out, char32_t c) {
                if (c == 0 || c == 0xFFFD || isControl(c))
                    return;
                appendUtf8(out, isClass(c, kSpace) ? U' ' : c);
            });
        if (m_cjk)
            each(text, [](std::string& out, char32_t c) {
                const bool apart = isCjk(c);
                if (apart)
                    out += ' ';
                appendUtf8(out, c);
                if (apart)
                    out += ' ';
            });
        if (m_strip) {
            text = decomposed(text);
            each(text, [](std::string& out, char32_t c) {
                if (u_charType(static_cast<UChar32>(c)) != U_NON_SPACING_MARK)
                    appendUtf8(out, c);
            });
        }
        if (m_lower)
            each(text, [](std::string& out, char32_t c) { appendLower(out, c); });
    }

private:
    template<typename Write> static void each(std::string& text, const Write& write)
    {
        std::string out;
        out.reserve(text.size());
        for (std::size_t at = 0; at < text.size();)
            write(out, decodeValid(text.data(), at));
        text = std::move(out);
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

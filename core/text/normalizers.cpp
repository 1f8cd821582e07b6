#include "text/normalizers.h"

#include "base/text.h"
#include "text/bert_normalizer.h"
#include "text/byte_level.h"
#include "text/json_parts.h"
#include "text/normal_form.h"
#include "text/regex.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text {

namespace {

class UnicodeForm final : public Normalizer
{
public:
    explicit UnicodeForm(const std::string& name)
        : m_form(name)
    {
    }
    void apply(std::string& text) const override { m_form.apply(text); }
    void apply(AlignedText& text) const override { m_form.apply(text); }
    double growth() const override { return 11; } // U+FDFA: 3 bytes -> 33

private:
    NormalForm m_form;
};

class Lowercase final : public Normalizer
{
public:
    void apply(std::string& text) const override { eachCharacter(text, appendLower); }
    void apply(AlignedText& text) const override { eachCharacter(text, appendLower); }
    double growth() const override { return 1.5; } // U+0130, U+023A: 2 bytes -> 3
};

class Prepend final : public Normalizer
{
public:
    explicit Prepend(std::string front)
        : m_front(std::move(front))
    {
    }
    void apply(std::string& text) const override
    {
        if (!text.empty())
            text.insert(0, m_front);
    }
    void apply(AlignedText& text) const override { text.prepend(m_front); }

private:
    std::string m_front;
};

class Replace final : public Normalizer
{
public:
    explicit Replace(Replacement replacement)
        : m_replacement(std::move(replacement))
    {
    }
    void apply(std::string& text) const override { m_replacement.apply(text); }
    void apply(AlignedText& text) const override { m_replacement.apply(text); }
    double growth() const override { return m_replacement.growth(); }

private:
    Replacement m_replacement;
};

/// White space off the ends.
class StripEnds final : public Normalizer
{
public:
    StripEnds(bool left, bool right)
        : m_left(left)
        , m_right(right)
    {
    }
    void apply(std::string& text) const override
    {
        const Range kept = inside(text);
        text = text.substr(kept.begin, kept.end - kept.begin);
    }
    void apply(AlignedText& text) const override
    {
        const Range kept = inside(text.text());
        text.cut(kept.begin, kept.end);
    }

private:
    Range inside(const std::string& text) const
    {
        std::size_t begin = 0, end = text.size();
        while (m_left && begin < end) {
            std::size_t next = begin;
            if (!isClass(decodeValid(text.data(), next), kSpace))
                break;
            begin = next;
        }
        while (m_right && end > begin) {
            std::size_t length = 0;
            if (!isClass(lastCodePoint(std::string_view(text).substr(0, end), length), kSpace))
                break;
            end -= length;
        }
        return {begin, end};
    }

    bool m_left, m_right;
};

/// Character by character: 0 drops one, another value replaces it.
class CharacterMap final : public Normalizer
{
public:
    explicit CharacterMap(char32_t (*map)(char32_t))
        : m_map(map)
    {
    }
    void apply(std::string& text) const override { run(text); }
    void apply(AlignedText& text) const override { run(text); }

private:
    template<typename Text> void run(Text& text) const
    {
        eachCharacter(text, [this](std::string& out, char32_t c) {
            if (c == 0)
                out += '\0';
            else if (const char32_t mapped = m_map(c))
                appendUtf8(out, mapped);
        });
    }

    char32_t (*m_map)(char32_t);
};

/// The marks of Unicode 9, which the reference knows.
char32_t withoutMarks(char32_t c)
{
    const bool mark = (isClass(c, kMark) && isSince(c, 9)) || c == 0x1CF2 || c == 0x1CF3;
    return mark ? 0 : c;
}

/// The rules of "nmt": control characters go, odd spaces become spaces.
char32_t nmt(char32_t c)
{
    if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
        c == 0x8F || c == 0x9F)
        return 0;
    const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    return space ? U' ' : c;
}

class ByteLevelForm final : public Normalizer
{
public:
    void apply(std::string& text) const override { text = toByteLevel(text); }
    void apply(AlignedText& text) const override
    {
        text.each([](std::string& out, char32_t c) {
            std::string bytes;
            appendUtf8(bytes, c);
            out += toByteLevel(bytes);
        });
    }
    double growth() const override { return 2; }
};

Result<void> addNormalizer(const JsonPart& part, Normalizers& out, int depth)
{
    const std::string type = part.type();
    if (depth > 16)
        return part.invalid("sequences are nested too deeply");
    if (type == "Sequence") {
        const Json& list = part.child("normalizers");
        if (!list.is_array())
            return part.badKinds();
        for (std::size_t i = 0; i < list.size(); ++i) {
            const JsonPart item(list[i], fmt::format("{}/normalizers/{}", part.place(), i));
            if (auto added = addNormalizer(item, out, depth + 1); !added)
                return added;
        }
        return part.onlyKeys({"type", "normalizers"});
    }
    if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
        out.push_back(std::make_unique<UnicodeForm>(type));
        return part.onlyKeys({"type"});
    }
    if (type == "Lowercase") {
        out.push_back(std::make_unique<Lowercase>());
        return part.onlyKeys({"type"});
    }
    if (type == "Prepend") {
        const auto front = part.text("prepend");
        if (!front)
            return part.badKinds();
        out.push_back(std::make_unique<Prepend>(*front));
        return part.onlyKeys({"type", "prepend"});
    }
    if (type == "Replace") {
        auto replacement = Replacement::fromJson(part.json(), part.place());
        if (!replacement)
            return replacement.error();
        out.push_back(std::make_unique<Replace>(*std::move(replacement)));
        return part.onlyKeys({"type", "pattern", "content"});
    }
    if (type == "Strip") {
        const auto left = part.flag("strip_left", true), right = part.flag("strip_right", true);
        if (!left || !right)
            return part.badKinds();
        out.push_back(std::make_unique<StripEnds>(*left, *right));
        return part.onlyKeys({"type", "strip_left", "strip_right"});
    }
    if (type == "StripAccents" || type == "Nmt") {
        out.push_back(std::make_unique<CharacterMap>(type == "Nmt" ? nmt : withoutMarks));
        return part.onlyKeys({"type"});
    }
    if (type == "ByteLevel") {
        out.push_back(std::make_unique<ByteLevelForm>());
        return part.onlyKeys({"type"});
    }
    if (type == "BertNormalizer" || type == "Precompiled") {
        auto made = type == "Precompiled" ? makePrecompiled(part) : makeBertNormalizer(part);
        if (!made)
            return made.error();
        out.push_back(*std::move(made));
        return {};
    }
    return part.unknown(fmt::format("the normalizer \"{}\"", type));
}

} // namespace

Result<Normalizers> readNormalizers(const Json& json)
{
    Normalizers out;
    if (json.is_null())
        return out;
    const JsonPart part(json, "/normalizer");
    if (auto added = addNormalizer(part, out, 0); !added)
        return added.error();
    double growth = 1;
    for (const auto& step : out)
        growth *= step->growth();
    if (auto bounded = part.boundedGrowth(growth); !bounded)
        return bounded.error();
    return out;
}

Result<Replacement> Replacement::fromJson(const Json& json, const std::string& place)
{
    const JsonPart part(json, place);
    const auto content = part.text("content");
    const Json& pattern = part.child("pattern");
    if (!content || !pattern.is_object() || pattern.size() != 1 || !pattern.begin()->is_string())
        return part.badKinds();
    Replacement out;
    out.m_content = *content;
    const std::string& text = pattern.begin()->get_ref<const std::string&>();
    if (pattern.begin().key() == "String") {
        out.m_literal = text;
    } else if (pattern.begin().key() == "Regex") {
        auto regex = Regex::compile(text);
        if (!regex)
            return at(regex.error(), place);
        out.m_regex = *regex;
    } else {
        return part.unknown(fmt::format("a pattern of kind \"{}\"", pattern.begin().key()));
    }
    return out;
}

std::vector<Range> Replacement::find(std::string_view text) const
{
    std::vector<Range> found;
    if (m_regex) {
        m_regex->findAll(text, found);
    } else if (!m_literal.empty()) {
        for (auto at = text.find(m_literal); at != std::string::npos;
             at = text.find(m_literal, at + m_literal.size()))
            found.push_back({at, at + m_literal.size()});
    }
    return found;
}

double Replacement::growth() const
{
    const auto content = static_cast<double>(m_content.size());
    const auto least =
        static_cast<double>(m_regex ? m_regex->shortestMatch() : m_literal.size());
    if (m_regex && least == 0) // may stand between any two bytes
        return 1 + content;
    return least == 0 ? 1 : std::max(1.0, content / least);
}

void Replacement::apply(std::string& text) const
{
    const auto found = find(text);
    if (found.empty())
        return;
    std::string out;
    out.reserve(text.size() + found.size() * m_content.size());
    std::size_t last = 0;
    for (const Range& range : found) {
        out.append(text, last, range.begin - last);
        out += m_content;
        last = range.end;
    }
    out.append(text, last);
    text = std::move(out);
}

void Replacement::apply(AlignedText& text) const { text.replace(find(text.text()), m_content); }

} // namespace fettle::text

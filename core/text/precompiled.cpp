#include "base/text.h"
#include "text/base64.h"
#include "text/bert_normalizer.h"
#include "text/unicode.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <unicode/brkiter.h>
#include <unicode/unistr.h>

namespace fettle::text {

namespace {

constexpr std::size_t kLongestGrapheme = 6; // bytes; longer ones are looked up letter by letter

/// A double-array trie in Darts' layout: each unit holds label, offset to its children and whether
/// a value stands there.
class Trie
{
public:
    explicit Trie(std::vector<std::uint32_t> units)
        : m_units(std::move(units))
    {
    }

    /// Value of the shortest prefix of `key` in the trie; absent when there is none.
    std::optional<std::uint32_t> shortestPrefix(std::string_view key) const
    {
        std::size_t node = 0;
        std::uint32_t unit = at(node);
        node ^= offset(unit);
        for (const char each : key) {
            const auto c = static_cast<unsigned char>(each);
            if (c == 0)
                return std::nullopt;
            node ^= c;
            unit = at(node);
            if ((unit & (1u << 31 | 0xFF)) != c)
                return std::nullopt;
            node ^= offset(unit);
            if (unit >> 8 & 1)
                return at(node) & ((1u << 31) - 1);
        }
        return std::nullopt;
    }

private:
    std::uint32_t at(std::size_t node) const { return node < m_units.size() ? m_units[node] : 0; }
    static std::size_t offset(std::uint32_t unit)
    {
        return static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) >> 6);
    }

    std::vector<std::uint32_t> m_units;
};

class Precompiled final : public Normalizer
{
public:
    Precompiled(Trie trie, std::string texts)
        : m_trie(std::move(trie))
        , m_texts(std::move(texts))
    {
    }

    void apply(std::string& text) const override
    {
        std::string out;
        out.reserve(text.size());
        eachPart(text, [&](std::string_view part, const char* other) {
            if (other)
                out += other;
            else
                out += part;
        });
        text = std::move(out);
    }

    void apply(AlignedText& text) const override
    {
        std::vector<AlignedText::Change> changes;
        bool any = false;
        eachPart(text.text(), [&](std::string_view part, const char* other) {
            any = any || other;
            addChanges(part, other ? std::string_view(other) : part, changes);
        });
        if (any)
            text.transform(changes);
    }

    double growth() const override // by the longest text of the table
    {
        std::size_t longest = 1, begin = 0;
        for (auto end = m_texts.find('\0'); begin < m_texts.size(); end = m_texts.find('\0', begin)) {
            longest = std::max(longest, std::min(end, m_texts.size()) - begin);
            if (end == std::string::npos)
                break;
            begin = end + 1;
        }
        return static_cast<double>(longest);
    }

private:
    /// Calls use(part, replacement) for what the table replaces, by grapheme or by letter;
    /// null: the part stays.
    template<typename Use> void eachPart(const std::string& text, const Use& use) const
    {
        for (const std::string_view grapheme : graphemes(text)) {
            const char* other =
                grapheme.size() < kLongestGrapheme ? replacement(grapheme) : nullptr;
            if (other) {
                use(grapheme, other);
                continue;
            }
            for (std::size_t at = 0; at < grapheme.size();) {
                const std::size_t start = at;
                decodeValid(grapheme.data(), at);
                const auto letter = grapheme.substr(start, at - start);
                use(letter, replacement(letter));
            }
        }
    }

    const char* replacement(std::string_view part) const
    {
        const auto place = m_trie.shortestPrefix(part);
        // A place inside a character would break the well-formed text that everything behind needs.
        const bool good = place && *place <= m_texts.size() &&
                          (static_cast<unsigned char>(m_texts.c_str()[*place]) & 0xC0) != 0x80;
        return good ? m_texts.c_str() + *place : nullptr;
    }

    /// What is more than before is added at the end, what is less goes with the last character
    /// written, be it of the part before (as in the reference).
    static void addChanges(std::string_view from, std::string_view to,
                           std::vector<AlignedText::Change>& changes)
    {
        const auto count = [](std::string_view text) {
            return std::ranges::count_if(
                text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
        };
        const auto before = count(from), after = count(to);
        std::ptrdiff_t written = 0;
        for (std::size_t at = 0; at < to.size();)
            changes.push_back({decodeValid(to.data(), at), written++ >= before ? 1 : 0});
        if (after < before && !changes.empty())
            changes.back().change -= static_cast<int>(before - after);
    }

    static std::vector<std::string_view> graphemes(const std::string& text)
    {
        UErrorCode code = U_ZERO_ERROR;
        thread_local const std::unique_ptr<icu::BreakIterator> breaks(
            icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), code));
        const auto wide = icu::UnicodeString::fromUTF8(text);
        std::vector<std::string_view> parts;
        if (!breaks)
            return parts;
        breaks->setText(wide);
        std::size_t begin = 0;
        for (int32_t last = breaks->first(), next = breaks->next();
             next != icu::BreakIterator::DONE; last = next, next = breaks->next()) {
            std::size_t bytes = 0;
            for (int32_t i = last; i < next;) {
                const UChar32 c = wide.char32At(i);
                bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
                i += c < 0x10000 ? 1 : 2;
            }
            parts.push_back(std::string_view(text).substr(begin, bytes));
            begin += bytes;
        }
        return parts;
    }

    Trie m_trie;
    std::string m_texts;
};

} // namespace

Result<std::unique_ptr<const Normalizer>> makePrecompiled(const JsonPart& part)
{
    if (auto known = part.onlyKeys({"type", "precompiled_charsmap"}); !known)
        return known.error();
    const auto text = part.text("precompiled_charsmap");
    if (!text)
        return part.badKinds();
    const auto blob = fromBase64(*text);
    std::uint32_t trieBytes = 0;
    if (blob && blob->size() >= sizeof(trieBytes))
        std::memcpy(&trieBytes, blob->data(), sizeof(trieBytes));
    if (!blob || trieBytes == 0 || trieBytes % 4 != 0 ||
        trieBytes >= blob->size() - sizeof(trieBytes) ||
        !isValidUtf8(std::string_view(*blob).substr(sizeof(trieBytes) + trieBytes)))
        return part.invalid("the table of characters ('precompiled_charsmap') is damaged");
    std::vector<std::uint32_t> units(trieBytes / 4);
    std::memcpy(units.data(), blob->data() + sizeof(trieBytes), trieBytes);
    return std::unique_ptr<const Normalizer>(
        new Precompiled(Trie(std::move(units)), blob->substr(sizeof(trieBytes) + trieBytes)));
}

} // namespace fettle::text

#include "text/character_splits.h"

#include "text/unicode.h"

#include <functional>
#include <unicode/uscript.h>

namespace fettle::text {

namespace {

bool isPunctuation(char32_t c)
{
    return isClass(c, kPunctuation) || (c > ' ' && c < 0x7F && !isClass(c, kLetter | kNumber));
}
bool isSpace(char32_t c) { return isClass(c, kSpace); }

/// Splits at single characters of a kind.
class CharacterSplit final : public PreTokenizer
{
public:
    CharacterSplit(std::function<bool(char32_t)> matches, SplitBehavior behavior)
        : m_matches(std::move(matches))
        , m_behavior(behavior)
    {
    }
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        std::vector<Range> found;
        for (const Piece& piece : pieces.list) {
            found.clear();
            for (std::size_t at = 0; at < piece.text.size();) {
                const std::size_t start = at;
                if (m_matches(decodeValid(piece.text.data(), at)))
                    found.push_back({start, at});
            }
            splitAt(piece, found, m_behavior, false, out);
        }
        pieces.list = std::move(out);
    }

private:
    std::function<bool(char32_t)> m_matches;
    SplitBehavior m_behavior;
};

/// Cuts where the kind of the characters changes. A kind of 0 is left out; 1 joins what stands
/// before it, and is left out at the start.
class KindSplit final : public PreTokenizer
{
public:
    explicit KindSplit(int (*kind)(char32_t))
        : m_kind(kind)
    {
    }
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        for (const Piece& piece : pieces.list) {
            std::size_t begin = 0;
            int current = 0;
            const auto flush = [&](std::size_t end) {
                if (current != 0 && end > begin)
                    out.push_back(piece.part(begin, end));
            };
            for (std::size_t at = 0; at < piece.text.size();) {
                const std::size_t start = at;
                const int kind = m_kind(decodeValid(piece.text.data(), at));
                if (kind == current || kind == 1)
                    continue;
                flush(start);
                begin = start;
                current = kind;
            }
            flush(piece.text.size());
        }
        pieces.list = std::move(out);
    }

private:
    int (*m_kind)(char32_t);
};

/// \w+ or runs of what is neither word nor space.
int wordKind(char32_t c) { return isClass(c, kWord) ? 2 : isSpace(c) ? 0 : 3; }

/// The script of a character; Japanese ones count as Han, a space joins any.
int scriptKind(char32_t c)
{
    if (c == ' ')
        return 1;
    UErrorCode code = U_ZERO_ERROR;
    auto script = uscript_getScript(static_cast<UChar32>(c), &code);
    if (script == USCRIPT_UNKNOWN || !isSince(c, 9)) // not in the reference's table
        return 1;
    // As that table, of Unicode 9, has them.
    if (c == 0x30FC)
        script = USCRIPT_HAN;
    else if (c == 0x589 || c == 0x61C)
        script = USCRIPT_COMMON;
    else if (c == 0x953 || c == 0x954)
        script = USCRIPT_DEVANAGARI;
    if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA)
        script = USCRIPT_HAN;
    return 2 + static_cast<int>(script);
}

class FixedLength final : public PreTokenizer
{
public:
    explicit FixedLength(std::size_t length)
        : m_length(length)
    {
    }
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        for (const Piece& piece : pieces.list) {
            for (std::size_t at = 0; at < piece.text.size();) {
                const std::size_t begin = at;
                for (std::size_t i = 0; i < m_length && at < piece.text.size(); ++i)
                    decodeValid(piece.text.data(), at);
                out.push_back(piece.part(begin, at));
            }
        }
        pieces.list = std::move(out);
    }

private:
    std::size_t m_length;
};

} // namespace

Result<bool> addCharacterSplit(const JsonPart& part, const std::string& type, PreTokenizers& out)
{
    const auto split = [&](std::function<bool(char32_t)> matches, SplitBehavior behavior) {
        out.steps.push_back(std::make_unique<CharacterSplit>(std::move(matches), behavior));
    };
    Result<void> known;
    if (type == "BertPreTokenizer") {
        split(isSpace, SplitBehavior::Removed);
        split(isPunctuation, SplitBehavior::Isolated);
        known = part.onlyKeys({"type"});
    } else if (type == "WhitespaceSplit") {
        split(isSpace, SplitBehavior::Removed);
        known = part.onlyKeys({"type"});
    } else if (type == "Whitespace" || type == "UnicodeScripts") {
        out.steps.push_back(
            std::make_unique<KindSplit>(type == "Whitespace" ? wordKind : scriptKind));
        known = part.onlyKeys({"type"});
    } else if (type == "Punctuation") {
        const auto name = part.text("behavior", "Isolated");
        const auto behavior = name ? behaviorFrom(*name) : std::nullopt;
        if (!behavior)
            return part.badKinds();
        split(isPunctuation, *behavior);
        known = part.onlyKeys({"type", "behavior"});
    } else if (type == "CharDelimiterSplit") {
        const auto text = part.text("delimiter");
        std::size_t length = 0;
        if (!text || text->empty())
            return part.badKinds();
        const char32_t delimiter = decodeValid(text->data(), length);
        if (length != text->size())
            return part.badKinds();
        split([delimiter](char32_t c) { return c == delimiter; }, SplitBehavior::Removed);
        known = part.onlyKeys({"type", "delimiter"});
    } else if (type == "FixedLength") {
        const auto length = part.number("length", 5);
        if (!length || *length < 1)
            return part.badKinds();
        out.steps.push_back(std::make_unique<FixedLength>(static_cast<std::size_t>(*length)));
        known = part.onlyKeys({"type", "length"});
    } else {
        return false;
    }
    if (!known)
        return known.error();
    return true;
}

} // namespace fettle::text

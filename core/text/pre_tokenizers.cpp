#include "text/pre_tokenizers.h"

#include "text/byte_level.h"
#include "text/character_splits.h"
#include "text/gpt2_scanner.h"
#include "text/json_parts.h"
#include "text/metaspace.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text {

namespace {

class PrefixSpace final : public PreTokenizer
{
public:
    void apply(Pieces& pieces) const override
    {
        for (Piece& piece : pieces.list) {
            if (!piece.text.empty() && piece.text[0] == ' ')
                continue;
            std::vector<Range> origins;
            if (piece.origins && !piece.text.empty()) {
                origins.push_back(piece.origins[0]);
                origins.insert(origins.end(), piece.origins, piece.origins + piece.text.size());
            } else if (piece.origins) {
                origins.resize(1);
            }
            piece = pieces.replaced(piece, " " + std::string(piece.text), std::move(origins));
        }
    }
    double growth() const override { return 2; }
};

class Gpt2Split final : public PreTokenizer
{
public:
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        for (const Piece& piece : pieces.list)
            splitLikeGpt2(piece, out);
        pieces.list = std::move(out);
    }
};

class ByteMap final : public PreTokenizer
{
public:
    void apply(Pieces& pieces) const override
    {
        for (Piece& piece : pieces.list)
            piece = toByteLevel(piece, pieces);
    }
    double growth() const override { return 2; }
};

/// Numbers of Unicode 17: the reference's patterns do not know them, its digits do.
bool isNewestNumber(char32_t c)
{
    return (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
}

class Digits final : public PreTokenizer
{
public:
    explicit Digits(bool individual)
        : m_individual(individual)
    {
    }
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        std::vector<Range> digits;
        const auto* classes = charClasses();
        for (const Piece& piece : pieces.list) {
            digits.clear();
            for (std::size_t at = 0; at < piece.text.size();) {
                const std::size_t start = at;
                const char32_t c = decodeValid(piece.text.data(), at);
                if ((classes[c] & kNumber) || isNewestNumber(c))
                    digits.push_back({start, at});
            }
            if (digits.empty())
                out.push_back(piece);
            else
                splitAt(piece, digits,
                        m_individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous, false,
                        out);
        }
        pieces.list = std::move(out);
    }

private:
    bool m_individual;
};

class Split final : public PreTokenizer
{
public:
    Split(std::shared_ptr<const Regex> regex, std::string literal, SplitBehavior behavior,
          bool invert)
        : m_regex(std::move(regex))
        , m_literal(std::move(literal))
        , m_behavior(behavior)
        , m_invert(invert)
    {
    }
    void apply(Pieces& pieces) const override
    {
        std::vector<Piece> out;
        std::vector<Range> matches;
        for (const Piece& piece : pieces.list) {
            matches.clear();
            if (m_regex) {
                m_regex->findAll(piece.text, matches);
            } else if (!m_literal.empty()) {
                for (auto at = piece.text.find(m_literal); at != std::string_view::npos;
                     at = piece.text.find(m_literal, at + m_literal.size()))
                    matches.push_back({at, at + m_literal.size()});
            }
            splitAt(piece, matches, m_behavior, m_invert, out);
        }
        pieces.list = std::move(out);
    }

private:
    std::shared_ptr<const Regex> m_regex;
    std::string m_literal;
    SplitBehavior m_behavior;
    bool m_invert;
};

Result<void> addSplit(const JsonPart& part, PreTokenizers& out)
{
    const auto name = part.text("behavior");
    const auto invert = part.flag("invert", false);
    const Json& pattern = part.child("pattern");
    if (!name || !invert || !pattern.is_object() || pattern.size() != 1 ||
        !pattern.begin()->is_string())
        return part.badKinds();
    const auto behavior = behaviorFrom(*name);
    if (!behavior)
        return part.unknown(fmt::format("the split behavior \"{}\"", *name));
    const std::string& text = pattern.begin()->get_ref<const std::string&>();
    std::shared_ptr<const Regex> regex;
    if (pattern.begin().key() == "Regex") {
        if (text == kGpt2Pattern && *behavior == SplitBehavior::Isolated && !*invert) {
            out.steps.push_back(std::make_unique<Gpt2Split>());
            return part.onlyKeys({"type", "pattern", "behavior", "invert"});
        }
        auto compiled = Regex::compile(text);
        if (!compiled)
            return at(compiled.error(), part.place());
        regex = *compiled;
    } else if (pattern.begin().key() != "String") {
        return part.unknown(fmt::format("a pattern of kind \"{}\"", pattern.begin().key()));
    }
    out.steps.push_back(std::make_unique<Split>(regex, text, *behavior, *invert));
    return part.onlyKeys({"type", "pattern", "behavior", "invert"});
}

Result<void> addByteLevel(const JsonPart& part, PreTokenizers& out)
{
    const auto prefix = part.flag("add_prefix_space", true), regex = part.flag("use_regex", true);
    if (!prefix || !regex)
        return part.badKinds();
    if (*prefix)
        out.steps.push_back(std::make_unique<PrefixSpace>());
    if (*regex)
        out.steps.push_back(std::make_unique<Gpt2Split>());
    out.byteLevelAtEnd = true;
    return part.onlyKeys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
}

Result<void> addPreTokenizer(const JsonPart& part, PreTokenizers& out, int depth)
{
    const std::string type = part.type();
    if (depth > 16)
        return part.invalid("sequences are nested too deeply");
    if (type == "Sequence") {
        const Json& list = part.child("pretokenizers");
        if (!list.is_array())
            return part.badKinds();
        for (std::size_t i = 0; i < list.size(); ++i) {
            const JsonPart item(list[i], fmt::format("{}/pretokenizers/{}", part.place(), i));
            if (auto added = addPreTokenizer(item, out, depth + 1); !added)
                return added;
        }
        return part.onlyKeys({"type", "pretokenizers"});
    }
    if (std::exchange(out.byteLevelAtEnd, false))
        out.steps.push_back(std::make_unique<ByteMap>());
    if (type == "ByteLevel")
        return addByteLevel(part, out);
    if (type == "Split")
        return addSplit(part, out);
    if (type == "Digits") {
        const auto individual = part.flag("individual_digits", false);
        if (!individual)
            return part.badKinds();
        out.steps.push_back(std::make_unique<Digits>(*individual));
        return part.onlyKeys({"type", "individual_digits"});
    }
    if (type == "Metaspace") {
        auto metaspace = Metaspace::fromJson(part);
        if (!metaspace)
            return metaspace.error();
        out.asksForStart = out.asksForStart || metaspace->prepend == Metaspace::Prepend::First;
        out.steps.push_back(std::make_unique<MetaspaceSplit>(*metaspace));
        return {};
    }
    const auto added = addCharacterSplit(part, type, out);
    if (!added)
        return added.error();
    return *added ? Result<void>() : part.unknown(fmt::format("the pre-tokenizer \"{}\"", type));
}

/// Matches and gaps of a piece in order; the flag says which is which.
std::vector<std::pair<Range, bool>> partition(std::size_t size, const std::vector<Range>& matches,
                                              bool invert)
{
    std::vector<std::pair<Range, bool>> parts;
    std::size_t last = 0;
    for (const Range& match : matches) {
        if (last != match.begin)
            parts.push_back({{last, match.begin}, invert});
        parts.push_back({match, !invert});
        last = match.end;
    }
    if (last != size)
        parts.push_back({{last, size}, invert});
    return parts;
}

} // namespace

Piece toByteLevel(const Piece& piece, Pieces& pieces)
{
    std::vector<Range> origins;
    for (std::size_t i = 0; piece.origins && i < piece.text.size(); ++i) {
        const char c = piece.text[i];
        origins.resize(origins.size() + byteLevelAlphabet()[static_cast<unsigned char>(c)].size(),
                       piece.origins[i]);
    }
    return pieces.replaced(piece, toByteLevel(piece.text), std::move(origins));
}

std::optional<SplitBehavior> behaviorFrom(const std::string& name)
{
    static constexpr std::pair<const char*, SplitBehavior> kNames[] = {
        {"Removed", SplitBehavior::Removed},
        {"Isolated", SplitBehavior::Isolated},
        {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
        {"MergedWithNext", SplitBehavior::MergedWithNext},
        {"Contiguous", SplitBehavior::Contiguous}};
    for (const auto& [known, behavior] : kNames) {
        if (name == known)
            return behavior;
    }
    return std::nullopt;
}

Result<PreTokenizers> readPreTokenizers(const Json& json)
{
    PreTokenizers out;
    if (json.is_null())
        return out;
    const JsonPart part(json, "/pre_tokenizer");
    if (auto added = addPreTokenizer(part, out, 0); !added)
        return added.error();
    double growth = 1;
    for (const auto& step : out.steps)
        growth *= step->growth();
    if (auto bounded = part.boundedGrowth(growth); !bounded)
        return bounded.error();
    return out;
}

void splitAt(const Piece& piece, const std::vector<Range>& matches, SplitBehavior behavior,
             bool invert, std::vector<Piece>& out)
{
    auto parts = partition(piece.text.size(), matches, invert);
    std::vector<Range> kept;
    kept.reserve(parts.size());
    const bool backwards = behavior == SplitBehavior::MergedWithNext;
    if (backwards)
        std::reverse(parts.begin(), parts.end());
    bool previousMatch = false, any = false;
    for (const auto& [range, match] : parts) {
        bool join = false;
        switch (behavior) {
        case SplitBehavior::Removed:
            if (match)
                continue;
            break;
        case SplitBehavior::Isolated:
            break;
        case SplitBehavior::Contiguous:
            join = any && match == previousMatch;
            break;
        case SplitBehavior::MergedWithPrevious:
        case SplitBehavior::MergedWithNext:
            join = match && !previousMatch && any;
            break;
        }
        if (join && backwards)
            kept.back().begin = range.begin;
        else if (join)
            kept.back().end = range.end;
        else
            kept.push_back(range);
        previousMatch = match;
        any = true;
    }
    if (backwards)
        std::reverse(kept.begin(), kept.end());
    for (const Range& range : kept) {
        if (range.begin != range.end)
            out.push_back(piece.part(range.begin, range.end));
    }
}

} // namespace fettle::text

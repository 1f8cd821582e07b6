#include "text/added_tokens.h"

#include "text/json_parts.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text {

namespace {

// Bounds the work per byte of text: no published token is longer than some hundred bytes.
constexpr std::size_t kMaxContent = 4096;

bool endsWithWord(std::string_view text)
{
    std::size_t length = 0;
    return !text.empty() && isClass(lastCodePoint(text, length), kWord);
}

bool startsWithWord(std::string_view text)
{
    std::size_t at = 0;
    return !text.empty() && isClass(decodeValid(text.data(), at), kWord);
}

std::size_t withoutSpaceAtEnd(std::string_view text)
{
    std::size_t length = 0;
    while (!text.empty() && isClass(lastCodePoint(text, length), kSpace))
        text.remove_suffix(length);
    return text.size();
}

std::size_t spaceAtStart(std::string_view text)
{
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t next = at;
        if (!isClass(decodeValid(text.data(), next), kSpace))
            break;
        at = next;
    }
    return at;
}

} // namespace

bool TrustedRanges::contain(Range wanted) const
{
    const auto after =
        std::upper_bound(m_ranges.begin(), m_ranges.end(), wanted.begin,
                         [](std::size_t at, const Range& range) { return at < range.begin; });
    return after != m_ranges.begin() && wanted.end <= std::prev(after)->end;
}

TokenMatcher::TokenMatcher()
    : m_nodes(1)
{
}

std::uint32_t TokenMatcher::child(std::uint32_t node, unsigned char byte) const
{
    for (const auto& [label, target] : m_nodes[node].next) {
        if (label == byte)
            return target;
    }
    return 0;
}

void TokenMatcher::add(const AddedToken& token, const std::string& pattern)
{
    if (pattern.empty())
        return;
    std::uint32_t node = 0;
    for (const char c : pattern) {
        const auto byte = static_cast<unsigned char>(c);
        std::uint32_t next = child(node, byte);
        if (next == 0) {
            next = static_cast<std::uint32_t>(m_nodes.size());
            m_nodes.emplace_back();
            m_nodes[node].next.emplace_back(byte, next);
        }
        node = next;
    }
    m_starts[static_cast<unsigned char>(pattern[0])] = true;
    m_nodes[node].token = static_cast<std::int32_t>(m_tokens.size());
    m_tokens.push_back(token);
}

std::int32_t TokenMatcher::longestAt(std::string_view text, std::size_t at, std::size_t offset,
                                     const TrustedRanges& trusted, std::size_t& length) const
{
    std::int32_t best = -1;
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
        node = child(node, static_cast<unsigned char>(text[i]));
        if (node == 0)
            break;
        const std::int32_t token = m_nodes[node].token;
        if (token >= 0 && (!m_tokens[static_cast<std::size_t>(token)].special ||
                           trusted.contain({offset + at, offset + i + 1}))) {
            best = token;
            length = i + 1 - at;
        }
    }
    return best;
}

void TokenMatcher::findAll(std::string_view text, std::size_t offset, const TrustedRanges& trusted,
                           std::vector<Found>& found) const
{
    std::size_t taken = 0; // end of the last match with its white space
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 0;
        const std::int32_t index = m_starts[static_cast<unsigned char>(text[at])]
                                       ? longestAt(text, at, offset, trusted, length)
                                       : -1;
        if (index < 0) {
            ++at;
            continue;
        }
        const AddedToken& token = m_tokens[static_cast<std::size_t>(index)];
        Range range{at, at + length};
        at += length;
        if (range.end <= taken)
            continue; // its text went to the match before it
        if (token.singleWord &&
            (endsWithWord(text.substr(0, range.begin)) || startsWithWord(text.substr(range.end))))
            continue;
        range.begin = std::max(range.begin, taken);
        if (token.lstrip)
            range.begin = taken + withoutSpaceAtEnd(text.substr(taken, range.begin - taken));
        if (token.rstrip)
            range.end += spaceAtStart(text.substr(range.end));
        found.push_back({range, token.id});
        taken = range.end;
    }
}

Result<AddedTokens>
AddedTokens::fromJson(const Json& list, const TokenModel& model,
                      const std::function<std::string(const std::string&)>& normalize)
{
    AddedTokens out;
    if (list.is_null())
        return out;
    if (!list.is_array())
        return JsonPart(list, "/added_tokens").invalid("this is not a list");
    std::vector<AddedToken> tokens;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const JsonPart part(list[i], fmt::format("/added_tokens/{}", i));
        if (auto known = part.onlyKeys(
                {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
            !known)
            return known.error();
        const auto id = part.number("id", -1);
        const auto content = part.text("content");
        const auto single = part.flag("single_word", false), lstrip = part.flag("lstrip", false),
                   rstrip = part.flag("rstrip", false), normalized = part.flag("normalized", true),
                   special = part.flag("special", false);
        if (!id || *id < 0 || *id > (1 << 24) || !content || !single || !lstrip || !rstrip ||
            !normalized || !special)
            return part.badKinds();
        if (content->size() > kMaxContent)
            return part.invalid(fmt::format("a token is longer than {} bytes", kMaxContent));
        tokens.push_back({static_cast<TokenId>(*id), *content, *single, *lstrip, *rstrip,
                          *normalized, *special});
    }
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const auto& a, const auto& b) { return a.id < b.id; });
    for (AddedToken& token : tokens) {
        if (token.content.empty())
            continue;
        if (const auto id = model.idOf(token.content)) {
            token.id = *id;
        } else {
            const auto expected =
                std::max(static_cast<TokenId>(model.tokenCount()), out.m_highest + 1);
            if (token.id != expected)
                return JsonPart(list, "/added_tokens")
                    .invalid(fmt::format("the added token {} should have the number {}", token.id,
                                         expected));
        }
        out.m_highest = std::max(out.m_highest, token.id);
        if (out.m_special.size() <= static_cast<std::size_t>(token.id))
            out.m_special.resize(static_cast<std::size_t>(token.id) + 1);
        out.m_special[static_cast<std::size_t>(token.id)] = token.special;
        (token.normalized ? out.m_normalized : out.m_raw)
            .add(token, token.normalized ? normalize(token.content) : token.content);
        out.m_ids[token.content] = token.id;
        out.m_byId[token.id] = std::move(token);
    }
    return out;
}

const AddedToken* AddedTokens::find(TokenId id) const
{
    const auto found = m_byId.find(id);
    return found == m_byId.end() ? nullptr : &found->second;
}

std::optional<TokenId> AddedTokens::idOf(std::string_view content) const
{
    const auto found = m_ids.find(std::string(content));
    return found == m_ids.end() ? std::nullopt : std::optional(found->second);
}

} // namespace fettle::text

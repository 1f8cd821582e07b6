#pragma once

#include "base/json.h"
#include "text/regex.h"
#include "text/token_model.h"

#include <array>
#include <functional>
#include <unordered_map>

namespace fettle::text {

struct AddedToken
{
    TokenId id = -1;
    std::string content;
    bool singleWord = false; ///< only where no word character touches it
    bool lstrip = false;     ///< takes the white space before it
    bool rstrip = false;     ///< takes the white space behind it
    bool normalized = false; ///< looked for after normalising
    bool special = false;
};

/// Which parts of a text may hold special tokens: sorted ranges of bytes that do not touch.
class TrustedRanges
{
public:
    static TrustedRanges all() { return TrustedRanges({{0, ~std::size_t{0}}}); }
    static TrustedRanges none() { return TrustedRanges({}); }
    explicit TrustedRanges(std::vector<Range> ranges)
        : m_ranges(std::move(ranges))
    {
    }

    bool contain(Range wanted) const;

private:
    std::vector<Range> m_ranges;
};

/// Finds token texts inside a text: leftmost, then longest.
class TokenMatcher
{
public:
    struct Found
    {
        Range range;
        TokenId id = -1;
    };

    TokenMatcher();
    void add(const AddedToken& token, const std::string& pattern);
    bool empty() const { return m_tokens.empty(); }

    /// Special tokens are found only where the text is trusted; `offset` is where `text` lies in
    /// what `trusted` speaks of. A special token that is not trusted hides nothing: what overlaps
    /// it is still found.
    void findAll(std::string_view text, std::size_t offset, const TrustedRanges& trusted,
                 std::vector<Found>& found) const;

private:
    struct Node
    {
        std::vector<std::pair<unsigned char, std::uint32_t>> next;
        std::int32_t token = -1; // index into m_tokens of the token that ends here
    };

    std::uint32_t child(std::uint32_t node, unsigned char byte) const;
    /// Index of the longest token that may stand at `at`; -1: none.
    std::int32_t longestAt(std::string_view text, std::size_t at, std::size_t offset,
                           const TrustedRanges& trusted, std::size_t& length) const;

    std::vector<Node> m_nodes;
    std::array<bool, 256> m_starts{};
    std::vector<AddedToken> m_tokens;
};

/// The tokens that a tokenizer has beside its model.
class AddedTokens
{
public:
    /// From "added_tokens". `normalize` gives the form in which normalised tokens are looked for.
    /// Errors: InvalidInput when an id is not the one that the reference would give.
    static Result<AddedTokens>
    fromJson(const Json& list, const TokenModel& model,
             const std::function<std::string(const std::string&)>& normalize);

    const TokenMatcher& raw() const { return m_raw; }
    const TokenMatcher& normalized() const { return m_normalized; }
    const AddedToken* find(TokenId id) const;
    std::optional<TokenId> idOf(std::string_view content) const;
    bool isSpecial(TokenId id) const
    {
        return id >= 0 && static_cast<std::size_t>(id) < m_special.size() &&
               m_special[static_cast<std::size_t>(id)];
    }
    const std::vector<bool>& specialFlags() const { return m_special; }
    TokenId highestId() const { return m_highest; }

private:
    TokenMatcher m_raw, m_normalized;
    std::unordered_map<TokenId, AddedToken> m_byId;
    std::unordered_map<std::string, TokenId> m_ids;
    std::vector<bool> m_special;
    TokenId m_highest = -1;
};

} // namespace fettle::text

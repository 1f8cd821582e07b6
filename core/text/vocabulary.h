#pragma once

#include "base/json.h"
#include "text/token_model.h"

#include <unordered_map>

namespace fettle::text {

/// Token strings and their ids, both ways.
class Vocabulary
{
public:
    /// From {"token": id}. Errors: InvalidInput when an id is not in [0, 2^24) or occurs twice.
    static Result<Vocabulary> fromJson(const Json& vocab);

    Vocabulary() = default;
    Vocabulary(Vocabulary&&) = default;
    Vocabulary& operator=(Vocabulary&&) = default;
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    std::optional<TokenId> find(std::string_view token) const
    {
        const auto found = m_ids.find(token);
        return found == m_ids.end() ? std::nullopt : std::optional(found->second);
    }
    std::string_view tokenOf(TokenId id) const
    {
        return id >= 0 && id < size() ? std::string_view(m_tokens[static_cast<std::size_t>(id)])
                                      : std::string_view();
    }
    TokenId size() const { return static_cast<TokenId>(m_tokens.size()); }
    std::size_t count() const { return m_ids.size(); }

private:
    std::vector<std::string> m_tokens; // by id; never grows after loading, so views stay valid
    std::unordered_map<std::string_view, TokenId> m_ids;
};

/// What every model over a fixed vocabulary answers alike.
class VocabularyModel : public TokenModel
{
public:
    std::optional<TokenId> idOf(std::string_view token) const override
    {
        return m_vocab.find(token);
    }
    std::string_view tokenOf(TokenId id) const override { return m_vocab.tokenOf(id); }
    TokenId size() const override { return m_vocab.size(); }
    std::size_t tokenCount() const override { return m_vocab.count(); }

protected:
    Vocabulary m_vocab;
};

} // namespace fettle::text

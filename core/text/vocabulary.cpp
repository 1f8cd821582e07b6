#include "text/vocabulary.h"

#include <fmt/format.h>

namespace fettle::text {

namespace {

constexpr std::int64_t kMaxVocabulary = 1 << 24;

Error badVocabulary(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "tokenizer.json, /model/vocab",
            "Fetch the tokenizer's files again"};
}

} // namespace

Result<Vocabulary> Vocabulary::fromJson(const Json& vocab)
{
    if (!vocab.is_object())
        return badVocabulary("the vocabulary is not an object");
    std::int64_t highest = -1;
    for (const auto& [token, id] : vocab.items()) {
        if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
            id.get<std::int64_t>() >= kMaxVocabulary)
            return badVocabulary(
                fmt::format("an id is not a whole number below {}", kMaxVocabulary));
        highest = std::max(highest, id.get<std::int64_t>());
    }
    Vocabulary out;
    out.m_tokens.resize(static_cast<std::size_t>(highest + 1));
    out.m_ids.reserve(vocab.size());
    std::vector<bool> used(out.m_tokens.size());
    for (const auto& [token, id] : vocab.items()) {
        const auto index = id.get<std::size_t>();
        if (used[index])
            return badVocabulary(fmt::format("two tokens have the id {}", index));
        used[index] = true;
        out.m_tokens[index] = token;
        out.m_ids.emplace(out.m_tokens[index], static_cast<TokenId>(index));
    }
    return out;
}

} // namespace fettle::text

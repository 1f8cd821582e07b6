#include "text/word_models.h"

#include "text/json_parts.h"
#include "text/unicode.h"

#include <algorithm>

namespace fettle::text {

namespace {

/// The id of "unk_token", which both models need.
Result<TokenId> unknownId(const JsonPart& part, const Vocabulary& vocab, const char* byDefault)
{
    const auto unk = part.text("unk_token", byDefault);
    if (!unk)
        return part.badKinds();
    const auto id = vocab.find(*unk);
    if (!id)
        return part.invalid("the unknown token is not in the vocabulary");
    return *id;
}

std::size_t characters(std::string_view text)
{
    std::size_t count = 0;
    for (const char c : text)
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

} // namespace

Result<std::unique_ptr<WordPieceModel>> WordPieceModel::fromJson(const Json& model)
{
    const JsonPart part(model, "/model");
    if (auto known = part.onlyKeys({"type", "unk_token", "continuing_subword_prefix",
                                    "max_input_chars_per_word", "vocab"});
        !known)
        return known.error();
    auto vocab = Vocabulary::fromJson(part.child("vocab"));
    if (!vocab)
        return vocab.error();
    const auto prefix = part.text("continuing_subword_prefix", "##");
    const auto longest = part.number("max_input_chars_per_word", 100);
    if (!prefix || !longest || *longest < 0 || *longest > 10'000)
        return part.badKinds();
    const auto unk = unknownId(part, *vocab, "[UNK]");
    if (!unk)
        return unk.error();
    std::unique_ptr<WordPieceModel> out(new WordPieceModel);
    out->m_vocab = *std::move(vocab);
    out->m_prefix = *prefix;
    out->m_longest = static_cast<std::size_t>(*longest);
    out->m_unk = *unk;
    for (TokenId id = 0; id < out->m_vocab.size(); ++id)
        out->m_longestToken = std::max(out->m_longestToken, out->m_vocab.tokenOf(id).size());
    return out;
}

void WordPieceModel::encode(std::string_view piece, std::vector<TokenId>& ids,
                            std::vector<Range>* ranges) const
{
    const std::size_t before = ids.size(), rangesBefore = ranges ? ranges->size() : 0;
    const auto unknown = [&] {
        ids.resize(before);
        ids.push_back(m_unk);
        if (ranges) {
            ranges->resize(rangesBefore);
            ranges->push_back({0, piece.size()});
        }
    };
    if (characters(piece) > m_longest)
        return unknown();
    std::string wanted;
    for (std::size_t start = 0; start < piece.size();) {
        // Nothing longer is in the vocabulary; a character that this cuts is found by none either.
        std::size_t end = std::min(piece.size(), start + m_longestToken);
        std::optional<TokenId> id;
        while (end > start) {
            wanted.assign(start > 0 ? m_prefix : "");
            wanted += piece.substr(start, end - start);
            id = m_vocab.find(wanted);
            if (id)
                break;
            std::size_t length = 0;
            lastCodePoint(piece.substr(start, end - start), length);
            end -= length;
        }
        if (!id)
            return unknown();
        ids.push_back(*id);
        if (ranges)
            ranges->push_back({start, end});
        start = end;
    }
}

Result<std::unique_ptr<WordLevelModel>> WordLevelModel::fromJson(const Json& model)
{
    const JsonPart part(model, "/model");
    if (auto known = part.onlyKeys({"type", "unk_token", "vocab"}); !known)
        return known.error();
    auto vocab = Vocabulary::fromJson(part.child("vocab"));
    if (!vocab)
        return vocab.error();
    const auto unk = unknownId(part, *vocab, "<unk>");
    if (!unk)
        return unk.error();
    std::unique_ptr<WordLevelModel> out(new WordLevelModel);
    out->m_vocab = *std::move(vocab);
    out->m_unk = *unk;
    return out;
}

void WordLevelModel::encode(std::string_view piece, std::vector<TokenId>& ids,
                            std::vector<Range>* ranges) const
{
    ids.push_back(m_vocab.find(piece).value_or(m_unk));
    if (ranges)
        ranges->push_back({0, piece.size()});
}

} // namespace fettle::text

#pragma once

#include "base/json.h"
#include "text/pair_table.h"
#include "text/vocabulary.h"

namespace fettle::text {

/// The unigram model of tokenizer.json: the cut of a piece with the largest sum of scores.
/// Source: Kudo 2018, "Subword Regularization", section 3.2 (best segmentation by Viterbi).
class UnigramModel final : public VocabularyModel
{
public:
    /// From the "model" object. Errors: InvalidInput, Unsupported naming the key.
    static Result<std::unique_ptr<UnigramModel>> fromJson(const Json& model);

    void encode(std::string_view piece, std::vector<TokenId>& ids,
                std::vector<Range>* ranges) const override;

private:
    UnigramModel() = default;
    void growTrie(std::string_view token, TokenId id);
    std::size_t emit(std::string_view part, std::vector<TokenId>& ids) const;

    std::vector<double> m_scores; // by id
    PairTable m_children; // (node, byte) -> {rank: id of the token that ends there, id: node}
    TokenId m_nodes = 1;  // the root is 0
    TokenId m_unk = 0;
    double m_unkScore = 0;
    std::vector<TokenId> m_byteIds; // <0x00> .. <0xFF>; empty without byte_fallback
};

} // namespace fettle::text

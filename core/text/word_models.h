#pragma once

#include "base/json.h"
#include "text/vocabulary.h"

namespace fettle::text {

/// Longest pieces first, from the left; a word that cannot be cut so is unknown as a whole.
/// Source: Devlin et al. 2019, BERT (WordPiece of Wu et al. 2016).
class WordPieceModel final : public VocabularyModel
{
public:
    /// From the "model" object. Errors: InvalidInput, Unsupported naming the key.
    static Result<std::unique_ptr<WordPieceModel>> fromJson(const Json& model);

    void encode(std::string_view piece, std::vector<TokenId>& ids,
                std::vector<Range>* ranges) const override;

private:
    WordPieceModel() = default;

    std::string m_prefix;
    TokenId m_unk = 0;
    std::size_t m_longest = 100; // characters of a word
    std::size_t m_longestToken = 0; // bytes, with the prefix
};

/// Whole pieces only.
class WordLevelModel final : public VocabularyModel
{
public:
    /// From the "model" object. Errors: InvalidInput, Unsupported naming the key.
    static Result<std::unique_ptr<WordLevelModel>> fromJson(const Json& model);

    void encode(std::string_view piece, std::vector<TokenId>& ids,
                std::vector<Range>* ranges) const override;

private:
    WordLevelModel() = default;

    TokenId m_unk = 0;
};

} // namespace fettle::text

#pragma once

#include "base/json.h"
#include "text/pair_table.h"
#include "text/vocabulary.h"

namespace fettle::text {

/// Byte-pair encoding of tokenizer.json: merges by rank, leftmost first, in O(n log n).
class BpeModel final : public VocabularyModel
{
public:
    /// From the "model" object. Errors: InvalidInput, Unsupported naming the key.
    static Result<std::unique_ptr<BpeModel>> fromJson(const Json& model);

    void encode(std::string_view piece, std::vector<TokenId>& ids,
                std::vector<Range>* ranges) const override;

    /// These ids are never given to a whole piece of text (ignore_merges), whatever it spells.
    void forbidWhole(std::vector<bool> special) { m_special = std::move(special); }

private:
    struct Symbol
    {
        TokenId id; // -1: merged away
        std::int32_t previous, next;
        std::int32_t length; // bytes of the piece that it stands for
    };

    BpeModel() = default;
    Result<void> readMerges(const Json& merges);
    void toSymbols(std::string_view piece, std::vector<Symbol>& symbols) const;
    TokenId characterId(std::string_view character, bool first, bool last) const;
    void merge(std::vector<Symbol>& symbols) const;
    void fillCharacters();

    PairTable m_merges;
    std::string m_prefix, m_suffix; // continuing_subword_prefix, end_of_word_suffix
    std::optional<TokenId> m_unk;
    std::vector<TokenId>
        m_byteIds; // <0x00> .. <0xFF>, -1 where missing; empty without byte_fallback
    std::vector<TokenId> m_lowCharacters; // ids of the first code points; -1 where missing
    std::vector<bool> m_special;
    bool m_fuseUnk = false;
    bool m_ignoreMerges = false;
};

} // namespace fettle::text

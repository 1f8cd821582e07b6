#pragma once

#include "base/json.h"
#include "text/added_tokens.h"

namespace fettle::text {

/// A sentencepiece .model file, read by the sentencepiece library.
class SentencePieceTokenizer final : public Tokenizer
{
public:
    /// `config` is tokenizer_config.json (may be empty): further added tokens, add_bos_token,
    /// add_eos_token, legacy. Errors: InvalidInput when the file is not such a model.
    static Result<std::shared_ptr<SentencePieceTokenizer>> open(const std::filesystem::path& file,
                                                                const Json& config);
    ~SentencePieceTokenizer() override;

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const override;
    std::vector<TokenId> encodeParts(std::span<const TextPart> parts) const override;
    Encoding encodeWithOffsets(std::string_view text, EncodeOptions options = {}) const override;
    Encoding encodePartsWithOffsets(std::span<const TextPart> parts) const override;
    std::string decode(std::span<const TokenId> ids, bool skipSpecialTokens) const override;
    std::int64_t vocabSize() const override;
    std::optional<TokenId> idOf(std::string_view token) const override;
    std::string tokenOf(TokenId id) const override;
    bool isSpecial(TokenId id) const override;

private:
    SentencePieceTokenizer();
    Result<void> readAddedTokens(const Json& config);
    Encoding encodeTrusted(std::string_view text, const TrustedRanges& trusted) const;
    void encodePlain(std::string_view text, std::size_t offset, Encoding& out) const;
    void addAround(Encoding& encoding) const;
    std::string decodePieces(const std::vector<int>& ids) const;

    struct Library;
    std::unique_ptr<Library> m_library;
    TokenMatcher m_matcher;
    std::unordered_map<TokenId, AddedToken> m_added;
    std::unordered_map<std::string, TokenId> m_addedIds;
    TokenId m_highest = -1;
    bool m_addBos = false, m_addEos = false;
    bool m_legacy = true;
};

} // namespace fettle::text

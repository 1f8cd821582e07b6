#pragma once

#include "base/json.h"
#include "text/added_tokens.h"
#include "text/decoders.h"
#include "text/normalizers.h"
#include "text/post_processors.h"
#include "text/pre_tokenizers.h"
#include "text/token_model.h"

namespace fettle::text {

/// The engine of tokenizer.json: added tokens, normalizer, pre-tokenizer, model, post-processor,
/// decoder. The file's truncation and padding are not applied: lengths are the trainer's business.
class JsonTokenizer final : public Tokenizer
{
public:
    /// From the contents of tokenizer.json. Errors: InvalidInput, Unsupported naming the part.
    static Result<std::shared_ptr<JsonTokenizer>> fromJson(const Json& json);

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const override;
    std::vector<TokenId> encodeParts(std::span<const TextPart> parts) const override;
    Encoding encodeWithOffsets(std::string_view text, EncodeOptions options = {}) const override;
    Encoding encodePartsWithOffsets(std::span<const TextPart> parts) const override;
    std::string decode(std::span<const TokenId> ids, bool skipSpecialTokens) const override;
    std::int64_t vocabSize() const override;
    std::optional<TokenId> idOf(std::string_view token) const override;
    std::string tokenOf(TokenId id) const override;
    bool isSpecial(TokenId id) const override { return m_added.isSpecial(id); }

    bool addBos = false, addEos = false; ///< from tokenizer_config.json

private:
    JsonTokenizer();

    /// Where ids go; `bytes` only where somebody asks for the origin of tokens.
    struct Sink
    {
        std::vector<TokenId>& ids;
        std::vector<Range>* bytes = nullptr;
    };

    void encodeTrusted(std::string_view text, const TrustedRanges& trusted, Sink sink) const;
    void encodeRest(std::string_view text, std::size_t offset, const TrustedRanges& trusted,
                    Sink sink) const;
    void encodeNormalized(const Piece& piece, std::size_t offset, const TrustedRanges& trusted,
                          Sink sink) const;
    void encodePlain(const Piece& piece, Sink sink) const;
    void encodeAligned(const Piece& piece, Pieces& pieces, Sink sink) const;
    void addAround(Encoding& encoding) const;
    void addCharacters(std::string_view text, Encoding& encoding) const;

    const std::uint64_t m_number; // for the word cache; never used twice in a process
    std::unique_ptr<TokenModel> m_model;
    AddedTokens m_added;
    Normalizers m_normalizers;
    PreTokenizers m_preTokenizers;
    Decoders m_decoders;
    Surround m_surround;
};

} // namespace fettle::text

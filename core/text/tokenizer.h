#pragma once

#include "base/result.h"
#include "text/range.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::text {

using TokenId = std::int32_t;

struct EncodeOptions
{
    /// Add what the post-processor adds around a text (BOS, EOS).
    bool addSpecialTokens = false;
    /// Recognise special tokens written in the text. Off for everything a user typed.
    bool parseSpecialTokens = false;
};

/// A part of a text. Special tokens are recognised only where the text is trusted.
struct TextPart
{
    std::string_view text;
    bool trusted = false;
};

/// Tokens and where they come from. All three lists are equally long; tokens that stand around a
/// text (BOS, EOS) have empty ranges. A text with ill-formed UTF-8 counts as toValidUtf8() of it.
struct Encoding
{
    std::vector<TokenId> ids;
    /// Bytes of the text that each token stands for. Tokens of one character each have the whole of
    /// it; what a normalizer adds belongs to the character at its side.
    std::vector<Range> bytes;
    /// The same in code points; white space at the ends is left out where the tokenizer's file says
    /// so. Equal to `Encoding.offsets` of the tokenizers package.
    std::vector<Range> characters;
};

/// Text to token ids and back. Immutable after loading: any number of threads may share one.
class Tokenizer
{
public:
    virtual ~Tokenizer() = default;

    /// Loads the tokenizer of a model folder: tokenizer.json, else tokenizer.model (sentencepiece),
    /// else vocab.json with merges.txt, else vocab.txt.
    /// Errors: NotFound when the folder has none; InvalidInput, Unsupported naming the part.
    static Result<std::shared_ptr<const Tokenizer>> load(const std::filesystem::path& folder);

    /// `text` may hold any bytes; ill-formed UTF-8 is treated as U+FFFD.
    virtual std::vector<TokenId> encode(std::string_view text,
                                        EncodeOptions options = {}) const = 0;
    /// The parts as one text: words may reach over a border, special tokens lie inside trusted text
    /// or are only text. Adds nothing around it.
    virtual std::vector<TokenId> encodeParts(std::span<const TextPart> parts) const = 0;
    /// encode() and encodeParts() with the origin of each token; slower. The parts count as one
    /// text.
    virtual Encoding encodeWithOffsets(std::string_view text, EncodeOptions options = {}) const = 0;
    virtual Encoding encodePartsWithOffsets(std::span<const TextPart> parts) const = 0;
    /// May end inside a character when the ids do; see completeUtf8Prefix for streaming.
    virtual std::string decode(std::span<const TokenId> ids, bool skipSpecialTokens) const = 0;

    virtual std::int64_t vocabSize() const = 0;                            ///< highest id + 1
    virtual std::optional<TokenId> idOf(std::string_view token) const = 0; ///< token as in the file
    virtual std::string tokenOf(TokenId id) const = 0;                     ///< "" for an unused id
    virtual bool isSpecial(TokenId id) const = 0;

    /// From tokenizer_config.json and special_tokens_map.json; absent when the files name none.
    std::optional<TokenId> bosId, eosId, padId, unkId;
    std::string bosToken, eosToken, padToken, unkToken;
    /// Largest length the files promise, in tokens; absent when they promise none.
    std::optional<std::int64_t> maxLength;
};

} // namespace fettle::text

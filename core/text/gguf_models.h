#pragma once

#include "text/gguf_tokenizer.h"

namespace fettle::text {

/// Kinds of tokens in tokenizer.ggml.token_type.
enum GgufTokenType : std::int32_t
{
    kGgufNormal = 1,
    kGgufUnknown = 2,
    kGgufControl = 3,
    kGgufUserDefined = 4,
    kGgufUnused = 5,
    kGgufByte = 6
};

/// Spaces at the ends of a text, which sentencepiece drops together with runs of them. Not the
/// normalizer "Strip": that one takes line breaks too.
inline constexpr const char* kGgufOuterSpaces = R"(\A +| +\z)";

/// A piece of a WordPiece vocabulary as such files hold it: one that begins a word carries U+2581,
/// one that goes on ("##x") nothing.
std::string ggufWordPiece(const std::string& piece);

/// Ids that stand around every text.
struct GgufSurround
{
    std::optional<std::int64_t> before, after;
};
GgufSurround surroundOf(const GgufTokenizer& gguf);

// tokenizer.json for each kind of tokenizer in GGUF files. The lists have been checked against each
// other. Errors: InvalidInput naming the missing list; Unsupported.

/// "gpt2": byte-level BPE.
Result<Json> byteLevelFromGguf(const GgufTokenizer& gguf);
/// "llama": BPE over characters whose merges follow from the scores of what they make.
Result<Json> scoredFromGguf(const GgufTokenizer& gguf);
/// "gemma4": BPE over characters with a list of merges.
Result<Json> mergedFromGguf(const GgufTokenizer& gguf);
/// "t5": Unigram.
Result<Json> unigramFromGguf(const GgufTokenizer& gguf);
/// "bert": WordPiece.
Result<Json> wordPieceFromGguf(const GgufTokenizer& gguf);

// The other way.

/// Puts a token under its number; what is placed later replaces what was there.
/// Errors: InvalidInput when the table has no such row.
Result<void> placeGgufToken(GgufTokenizer& out, std::int64_t id, const std::string& token,
                            std::int32_t type);

/// Model, pre-tokenizer, tokens, scores and merges of a tokenizer.json. `out.tokens` and
/// `out.tokenTypes` have the length of the model's table.
/// Errors: Unsupported naming the part that such files cannot express; InvalidInput.
Result<void> ggufFromTokenizerJson(const Json& json, GgufTokenizer& out);

} // namespace fettle::text

#pragma once

#include "base/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace fettle::text {

/// What a GGUF file says about its tokenizer, under the keys named behind each field.
struct GgufTokenizer
{
    std::string model;                    ///< tokenizer.ggml.model
    std::string pre;                      ///< tokenizer.ggml.pre; empty when absent
    std::vector<std::string> tokens;      ///< tokenizer.ggml.tokens
    std::vector<float> scores;            ///< tokenizer.ggml.scores; empty or as many as tokens
    std::vector<std::int32_t> tokenTypes; ///< tokenizer.ggml.token_type; empty or as many as tokens
    std::vector<std::string> merges;      ///< tokenizer.ggml.merges
    std::optional<std::int64_t> bosId, eosId, unkId, padId; ///< tokenizer.ggml.*_token_id
    std::optional<std::int64_t> eotId, eomId, sepId, clsId, maskId;
    std::optional<bool> addBos, addEos, addSep; ///< tokenizer.ggml.add_*_token
    std::optional<bool> addSpacePrefix;         ///< tokenizer.ggml.add_space_prefix
    std::optional<bool> removeExtraSpaces;      ///< tokenizer.ggml.remove_extra_whitespaces
    std::optional<bool> lowercase, stripAccents; ///< tokenizer.ggml.normalizer.*, of WordPiece
    std::string charsmap;                       ///< tokenizer.ggml.precompiled_charsmap
    std::string chatTemplate;                   ///< tokenizer.chat_template; empty when absent
    std::string huggingFace;                    ///< tokenizer.huggingface.json; empty when absent
    std::optional<std::int64_t> contextLength;  ///< <arch>.context_length
    std::vector<std::string> notes; ///< of ggufTokenizerFrom(): what the file cannot express
};

/// The tokenizer's files of a Hugging Face folder, by file name: "tokenizer.json" and
/// "tokenizer_config.json" as objects, "chat_template.jinja" as string (only when there is one).
/// A tokenizer.json inside the file is taken when it fits the file's tokens.
/// Errors: Unsupported naming an unknown model or pre-tokenizer; InvalidInput.
Result<Json> tokenizerJsonFromGguf(const GgufTokenizer& gguf);

/// The other way: the tokenizer of a Hugging Face folder for a model whose table has `rows` rows;
/// rows without a token get unused ones. `endIds` are the ids that end an answer.
/// Errors: those of Tokenizer::load(); Unsupported naming the part that such files cannot express.
Result<GgufTokenizer> ggufTokenizerFrom(const std::filesystem::path& folder, std::int64_t rows,
                                        std::span<const std::int32_t> endIds);

} // namespace fettle::text

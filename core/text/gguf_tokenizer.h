#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace fettle::text {

/// What a GGUF file says about its tokenizer, under the keys named behind each field.
struct GgufTokenizer
{
    std::string model;                    ///< tokenizer.ggml.model
    std::string pre;                      ///< tokenizer.ggml.pre; empty when absent
    std::vector<std::string> tokens;      ///< tokenizer.ggml.tokens
    std::vector<std::int32_t> tokenTypes; ///< tokenizer.ggml.token_type; empty or as many as tokens
    std::vector<std::string> merges;      ///< tokenizer.ggml.merges
    std::optional<std::int64_t> bosId, eosId, unkId, padId; ///< tokenizer.ggml.*_token_id
    std::optional<bool> addBos, addEos;        ///< tokenizer.ggml.add_bos_token, add_eos_token
    std::string chatTemplate;                  ///< tokenizer.chat_template; empty when absent
    std::optional<std::int64_t> contextLength; ///< <arch>.context_length
};

/// The tokenizer's files of a Hugging Face folder, by file name: "tokenizer.json" and
/// "tokenizer_config.json" as objects, "chat_template.jinja" as string (only when there is one).
/// Errors: Unsupported naming an unknown model or pre-tokenizer; InvalidInput.
Result<Json> tokenizerJsonFromGguf(const GgufTokenizer& gguf);

} // namespace fettle::text

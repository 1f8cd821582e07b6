#pragma once

#include "base/json.h"

#include <filesystem>

namespace fettle::text {

/// What tokenizer.json would say for a folder that holds only the older files: vocab.json with
/// merges.txt (GPT-2 and RoBERTa) or vocab.txt (BERT). `config` is tokenizer_config.json and `map`
/// special_tokens_map.json; added_tokens.json is read when it is there.
/// Null when the folder has neither. Errors: InvalidInput naming file and line.
Result<Json> tokenizerJsonFromVocab(const std::filesystem::path& folder, const Json& config,
                                    const Json& map);

/// "content" of a token that is written as a string or an object; "" when there is none.
std::string tokenText(const Json& config, const char* key);

} // namespace fettle::text

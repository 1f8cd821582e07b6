#pragma once

#include "model/import/gguf_mix.h"
#include "tensor/files/gguf_writer.h"
#include "text/gguf_tokenizer.h"

namespace fettle::model {

/// general.*: what the folder's card states, and what the file is.
void metadataToGguf(const std::filesystem::path& folder, const ModelConfig& config,
                    std::string_view architecture, const text::GgufTokenizer& tokenizer,
                    GgufKind kind, tensor::GgufKeys& keys);

/// README.md with what the file says of its name, origin and licence.
std::string readmeFromGguf(const tensor::GgufFile& file);

/// The keys eos_token_id (one id, or a list of every id that ends an answer), bos_token_id and
/// pad_token_id of config.json; null where the file names none.
void addTokenIds(const tensor::GgufFile& file, Json& config);

/// generation_config.json: every id that ends an answer, and the one that an encoder-decoder begins
/// with.
Json generationFromGguf(const tensor::GgufFile& file);

/// tokenizer.*
void tokenizerToGguf(const text::GgufTokenizer& tokenizer, tensor::GgufKeys& keys);

/// Errors: NotFound when the file has no tokenizer; InvalidInput.
Result<text::GgufTokenizer> tokenizerFromGguf(const tensor::GgufFile& file);

} // namespace fettle::model

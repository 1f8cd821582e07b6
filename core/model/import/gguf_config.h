#pragma once

#include "base/json.h"
#include "tensor/files/gguf.h"
#include "text/gguf_tokenizer.h"

namespace fettle::model {

/// The config.json that describes the model of a GGUF file, with old and new keys for the rotary
/// settings so that every version of transformers reads it.
/// Errors: Unsupported for other architectures, parts of a split file, adapters, mixtures of
/// experts and rotary scalings without a published form; InvalidInput naming a missing or wrong
/// key.
Result<Json> configFromGguf(const tensor::GgufFile& file);

/// generation_config.json: every id that ends an answer.
Json generationFromGguf(const tensor::GgufFile& file);

/// README.md with what the file says of its name, origin and licence.
std::string readmeFromGguf(const tensor::GgufFile& file);

/// Errors: NotFound when the file has no tokenizer; InvalidInput.
Result<text::GgufTokenizer> tokenizerFromGguf(const tensor::GgufFile& file);

} // namespace fettle::model

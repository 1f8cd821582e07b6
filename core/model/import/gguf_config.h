#pragma once

#include "model/import/gguf_families.h"
#include "model/import/gguf_rope.h"

namespace fettle::model {

/// The config.json that describes the model of a GGUF file, with old and new keys for the rotary
/// settings so that every version of transformers reads it.
/// Errors: InvalidInput naming a missing or wrong key; Unsupported for rotary scalings without a
/// published form and for shapes that the family does not have.
Result<Json> configFromGguf(const tensor::GgufFile& file, const GgufFamily& family);

/// The other way: the keys of the family's architecture. Gives the tensors that belong to them.
std::vector<GgufComputed> configToGguf(const ModelConfig& config, const GgufFamily& family,
                                       tensor::GgufKeys& keys);

} // namespace fettle::model

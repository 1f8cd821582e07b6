#pragma once

#include "model/import/gguf_key_reader.h"
#include "tensor/files/gguf_writer.h"

namespace fettle::model {

// config.json from the keys of architectures that are no decoders, and the keys from the
// description. A refusal stays in the reader.

/// "t5": t5, mt5 and umt5.
Json stacksFromGguf(GgufKeyReader& keys, const GgufFamily& family);
void stacksToGguf(const ModelConfig& config, tensor::GgufKeys& keys);

/// "bert": bert, distilbert, roberta and its kin.
Json encoderFromGguf(GgufKeyReader& keys, const GgufFamily& family);
void encoderToGguf(const ModelConfig& config, tensor::GgufKeys& keys);

} // namespace fettle::model

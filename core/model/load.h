#pragma once

#include "model/decoder.h"
#include "model/import/hf_folder.h"

#include <memory>

namespace fettle::model {

/// Builds a decoder from checked files. float32 weights on the processor share the files' mapping
/// (no copy, pages shared between processes); other types and devices are converted tensor by tensor.
/// Errors: Unsupported family or position encoding; OutOfMemory before anything is allocated when
/// the weights do not fit into free memory.
Result<std::unique_ptr<Decoder>> loadDecoder(const ModelFiles& files, c10::Device device, at::ScalarType dtype);

} // namespace fettle::model

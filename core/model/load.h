#pragma once

#include "model/decoder.h"
#include "model/encoder.h"
#include "model/encoder_decoder.h"
#include "model/import/hf_folder.h"
#include "tensor/quantised_matrix.h"

#include <memory>

namespace fettle::model {

/// Builds a decoder from checked files. float32 weights on the processor share the files' mapping
/// (no copy, pages shared between processes); other types and devices are converted tensor by
/// tensor. Errors: Unsupported for a model of another kind; OutOfMemory before anything is
/// allocated when the weights do not fit into free memory.
/// `weights`: how the matrices of all sites are held, frozen; but for nf4 the tables too. They are
/// packed one by one while they are read; 16 bits stay where they lie in the files, and what these
/// hold otherwise is float32. On a graphics card the tables are in `dtype`, and so is all that is not int8 or nf4.
Result<std::unique_ptr<Decoder>> loadDecoder(const ModelFiles& files, c10::Device device,
                                             at::ScalarType dtype,
                                             tensor::WeightKind weights = {});
/// The same for the other kinds.
Result<std::unique_ptr<Encoder>> loadEncoder(const ModelFiles& files, c10::Device device,
                                             at::ScalarType dtype);
Result<std::unique_ptr<EncoderDecoder>>
loadEncoderDecoder(const ModelFiles& files, c10::Device device, at::ScalarType dtype,
                   tensor::WeightKind weights = {});
/// A model of any kind.
Result<std::unique_ptr<Model>> loadAny(const ModelFiles& files, c10::Device device,
                                       at::ScalarType dtype);
/// A model that writes, of either kind. Errors: see requireWriter().
Result<std::unique_ptr<LanguageModel>> loadLanguageModel(const ModelFiles& files,
                                                         c10::Device device, at::ScalarType dtype,
                                                         tensor::WeightKind weights = {});

} // namespace fettle::model

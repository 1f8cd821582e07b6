#pragma once

#include "model/import/model_config.h"
#include "tensor/files/weight_kind.h"

namespace fettle::model {

/// Bytes of all weights of a model whose sites (and of int8 the tables) are held so; the others are
/// in float32.
std::uint64_t weightBytes(const ModelConfig& config, tensor::WeightKind weights);

} // namespace fettle::model

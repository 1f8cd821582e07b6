#pragma once

#include "model/import/model_config.h"
#include "tensor/files/weight_kind.h"

namespace fettle::model {

/// A matrix of a site, the embedding or the head: what may be held in fewer bits than 32.
bool mayBePacked(const ModelConfig& config, const WeightShape& weight);

/// Bytes of all weights of a model whose sites and (but for nf4) tables are held so; the others are
/// in float32.
std::uint64_t weightBytes(const ModelConfig& config, tensor::WeightKind weights);

} // namespace fettle::model

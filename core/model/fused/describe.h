#pragma once

#include "model/block.h"
#include "model/fused/layer.h"

namespace fettle::model::fused {

/// A decoder's shape as the fused pass sees it.
Shape shapeOf(const ModelConfig& config);

/// The linear sites of a block in the order of Part; null where it has none.
std::array<const LinearSite*, kParts> sitesOf(const Block& block);

/// The norms of a block in the order of Place; null where it has none.
std::array<const model::Norm*, kPlaces> normsOf(const ModelConfig& config, const Block& block);

/// The norms as the kernels see them, without gradients.
std::array<Norm, kPlaces> describeNorms(const ModelConfig& config, const Block& block);

} // namespace fettle::model::fused

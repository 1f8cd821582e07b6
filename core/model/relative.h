#pragma once

#include "model/import/model_config.h"

#include <ATen/core/Tensor.h>

namespace fettle::model {

/// The bucket of each distance (place of the key minus place of the query; any shape, long). In one
/// direction keys behind the query share bucket 0. Near distances have buckets of their own,
/// farther ones share them logarithmically. Computed in float32 with the reference's operations,
/// because rounding decides at the borders. Source: Raffel et al. 2020, "Exploring the Limits of
/// Transfer Learning", section 2.1.
at::Tensor relativeBuckets(const at::Tensor& distances, const RelativeConfig& config,
                           bool bothDirections);

/// What is added to the scores: table [buckets, heads], distances [...] -> [heads, ...].
at::Tensor relativeBias(const at::Tensor& table, const at::Tensor& distances,
                        const RelativeConfig& config, bool bothDirections);

/// distances[i][j] = j - (first + i): of `queries` places from `first` on to `keys` places.
/// [queries, keys].
at::Tensor distancesBetween(std::int64_t queries, std::int64_t keys, std::int64_t first,
                            c10::Device device);

} // namespace fettle::model

#pragma once

#include "tensor/files/safetensors.h"

#include <functional>

namespace fettle::model {

/// Takes the bytes of a tensor, in order, in as many parts as its source likes.
using PartSink = std::function<Result<void>(const void* data, std::uint64_t size)>;
/// Gives the bytes of the named tensor to the sink.
using TensorSource =
    std::function<Result<void>(const tensor::TensorPlan& tensor, const PartSink& sink)>;

/// Largest weight file, as other tools write them: 5 GB.
constexpr std::uint64_t kMaxShardBytes = 5'000'000'000;

/// Writes model.safetensors, or shards with their index when the weights are larger than
/// `maxShardBytes`. Tensors are asked for one at a time; the index is written last, so a broken-off
/// export shows. Errors: DiskFull before anything is written when there is not enough room; those
/// of the source.
Result<void> writeWeights(const std::filesystem::path& folder,
                          const std::vector<tensor::TensorPlan>& plan, const TensorSource& source,
                          std::uint64_t maxShardBytes = kMaxShardBytes);

/// Bytes of all tensors together. Errors: InvalidInput for an impossible shape.
Result<std::uint64_t> totalBytes(const std::vector<tensor::TensorPlan>& plan);

/// DiskFull, with both numbers, when the disk of `folder` has less than `bytes` and a reserve.
Result<void> checkRoom(const std::filesystem::path& folder, std::uint64_t bytes);

} // namespace fettle::model

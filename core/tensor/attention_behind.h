#pragma once

#include "tensor/ops.h"

namespace fettle::tensor {

/// Causal attention inside each document of a packed row, where every document goes on behind the same
/// earlier tokens: keys, values [earlier, kvHeads, headDim]. The others as in packedAttention(), in
/// plain operations.
at::Tensor attentionBehind(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, const Offsets& offsets, const AttentionShape& shape);

} // namespace fettle::tensor

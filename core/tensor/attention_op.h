#pragma once

#include "tensor/ops.h"

#include <ATen/core/Tensor.h>
#include <tuple>

namespace fettle::tensor {

/// The only place that names LibTorch's private attention operators (2.11.0). All tensors
/// [batch, heads, length, headDim]; strides are free but for the last. Causal, float32 or float64, CPU.
/// Gives (output, log-sum-exp).
std::tuple<at::Tensor, at::Tensor> flashAttentionCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                                     double scale);
/// Gives (dq, dk, dv).
std::tuple<at::Tensor, at::Tensor, at::Tensor> flashAttentionCpuBackward(
    const at::Tensor& gradOut, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out,
    const at::Tensor& logSumExp, double scale);

/// packedAttention() for all documents in one launch, on a graphics card from sm_80 on, in bfloat16.
/// Differentiable. Source: Dao 2023, "FlashAttention-2".
at::Tensor flashAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Offsets& offsets,
                          const AttentionShape& shape);
/// Whether flashAttention() may be used at all; not before its results were compared (load_kernels.cpp).
void allowFlashAttention(bool allowed);
/// Whether it may be, and can do this: number type, size of a head, no soft cap, and few enough elements
/// for the numbers of 32 bits in its backward.
bool flashAttentionFits(const at::Tensor& q, const at::Tensor& k, const Offsets& offsets, const AttentionShape& shape);

} // namespace fettle::tensor

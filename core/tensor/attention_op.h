#pragma once

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

} // namespace fettle::tensor

#include "tensor/attention_op.h"

#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;

std::tuple<Tensor, Tensor> flashAttentionCpu(const Tensor& q, const Tensor& k, const Tensor& v, double scale)
{
    return at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                           /*attn_mask=*/std::nullopt, scale);
}

std::tuple<Tensor, Tensor, Tensor> flashAttentionCpuBackward(const Tensor& gradOut, const Tensor& q, const Tensor& k,
                                                             const Tensor& v, const Tensor& out,
                                                             const Tensor& logSumExp, double scale)
{
    return at::_scaled_dot_product_flash_attention_for_cpu_backward(gradOut, q, k, v, out, logSumExp,
                                                                    /*dropout_p=*/0.0, /*is_causal=*/true,
                                                                    /*attn_mask=*/std::nullopt, scale);
}

} // namespace fettle::tensor

#include "tensor/attention_op.h"

#include "tensor/ops_detail.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

#include <atomic>

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

std::atomic<bool> flashAllowed = false;

/// How far back a query sees, as the operator counts: nothing where there is no window.
std::optional<std::int64_t> leftOf(std::int64_t window)
{
    return window > 0 ? std::optional(window - 1) : std::nullopt;
}
std::optional<std::int64_t> rightOf(std::int64_t window)
{
    return window > 0 ? std::optional<std::int64_t>(0) : std::nullopt;
}

std::int64_t longestOf(const Offsets& offsets)
{
    std::int64_t longest = 0;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d)
        longest = std::max(longest, offsets[d + 1] - offsets[d]);
    return longest;
}

struct FlashFunction : Function<FlashFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cuts,
                          std::int64_t longest, double scale, std::int64_t window)
    {
        const std::optional<Tensor> offsets = cuts, none;
        const auto [out, logSumExp, state, unused, mask] =
            at::_flash_attention_forward(q, k, v, offsets, offsets, longest, longest, /*dropout_p=*/0.0, /*is_causal=*/true,
                                         /*return_debug_mask=*/false, scale, leftOf(window), rightOf(window), none, none);
        ctx->save_for_backward({q, k, v, cuts, out, logSumExp, state, unused});
        ctx->saved_data["longest"] = longest;
        ctx->saved_data["scale"] = scale;
        ctx->saved_data["window"] = window;
        return out;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const auto longest = ctx->saved_data["longest"].toInt(), window = ctx->saved_data["window"].toInt();
        const auto [dq, dk, dv] = at::_flash_attention_backward(
            grads[0].contiguous(), saved[0], saved[1], saved[2], saved[4], saved[5], saved[3], saved[3], longest, longest,
            /*dropout_p=*/0.0, /*is_causal=*/true, saved[6], saved[7], ctx->saved_data["scale"].toDouble(), leftOf(window),
            rightOf(window));
        return {dq, dk, dv, Tensor(), Tensor(), Tensor(), Tensor()};
    }
};

} // namespace

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

Tensor flashAttention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets,
                      const AttentionShape& shape)
{
    const auto cuts = onDevice(at::tensor(offsets, at::kLong).to(at::kInt), q.device());
    return FlashFunction::apply(q.contiguous(), k.contiguous(), v.contiguous(), cuts, longestOf(offsets), shape.scale,
                                shape.window);
}

void allowFlashAttention(bool allowed) { flashAllowed = allowed; }

bool flashAttentionFits(const Tensor& q, const Tensor& k, const Offsets& offsets, const AttentionShape& shape)
{
    if (!flashAllowed || referenceForced() || !q.device().is_cuda() || q.scalar_type() != at::kBFloat16 || shape.softcap != 0)
        return false;
    const auto headDim = q.size(2), padded = (headDim + 31) / 32 * 32;
    const auto documents = static_cast<std::int64_t>(offsets.size()) - 1;
    // Its backward sums dq in float32 over rows that are filled up to 128 a document.
    const auto elements = (q.size(0) + 128 * documents) * q.size(1) * padded;
    return headDim % 8 == 0 && headDim <= 256 && q.size(1) % k.size(1) == 0 && elements < std::int64_t{1} << 31;
}

} // namespace fettle::tensor

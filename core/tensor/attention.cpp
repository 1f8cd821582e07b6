#include "tensor/attention_behind.h"
#include "tensor/attention_op.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/ops.h"
#include "tensor/ops_detail.h"
#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

/// One document as [kvHeads, group, length, headDim]: key/value heads become the batch, so that
/// grouped queries need no copy of keys and values. x [T, heads, headDim].
Tensor documentView(const Tensor& x, std::int64_t begin, std::int64_t length, std::int64_t kvHeads)
{
    const auto group = x.size(1) / kvHeads;
    return x.narrow(0, begin, length).view({length, kvHeads, group, x.size(2)}).permute({1, 2, 0, 3});
}

struct PackedAttentionFunction : Function<PackedAttentionFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                          const Offsets& offsets, double scale)
    {
        const auto kvHeads = k.size(1), group = q.size(1) / kvHeads;
        Tensor out = at::empty_like(q);
        variable_list saved = {q, k, v, out};
        for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
            const auto begin = offsets[d], length = offsets[d + 1] - begin;
            if (length == 0)
                continue;
            const auto keys = documentView(k, begin, length, kvHeads).expand({-1, group, -1, -1});
            const auto values = documentView(v, begin, length, kvHeads).expand({-1, group, -1, -1});
            auto [o, lse] = flashAttentionCpu(documentView(q, begin, length, kvHeads), keys, values, scale);
            documentView(out, begin, length, kvHeads).copy_(o);
            saved.push_back(lse);
        }
        ctx->save_for_backward(saved);
        ctx->saved_data["offsets"] = offsets;
        ctx->saved_data["scale"] = scale;
        return out;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
        const auto offsets = ctx->saved_data["offsets"].toIntVector();
        const double scale = ctx->saved_data["scale"].toDouble();
        const Tensor gradOut = grads[0].contiguous();
        const auto kvHeads = k.size(1), group = q.size(1) / kvHeads;
        Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
        std::size_t next = 4;
        for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
            const auto begin = offsets[d], length = offsets[d + 1] - begin;
            if (length == 0)
                continue;
            const auto keys = documentView(k, begin, length, kvHeads).expand({-1, group, -1, -1});
            const auto values = documentView(v, begin, length, kvHeads).expand({-1, group, -1, -1});
            auto [gq, gk, gv] = flashAttentionCpuBackward(
                documentView(gradOut, begin, length, kvHeads), documentView(q, begin, length, kvHeads), keys, values,
                documentView(out, begin, length, kvHeads), saved[next++], scale);
            documentView(dq, begin, length, kvHeads).copy_(gq);
            documentView(dk, begin, length, kvHeads).copy_(gk.sum(1, /*keepdim=*/true));
            documentView(dv, begin, length, kvHeads).copy_(gv.sum(1, /*keepdim=*/true));
        }
        return {dq, dk, dv, Tensor(), Tensor()};
    }
};

/// true where query i may see key j: 0 <= p - j, and p - j < window when there is one, with the place
/// p = keys - length + i. [length, keys]
Tensor visible(std::int64_t length, std::int64_t keys, std::int64_t window, const at::TensorOptions& options)
{
    auto mask = at::ones({keys, keys}, options.dtype(at::kBool)).tril();
    if (window > 0)
        mask = mask.logical_and(at::ones_like(mask).triu(-(window - 1)));
    return mask.narrow(0, keys - length, length);
}

/// One document in plain operations: the last of k and v are its own. [length, heads, headDim]
Tensor plainAttention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape)
{
    const auto [scale, window, softcap] = shape;
    const auto group = q.size(1) / k.size(1);
    const auto query = q.transpose(0, 1);                                         // [heads, length, headDim]
    const auto key = k.transpose(0, 1).repeat_interleave(group, 0);
    const auto value = v.transpose(0, 1).repeat_interleave(group, 0);
    auto scores = at::matmul(query, key.transpose(1, 2)) * scale;                 // [heads, length, keys]
    if (softcap > 0)
        scores = at::tanh(scores / softcap) * softcap;
    scores = scores.masked_fill(visible(q.size(0), k.size(0), window, q.options()).logical_not(), -INFINITY);
    const auto wide = scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto weights = at::softmax(scores, -1, wide).to(q.scalar_type());
    return at::matmul(weights, value).transpose(0, 1);
}

} // namespace

Tensor attentionBehind(const Tensor& keys, const Tensor& values, const Tensor& q, const Tensor& k, const Tensor& v,
                       const Offsets& offsets, const AttentionShape& shape)
{
    std::vector<Tensor> parts;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
        const auto begin = offsets[d], length = offsets[d + 1] - begin;
        const auto own = [&](const Tensor& x) { return x.narrow(0, begin, length); };
        if (length > 0)
            parts.push_back(
                plainAttention(own(q), at::cat({keys, own(k)}), at::cat({values, own(v)}), shape));
    }
    return at::cat(parts);
}

Tensor packedAttention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets,
                       const AttentionShape& shape)
{
    const auto [scale, window, softcap] = shape;
    std::int64_t longest = 0;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d)
        longest = std::max(longest, offsets[d + 1] - offsets[d]);
    if (useKernels(q) && softcap == 0 && (window == 0 || longest <= window))
        return PackedAttentionFunction::apply(q.contiguous(), k.contiguous(), v.contiguous(), offsets, scale);
    if (flashAttentionFits(q, k, offsets, shape))
        return flashAttention(q, k, v, offsets, shape);
    return attentionBehind(k.narrow(0, 0, 0), v.narrow(0, 0, 0), q, k, v, offsets, shape);
}

Tensor cachedAttention(const Tensor& q, const Tensor& keyCache, const Tensor& valueCache,
                       std::span<const std::int64_t> slots, std::span<const std::int64_t> lengths,
                       const AttentionShape& shape)
{
    const auto scale = shape.scale, softcap = shape.softcap;
    const auto window = shape.window;
    const auto heads = q.size(1), headDim = q.size(2), kvHeads = keyCache.size(2), group = heads / kvHeads;
    const auto maxLength = keyCache.size(1), stride = kvHeads * headDim;
    Tensor out = at::empty_like(q);
    const auto count = static_cast<std::int64_t>(slots.size());
    const auto first = [&](std::int64_t i) { return window > 0 ? std::max<std::int64_t>(0, lengths[i] - window) : 0; };
    if (useKernels(q) && softcap == 0) {
        const float *qp = q.const_data_ptr<float>(), *kp = keyCache.const_data_ptr<float>();
        const float* vp = valueCache.const_data_ptr<float>();
        float* op = out.data_ptr<float>();
        at::parallel_for(0, count * kvHeads, 1, [&](std::int64_t from, std::int64_t to) {
            std::vector<float> scores(static_cast<std::size_t>(group * maxLength));
            for (auto task = from; task < to; ++task) {
                const auto i = task / kvHeads, head = task % kvHeads;
                const auto start = (slots[i] * maxLength + first(i)) * stride + head * headDim;
                const auto at_ = i * heads * headDim + head * group * headDim;
                cpuKernels().decodeAttention(qp + at_, kp + start, vp + start, op + at_, scores.data(), group, headDim,
                                             lengths[i] - first(i), stride, static_cast<float>(scale), 0);
            }
        });
        return out;
    }
    for (std::int64_t i = 0; i < count; ++i) {
        const auto rows = [&](const Tensor& cache) {                              // [heads, length, headDim]
            return cache[slots[i]].slice(0, first(i), lengths[i]).transpose(0, 1).repeat_interleave(group, 0);
        };
        auto scores = at::matmul(q[i].unsqueeze(1), rows(keyCache).transpose(1, 2)) * scale;
        if (softcap > 0)
            scores = at::tanh(scores / softcap) * softcap;
        const auto wide = scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        out[i].copy_(at::matmul(at::softmax(scores, -1, wide).to(q.scalar_type()), rows(valueCache)).squeeze(1));
    }
    return out;
}

} // namespace fettle::tensor

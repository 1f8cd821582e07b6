// Attention without a causal order: encoders, cross attention, relative biases, long documents.
#include "tensor/ops.h"
#include "tensor/torch_pch.h"

#include <limits>

namespace fettle::tensor {

using at::Tensor;

namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

/// q [batch, heads, queries, headDim], k and v [batch, heads, keys, headDim], bias broadcast to
/// [batch, heads, queries, keys].
Tensor softmaxAttention(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                        const Tensor& bias)
{
    // LibTorch's fused operators give the bias no gradient.
    if (!bias.defined() || !bias.requires_grad())
        return at::scaled_dot_product_attention(
            q, k, v, bias.defined() ? std::optional(bias) : std::nullopt, 0.0,
            /*is_causal=*/false, scale);
    const auto scores = at::matmul(q, k.transpose(-1, -2)) * scale + bias;
    const auto wide = scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return at::matmul(at::softmax(scores, -1, wide).to(q.scalar_type()), v);
}

/// [length, ...] -> [blocks, block, ...], filled up with zeros.
Tensor inBlocks(const Tensor& x, std::int64_t block)
{
    const auto length = x.size(0), blocks = (length + block - 1) / block;
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape[0] = block;
    shape.insert(shape.begin(), blocks);
    std::vector<std::int64_t> padding(static_cast<std::size_t>(2 * x.dim()), 0);
    padding.back() = blocks * block - length;
    return at::constant_pad_nd(x, padding).view(shape);
}

/// Each block with both neighbours: [length, heads, headDim] -> [blocks, heads, 3 block, headDim].
Tensor withNeighbours(const Tensor& x, std::int64_t block)
{
    const auto blocks = (x.size(0) + block - 1) / block;
    const auto padded =
        at::constant_pad_nd(x, {0, 0, 0, 0, block, (blocks + 1) * block - x.size(0)});
    return padded.unfold(0, 3 * block, block).transpose(2, 3);
}

/// [blocks, 1, block, 3 block]: true where a key is none of the document or too far away.
Tensor outOfSight(std::int64_t length, std::int64_t block, c10::Device device)
{
    const auto options = at::TensorOptions().dtype(at::kLong).device(device);
    const auto blocks = (length + block - 1) / block;
    const auto query = at::arange(block, options).unsqueeze(1),
               key = at::arange(3 * block, options) - block;
    const auto far = (key - query).abs().ge(block);                            // [block, 3 block]
    const auto place = at::arange(blocks, options).unsqueeze(1) * block + key; // [blocks, 3 block]
    const auto outside = place.lt(0).logical_or(place.ge(length));
    return far.unsqueeze(0).logical_or(outside.unsqueeze(1)).unsqueeze(1);
}

} // namespace

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& bias)
{
    const auto heads = [](const Tensor& x) {
        return x.transpose(0, 1).unsqueeze(0);
    }; // [1, heads, length, headDim]
    const auto out = softmaxAttention(heads(q), heads(k), heads(v), scale,
                                      bias.defined() ? bias.unsqueeze(0) : bias);
    return out.squeeze(0).transpose(0, 1);
}

Tensor documentAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                         const Offsets& queryOffsets, const Offsets& keyOffsets, double scale,
                         const Tensor& bias)
{
    std::vector<Tensor> parts;
    for (std::size_t d = 0; d + 1 < queryOffsets.size(); ++d) {
        const auto queries = queryOffsets[d + 1] - queryOffsets[d],
                   keys = keyOffsets[d + 1] - keyOffsets[d];
        if (queries == 0)
            continue;
        const auto own = bias.defined() ? bias.narrow(1, 0, queries).narrow(2, 0, keys) : bias;
        parts.push_back(attend(q.narrow(0, queryOffsets[d], queries),
                               k.narrow(0, keyOffsets[d], keys), v.narrow(0, keyOffsets[d], keys),
                               scale, own));
    }
    return parts.empty() ? at::zeros_like(q) : at::cat(parts);
}

Tensor localAttention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t block,
                      const Tensor& bias, const SideKeys& side, double scale)
{
    const auto length = q.size(0);
    const auto query = inBlocks(q, block).transpose(1, 2); // [blocks, heads, block, headDim]
    Tensor key = withNeighbours(k, block), value = withNeighbours(v, block);
    Tensor shift = bias.unsqueeze(0).masked_fill(outOfSight(length, block, q.device()), kHidden);
    if (side.k.defined()) {
        const auto everywhere = [&](const Tensor& x) {
            return x.transpose(0, 1).unsqueeze(0).expand({query.size(0), -1, -1, -1});
        };
        key = at::cat({key, everywhere(side.k)}, 2);
        value = at::cat({value, everywhere(side.v)}, 2);
        const auto sideBias =
            inBlocks(side.bias.transpose(0, 1), block); // [blocks, block, heads, count]
        shift = at::cat({shift, sideBias.transpose(1, 2)}, 3);
    }
    const auto out = softmaxAttention(query, key, value, scale, shift)
                         .transpose(1, 2); // [blocks, block, heads, headDim]
    return out.reshape({-1, q.size(1), q.size(2)}).narrow(0, 0, length);
}

} // namespace fettle::tensor

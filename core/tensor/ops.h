#pragma once

#include "base/rng.h"
#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>
#include <span>
#include <vector>

namespace fettle::tensor {

/// Where documents begin and end in a packed row: offsets [documents + 1], first 0, last T.
using Offsets = std::vector<std::int64_t>;

/// Forces the readable LibTorch path instead of our kernels on this thread (tests compare the two).
/// float64 tensors and tensors on a graphics card always take it.
class ReferenceOps
{
public:
    ReferenceOps();
    ~ReferenceOps();

private:
    bool m_before;
};

/// Root-mean-square norm: y = x / sqrt(mean(x^2) + eps) * weight, in float32 or wider.
/// x [T, dim], weight [dim] -> [T, dim]. Differentiable in both.
/// Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// x + residual and the layer norm of it.
struct NormedSum
{
    at::Tensor sum, normed; ///< [T, dim]
};
/// Layer norm of x + residual: (v - mean) / sqrt(variance + eps) * weight + bias, in float32 or wider. x and
/// residual [T, dim], weight and bias [dim]; an undefined residual or bias means none. Differentiable in all.
/// Source: Ba et al. 2016, "Layer Normalization", eq. 4.
NormedSum layerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps);

/// Rotary position embedding, rotated halves. x [T, heads, headDim]; cosine, sine [T, headDim / 2].
/// Source: Su et al. 2021, "RoFormer", eq. 34, in the order of dimensions of the published checkpoints.
at::Tensor rope(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);

/// silu(gate) * up, element by element (Shazeer 2020, "GLU Variants Improve Transformer", eq. 5).
at::Tensor siluGate(const at::Tensor& gate, const at::Tensor& up);
/// gelu(gate) * up, or gelu(gate) where `up` is undefined; `tanh`: the form with a tanh in place of the error
/// function. Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
at::Tensor geluGate(const at::Tensor& gate, const at::Tensor& up, bool tanh);

/// How scores are made: softcap(scale * q . k), seen through a window.
struct AttentionShape
{
    double scale = 1;
    std::int64_t window = 0; ///< a query sees keys less than so many places back; 0: all before it
    double softcap = 0;      ///< s -> c tanh(s / c); 0: none
};

/// Causal attention inside each document of a packed row; documents do not see each other.
/// q [T, heads, headDim], k and v [T, kvHeads, headDim] -> [T, heads, headDim]. Head i uses key/value
/// head i / (heads / kvHeads).
at::Tensor packedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Offsets& offsets,
                           const AttentionShape& shape);

/// Attention of one new token per slot against its cache. q [slots, heads, headDim], cache
/// [allSlots, maxLength, kvHeads, headDim], lengths counts the rows to see. No gradient.
at::Tensor cachedAttention(const at::Tensor& q, const at::Tensor& keyCache, const at::Tensor& valueCache,
                           std::span<const std::int64_t> slots, std::span<const std::int64_t> lengths,
                           const AttentionShape& shape);

/// softmax(scale q k^T + bias) v of one document, every query on every key. q [queries, heads,
/// headDim], k and v [keys, heads, headDim], bias [heads, queries, keys] or undefined; -infinity in
/// it hides a key. -> [queries, heads, headDim].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale, const at::Tensor& bias);

/// attend() for each document of a packed row; queries and keys may be cut differently (cross
/// attention). Of `bias` [heads, longest, longest] each document takes its first rows and columns.
at::Tensor documentAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Offsets& queryOffsets,
                             const Offsets& keyOffsets, double scale, const at::Tensor& bias);

/// Keys that every query of a document sees besides its neighbours. Undefined: none.
struct SideKeys
{
    at::Tensor k, v; ///< [count, heads, headDim]
    at::Tensor bias; ///< [heads, length, count]
};

/// Attention of one document in which a query sees keys less than `block` places away, and the side
/// keys. q, k, v [length, heads, headDim]; bias [heads, block, 3 block] for the distances from a block
/// to itself and both neighbours. Memory grows with length times block, not with its square.
/// Source: Guo et al. 2022, "LongT5", section 3.1.
at::Tensor localAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t block,
                          const at::Tensor& bias, const SideKeys& side, double scale);

/// Rows of a table [count, dim] -> [T, dim]; ids is a long tensor [T]. The gradient of the table is added
/// to its .grad at once instead of passing through the graph as a table of its own; the row `padding`
/// gets none (-1: every row does).
at::Tensor lookUp(const at::Tensor& table, const at::Tensor& ids, std::int64_t padding = -1);

/// Adds to the .grad of a leaf: takes `grad` over where there is none yet.
void addToGrad(const at::Tensor& leaf, at::Tensor grad);

/// rows [N, in] weight [out, in]^T without a gradient: for few rows the weight is read once, as it lies.
at::Tensor product(const at::Tensor& rows, const at::Tensor& weight);

/// Where a mask comes from: a pure function of (rng, step, site, place of the row).
struct MaskSource
{
    const Rng& rng;
    std::uint64_t step = 0, site = 0;        ///< sites stay below 2^20
    std::span<const std::int64_t> places = {}; ///< [T]; empty: the number of the row
};

/// x [T, dim] with elements zeroed with probability p and the rest scaled by 1 / (1 - p). A repeated
/// forward draws the same mask, and a row the same one whatever it is packed with.
at::Tensor dropout(const at::Tensor& x, double p, const MaskSource& source);

/// What the loss over labelled rows gives besides its gradient.
struct HeadLossInfo
{
    std::vector<double> nll;        ///< per row, nats
    std::int64_t correct = 0;       ///< rows whose largest logit is the label
    double total() const;

    /// Asked for by whoever wants no more than the sum. On a device it then stays there as `sum`, a scalar
    /// in float64, nobody waits for it, and the others stay empty.
    bool sumAlone = false;
    at::Tensor sum;
};

/// The output head: logits = softcap(rows weight^T + bias).
struct Head
{
    at::Tensor weight;  ///< [vocab, hidden]
    at::Tensor bias;    ///< [vocab] or undefined
    double softcap = 0; ///< x -> c tanh(x / c); 0: none
    QuantisedPtr packed = {}; ///< frozen, in place of the weight
};

/// Cross-entropy of the output head without a [T, vocab] tensor: rows are taken in chunks, the
/// gradient is made in the forward pass.
/// rows [N, hidden] (only those with a label), labels [N] -> scalar:
/// scale * sum of the negative log-likelihoods. `info` is filled at once, from a device in one read.
/// Source of the formula: softmax cross-entropy, d nll / d logits = softmax - onehot.
at::Tensor headLoss(const at::Tensor& rows, const Head& head, std::span<const std::int64_t> labels,
                    double scale, HeadLossInfo& info);

} // namespace fettle::tensor

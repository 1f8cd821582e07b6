#pragma once

#include "model/fused/linear.h"
#include "tensor/kernels/cpu_kernels.h"

namespace fettle::model::fused {

/// A norm's weights and, where they train, the gradients that are added to.
struct Norm
{
    tensor::NormWeights weights; ///< without a weight: everything is let through
    Index count = 1;             ///< rows of weights.dim in one token's row
    float *grad = nullptr, *biasGrad = nullptr;

    bool exists() const { return weights.weight != nullptr; }
    bool trains() const { return grad || biasGrad; }
};

/// The linear sites of a layer, in the order of a pass. Where one site gives queries, keys and values
/// it stands at Q; where one gives gate and factor, or there is no factor, it stands at Gate.
enum Part : std::size_t { Q, K, V, O, Gate, Up, Down, kParts };

/// The norms of a layer, in the order of a pass.
enum Place : std::size_t {
    BeforeAttention,
    OnQueries,
    OnKeys,
    AfterAttention,
    BeforeMlp,
    AfterMlp,
    kPlaces
};

/// One decoder layer: x + attention(x), then the same with a feed-forward part, with norms before or
/// behind these.
struct Layer
{
    std::array<Linear, kParts> linear;
    std::array<Norm, kPlaces> norm;
    float scale = 1;               ///< of attention scores
    Index window = 0;              ///< 0: all keys before the query
    const float* cosine = nullptr; ///< [tokens, turned / 2]; null: this layer knows no positions
    const float* sine = nullptr;

    const Linear& operator[](std::size_t part) const { return linear[part]; }
    bool has(std::size_t part) const { return linear[part].out > 0; }
    bool trains() const;
};

/// Queries, keys and values of some tokens, rows as Shape says.
struct Heads
{
    float *q = nullptr, *k = nullptr, *v = nullptr;
};

struct Shape
{
    Index hidden = 0, heads = 0, kvHeads = 0, headDim = 0, intermediate = 0;
    Index turned = 0;    ///< leading dimensions of a head that turn to their position
    bool joined = false; ///< queries, keys and values of a token lie in one row, as one site gives them
    Index headStep = 0;  ///< floats from one head to the next
    Index keyAt = 0, valueAt = 0; ///< of a joined row's first key and value
    tensor::Activation activation = tensor::Activation::Silu;
    bool gated = true;      ///< the activation has a factor
    bool parallel = false;  ///< the feed-forward part reads what the attention reads
    float residualScale = 1; ///< of what either part adds
    float softcap = 0;       ///< of attention scores; 0: none

    Index queries() const { return heads * headDim; }
    Index keys() const { return kvHeads * headDim; }
    Index row() const { return queries() + 2 * keys(); }
    Index queryStride() const { return joined ? row() : queries(); }
    Index keyStride() const { return joined ? row() : keys(); }
    /// In a buffer of [tokens, row()] floats.
    Heads headsIn(float* buffer, Index tokens) const;
    tensor::HeadRows queryRows(Index rows) const;
    tensor::HeadRows keyRows(Index rows) const;
    /// One token's keys or values [kvHeads, headDim].
    void copyKeys(const float* from, float* to) const;
};

} // namespace fettle::model::fused

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

/// Tokens that stand before every document of a pass: per layer [length, kvHeads, headDim].
struct Earlier
{
    std::vector<const float*> keys, values;
    Index length = 0;
};

/// What one pass works on.
struct Request
{
    Shape shape;
    std::vector<Layer> layers;
    const float* input = nullptr;     ///< [tokens, hidden]
    std::vector<Index> offsets = {0}; ///< of the documents
    std::vector<Index> wanted;        ///< rows whose last states are asked for; empty: all
    std::vector<Index> places, wantedPlaces; ///< of all rows and of the wanted ones, where masks are drawn
    Earlier earlier;                  ///< of a pass without a gradient
    Masks masks;
    /// Called when the keys and values of a layer are there; may be empty.
    std::function<void(std::size_t layer, const Heads& heads)> seen;

    Index tokens() const { return offsets.back(); }
    /// Behind the attention of the last layer the rows are the wanted ones.
    Masks masksBehind(std::size_t layer) const
    {
        return {masks.rng, masks.draw,
                layer + 1 == layers.size() && !wanted.empty() ? wantedPlaces.data() : places.data()};
    }
    Index outputs() const { return wanted.empty() ? tokens() : static_cast<Index>(wanted.size()); }
    /// What the site O or Down gives is added to the states as it is.
    bool addsPlainly(const Layer& layer, Place behind) const
    {
        return !layer.norm[behind].exists() && shape.residualScale == 1;
    }
};

/// Where the earlier tokens of some slots lie: per layer [all slots, places, kvHeads, headDim].
struct CacheRows
{
    std::vector<float*> keys, values;
    Index places = 0;
    std::vector<Index> slots, lengths; ///< lengths: tokens before the new one
};

/// Activations of one layer that the backward pass needs; T tokens, R rows behind the attention
/// (all but in the last layer, where only the wanted ones go on).
struct Kept
{
    const float* x = nullptr; ///< [T, hidden] what the layer reads
    /// What the sites give. The backward pass puts the gradients in the place of those of Gate, Up,
    /// O and Down; the last two are null where they are added to the states at once.
    std::array<float*, kParts> out = {};
    Heads heads;              ///< as the attention reads them: normed and turned
    float *mixed = nullptr, *lse = nullptr;
    const float* residual = nullptr;   ///< [R, hidden] rows of x
    const float* attended = nullptr;   ///< [R, queries] rows of mixed
    float* middle = nullptr;           ///< [R, hidden] between the two parts; null where parallel
    std::array<float*, kParts> low = {}; ///< thin products of the updates, see LinearWork
    Index rows = 0;                      ///< R

    /// Only the wanted rows go on behind the attention.
    bool compact() const { return attended != mixed; }
    /// The factor of the activation beside out[Gate], its rows as far apart; null: there is none.
    float* factor(const Shape& shape) const
    {
        return out[Up] || !shape.gated ? out[Up] : out[Gate] + shape.intermediate;
    }
};

/// Memory of one pass; used again by later ones.
class Tape
{
public:
    /// Lays out all layers, or one set of buffers for all when nothing is kept for a backward pass.
    void layOut(const Request& request, bool keep);
    Kept& operator[](std::size_t layer) { return m_kept[layer]; }
    /// [T, hidden] that layer `number` > 0 reads.
    float* input(std::size_t number) { return m_inputs[number]; }

private:
    std::vector<AlignedBuffer> m_buffers;
    std::vector<Kept> m_kept;
    std::vector<float*> m_inputs;
};

} // namespace fettle::model::fused

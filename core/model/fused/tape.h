#pragma once

#include "model/fused/linear.h"

namespace fettle::model::fused {

/// A norm's weight and, where it trains, the gradient that is added to.
struct NormWeight
{
    const float* weight = nullptr;
    float* grad = nullptr;
};

/// The linear sites of a layer, in the order of a pass.
enum Part : std::size_t
{
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
    kParts
};

/// One decoder layer: x + attention(norm(x)), then the same with a gated feed-forward part.
struct Layer
{
    std::array<Linear, kParts> linear;
    NormWeight attentionNorm, mlpNorm;
    float scale = 1;               ///< of attention scores
    Index window = 0;              ///< 0: all keys before the query
    const float* cosine = nullptr; ///< [tokens, headDim / 2]; null: this layer knows no positions
    const float* sine = nullptr;

    const Linear& operator[](std::size_t part) const { return linear[part]; }
    bool trains() const;
};

struct Shape
{
    Index hidden = 0, heads = 0, kvHeads = 0, headDim = 0, intermediate = 0;
    float normEps = 0;

    Index queries() const { return heads * headDim; }
    Index keys() const { return kvHeads * headDim; }
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
    Masks masks;
    /// Called when the keys and values [tokens, kvHeads, headDim] of a layer are there; may be
    /// empty.
    std::function<void(std::size_t layer, const float* k, const float* v)> seen;

    Index tokens() const { return offsets.back(); }
    /// Behind the attention of the last layer the rows are the wanted ones.
    Masks masksBehind(std::size_t layer) const
    {
        return {masks.rng, masks.draw,
                layer + 1 == layers.size() && !wanted.empty() ? wantedPlaces.data() : places.data()};
    }
    Index outputs() const { return wanted.empty() ? tokens() : static_cast<Index>(wanted.size()); }
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
    float *q = nullptr, *k = nullptr, *v = nullptr, *mixed = nullptr, *lse = nullptr,
          *norm1 = nullptr;
    const float* residual = nullptr; ///< [R, hidden] rows of x
    const float* heads = nullptr;    ///< [R, queries] rows of mixed
    float *middle = nullptr, *gate = nullptr, *up = nullptr, *norm2 = nullptr;
    std::array<float*, kParts> low = {}; ///< thin products of the updates, see LinearWork
    Index rows = 0;                      ///< R

    /// Only the wanted rows go on behind the attention.
    bool compact() const { return heads != mixed; }
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

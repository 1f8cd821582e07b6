#pragma once

#include "model/fused/layer.h"

namespace fettle::model::fused {

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
    std::size_t recomputed = 0;       ///< so many layers keep their input alone; never the last one
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
    /// Lays out all layers; two sets of buffers for those that are made again, in turn; or one set
    /// for all when nothing is kept for a backward pass.
    void layOut(const Request& request, bool keep);
    Kept& operator[](std::size_t layer) { return m_kept[layer]; }
    /// [T, hidden] that layer `number` > 0 reads.
    float* input(std::size_t number) { return m_inputs[number]; }

private:
    std::vector<AlignedBuffer> m_buffers; ///< of each layer
    std::array<AlignedBuffer, 2> m_recomputed;
    std::vector<Kept> m_kept;
    std::vector<float*> m_inputs;
};

} // namespace fettle::model::fused

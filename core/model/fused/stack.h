#pragma once

#include "model/fused/linear.h"
#include "tensor/kernels/cpu_kernels.h"

namespace fettle::model::fused {

/// A norm's weight and, where it trains, the gradient that is added to.
struct NormWeight
{
    const float* weight = nullptr;
    float* grad = nullptr;
};

/// One decoder layer: x + attention(norm(x)), then the same with a gated feed-forward part.
struct Layer
{
    Linear q, k, v, o, gate, up, down;
    NormWeight attentionNorm, mlpNorm;
    float scale = 1;               ///< of attention scores
    Index window = 0;              ///< 0: all keys before the query
    const float* cosine = nullptr; ///< [tokens, headDim / 2]; null: this layer knows no positions
    const float* sine = nullptr;

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
    Masks masks;
    /// Called when the keys and values [tokens, kvHeads, headDim] of a layer are there; may be
    /// empty.
    std::function<void(std::size_t layer, const float* k, const float* v)> seen;

    Index tokens() const { return offsets.back(); }
    /// Behind the attention of the last layer the rows are the wanted ones.
    Masks masksBehind(std::size_t layer) const
    {
        return {masks.rng, masks.draw,
                layer + 1 == layers.size() && !wanted.empty() ? wanted.data() : nullptr};
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
    float *lowQ = nullptr, *lowK = nullptr, *lowV = nullptr, *lowO = nullptr;
    float *lowGate = nullptr, *lowUp = nullptr, *lowDown = nullptr;
    Index rows = 0; ///< R
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

/// The blocks of a decoder as one hand-written pass in float32 on the processor. Used by one
/// thread, which shares the work out. Equal to the operations of decoder.cpp but for rounding.
class Stack
{
public:
    /// -> output [outputs, hidden], before the last norm.
    void forward(const Request& request, Tape& tape, float* output);
    /// Adds the gradients of everything that trains. dOutput [outputs, hidden]; dInput [tokens,
    /// hidden] or null. Uses up what the tape kept.
    void backward(const Request& request, Tape& tape, const float* dOutput, float* dInput);

    /// One new token for each slot of a cache. input, output [slots, hidden]; angles [slots,
    /// headDim / 2]. The keys and values are added to the cache; its lengths are the caller's to
    /// raise.
    void decode(const Request& request, const CacheRows& cache, float* output);

private:
    enum Part
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
    static const Linear& linear(const Layer& layer, int part);
    void pack(const Layer& layer, int from, int to, bool backward, TaskList& tasks);
    void attentionTasks(const Request& request, std::size_t layer, Kept& kept,
                        TaskList& tasks) const;
    void attentionGradientTasks(const Request& request, std::size_t layer, Kept& kept,
                                TaskList& tasks);
    void intoAttention(const Request& request, std::size_t layer, Kept& kept, Index first,
                       Index rows);
    void outOfAttention(const Request& request, std::size_t layer, Kept& kept, float* y,
                        Index first, Index rows);
    void backFromOutput(const Request& request, std::size_t layer, Kept& kept, Index first,
                        Index rows);
    void backFromHeads(const Request& request, std::size_t layer, Kept& kept, float* dx,
                       Index first, Index rows);
    void outerGradients(const Request& request, std::size_t layer, Kept& kept, TaskList& tasks);
    void innerGradients(const Request& request, std::size_t layer, Kept& kept, TaskList& tasks);
    void reserveBackward(const Request& request);
    void spreadLast(const Request& request, Kept& kept);
    void sumNorm(const AlignedBuffer& partial, float* grad, Index rows, Index dim) const;

    std::array<LinearWork, kParts> m_work;
    // Of the backward pass.
    AlignedBuffer m_dOut, m_dMiddle, m_dHeads; ///< [T, hidden], [T, hidden], [T, queries]
    AlignedBuffer m_rowsMiddle, m_rowsHeads;   ///< of the wanted rows alone
    std::array<AlignedBuffer, 2> m_dq, m_dk,
        m_dv; ///< one layer's are summed while the next one's are made
    std::array<AlignedBuffer, kParts>
        m_panels; ///< what the layers read, in panels; see panelsOwner()
    AlignedBuffer m_norm1Parts, m_norm2Parts; ///< [blocks, hidden]
};

} // namespace fettle::model::fused

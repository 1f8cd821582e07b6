#pragma once

#include "model/fused/tape.h"
#include "tensor/kernels/cpu_kernels.h"

namespace fettle::model::fused {

/// task(first row, rows) for each block of rows, shared out to the compute threads.
void overRows(Index rows, const std::function<void(Index first, Index rows)>& task);

/// y = norm(x) for the rows of some tokens; a copy where there is no norm.
void applyNorm(const Norm& norm, const float* x, float* y, Index rows);

/// x += scale * y.
void addScaled(float* x, const float* y, float scale, Index count);

/// Turns queries and keys of the tokens from `first` on to their positions (sign 1) or back (-1).
void turnHeads(const Shape& shape, const Layer& layer, const Heads& heads, Index first, Index rows,
               float sign);

/// The same heads from the token `first` on.
Heads headsFrom(const Shape& shape, const Heads& heads, Index first);

/// The group of heads `head` of document `document` as the attention kernels see it.
tensor::AttentionHead attentionHead(const Request& request, const Layer& layer, const Kept& kept,
                                    std::size_t document, Index head);

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
    /// turned / 2]. The keys and values are added to the cache; its lengths are the caller's to
    /// raise.
    void decode(const Request& request, const CacheRows& cache, float* output);

private:
    void packForward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks);
    void packBackward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks);
    void apply(const Layer& layer, std::size_t from, std::size_t to, const LeftSide& x, Kept& kept,
               Index first, Index total, const Masks& masks) const;
    void join(const Request& request, std::size_t number, std::size_t part, Place behind,
              const LeftSide& x, const float* residual, float* y, Kept& kept, Index first) const;
    void packEarlier(const Request& request, std::size_t layer, TaskList& tasks);
    tensor::EarlierKeys earlierKeys(const Request& request, std::size_t layer, Index head) const;
    void attentionTasks(const Request& request, std::size_t layer, Kept& kept,
                        TaskList& tasks) const;
    void attentionGradientTasks(const Request& request, std::size_t layer, Kept& kept,
                                TaskList& tasks);
    void intoAttention(const Request& request, std::size_t layer, Kept& kept, Index first,
                       Index rows) const;
    void outOfAttention(const Request& request, std::size_t layer, Kept& kept, float* y,
                        Index first, Index rows) const;
    const float* beforeJoin(const Request& request, const Layer& layer, std::size_t part,
                            Place behind, const float* dy, Kept& kept, Index first, Index rows);
    void normBackward(const Layer& layer, Place place, const float* dy, const float* x, float* dx,
                      Index first, Index rows);
    bool backThrough(const Layer& layer, std::size_t from, std::size_t to,
                     const std::array<const float*, kParts>& dy, float* dx, Index first, Index rows,
                     const Masks& masks);
    void makeAgain(const Request& request, std::size_t layer, Kept& kept);
    void backFromOutput(const Request& request, std::size_t layer, Kept& kept, Index first,
                        Index rows);
    void backFromMlp(const Request& request, std::size_t layer, Kept& kept, float* dNormed,
                     Index first, Index rows);
    void backFromHeads(const Request& request, std::size_t layer, Kept& kept, float* dx,
                       Index first, Index rows);
    void outerGradients(const Request& request, std::size_t layer, Kept& kept, TaskList& tasks);
    void innerGradients(const Request& request, std::size_t layer, Kept& kept, TaskList& tasks);
    void shapeInputs(const Layer& layer, std::size_t from, std::size_t to, Index rows,
                     const Masks& masks);
    void keepInputs(const Layer& layer, std::size_t from, std::size_t to, const float* x,
                    Index rows, Index first, const Masks& masks);
    void reserveBackward(const Request& request);
    void spreadLast(const Request& request, Kept& kept);
    void sumNorms(const Layer& layer, std::initializer_list<Place> places, Index rows,
                  TaskList& tasks) const;
    Heads headGradients(const Request& request, std::size_t layer);

    std::array<LinearWork, kParts> m_work;
    /// Earlier keys and values of each head in panels; two: one layer's are packed while another's
    /// are read.
    std::array<AlignedBuffer, 2> m_earlier;
    // Of the backward pass.
    AlignedBuffer m_dOut, m_dMiddle, m_dAttended; ///< [T, hidden], [T, hidden], [T, queries]
    AlignedBuffer m_rowsMiddle, m_rowsAttended;   ///< of the wanted rows alone
    /// Two: one layer's are summed while the next one's are made.
    std::array<AlignedBuffer, 2> m_dHeads;     ///< [T, row]
    std::array<RightSide, kParts> m_inputs; ///< what the sites read; see inputOf()
    std::array<AlignedBuffer, kPlaces> m_normParts; ///< [units, 2, dim]: of weight and bias
};

} // namespace fettle::model::fused

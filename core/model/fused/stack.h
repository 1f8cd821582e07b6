#pragma once

#include "model/fused/tape.h"
#include "tensor/kernels/cpu_kernels.h"

namespace fettle::model::fused {

/// task(first row, rows) for each block of rows, shared out to the compute threads.
void overRows(Index rows, const std::function<void(Index first, Index rows)>& task);

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
    /// headDim / 2]. The keys and values are added to the cache; its lengths are the caller's to
    /// raise.
    void decode(const Request& request, const CacheRows& cache, float* output);

private:
    void packForward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks);
    void packBackward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks);
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
    void keepInputs(const Layer& layer, std::size_t from, std::size_t to, const float* x,
                    Index rows, Index first, Index total, const Masks& masks);
    void reserveBackward(const Request& request);
    void spreadLast(const Request& request, Kept& kept);
    void sumNorm(const AlignedBuffer& partial, float* grad, Index rows, Index dim) const;

    std::array<LinearWork, kParts> m_work;
    // Of the backward pass.
    AlignedBuffer m_dOut, m_dMiddle, m_dHeads; ///< [T, hidden], [T, hidden], [T, queries]
    AlignedBuffer m_rowsMiddle, m_rowsHeads;   ///< of the wanted rows alone
    /// Two: one layer's are summed while the next one's are made.
    std::array<AlignedBuffer, 2> m_dq, m_dk, m_dv;
    std::array<AlignedBuffer, kParts> m_panels; ///< what the sites read, in panels; see panelsOf()
    AlignedBuffer m_norm1Parts, m_norm2Parts;   ///< [blocks, hidden]
};

} // namespace fettle::model::fused

#include "model/fused/stack.h"
#include "tensor/parallel.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;

void overRows(Index rows, const std::function<void(Index first, Index rows)>& task)
{
    // As many blocks for each thread, all of nearly one size.
    const Index threads = tensor::computeThreads(), units = (rows + kRowUnit - 1) / kRowUnit;
    const auto perThread = (rows + threads * kRowBlock - 1) / (threads * kRowBlock);
    const auto blocks = std::min(units, perThread * threads);
    tensor::parallelTasks(blocks, [&](Index block) {
        const auto first = block * units / blocks * kRowUnit;
        task(first, std::min((block + 1) * units / blocks * kRowUnit, rows) - first);
    });
}

tensor::AttentionHead attentionHead(const Request& request, const Layer& layer, const Kept& kept,
                                    std::size_t document, Index head)
{
    const auto& shape = request.shape;
    const auto group = shape.heads / shape.kvHeads, tokens = request.tokens();
    const auto begin = request.offsets[document], length = request.offsets[document + 1] - begin;
    const auto atQuery = begin * shape.queries() + head * group * shape.headDim;
    const auto atKey = begin * shape.keys() + head * shape.headDim;
    return {kept.q + atQuery,
            kept.k + atKey,
            kept.v + atKey,
            kept.mixed + atQuery,
            kept.lse + head * group * tokens + begin,
            shape.queries(),
            shape.keys(),
            tokens,
            length,
            shape.headDim,
            group,
            layer.window,
            layer.scale};
}

void Stack::packForward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks)
{
    for (auto part = from; part <= to; ++part)
        m_work[part].packForward(layer[part], tasks);
}

/// Queries, keys and values of some rows, turned to their positions.
void Stack::intoAttention(const Request& request, std::size_t number, Kept& kept, Index first,
                          Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto tokens = request.tokens();
    Scratch scratch;
    float* normed = scratch.take(rows * shape.hidden);
    cpuKernels().rmsNorm(kept.x + first * shape.hidden, layer.attentionNorm.weight, normed,
                         kept.norm1 + first, rows, shape.hidden, shape.normEps);
    float *q = kept.q + first * shape.queries(), *k = kept.k + first * shape.keys();
    m_work[Q].forward(layer[Q], normed, rows, first, q, false, kept.low[Q], tokens, request.masks);
    m_work[K].forward(layer[K], normed, rows, first, k, false, kept.low[K], tokens, request.masks);
    m_work[V].forward(layer[V], normed, rows, first, kept.v + first * shape.keys(), false,
                      kept.low[V], tokens, request.masks);
    if (layer.cosine) {
        const auto at = first * shape.headDim / 2;
        cpuKernels().rope(q, q, layer.cosine + at, layer.sine + at, rows, shape.heads,
                          shape.headDim, 1);
        cpuKernels().rope(k, k, layer.cosine + at, layer.sine + at, rows, shape.kvHeads,
                          shape.headDim, 1);
    }
}

void Stack::attentionTasks(const Request& request, std::size_t number, Kept& kept,
                           TaskList& tasks) const
{
    for (std::size_t d = 0; d + 1 < request.offsets.size(); ++d) {
        for (Index head = 0; head < request.shape.kvHeads; ++head) {
            tasks.push_back([task = attentionHead(request, request.layers[number], kept, d, head)] {
                Scratch scratch;
                cpuKernels().attention(task, scratch.take(cpuKernels().attentionScratch(task)));
            });
        }
    }
}

/// Everything behind the attention for some rows: y [rows, hidden] is what the layer gives.
void Stack::outOfAttention(const Request& request, std::size_t number, Kept& kept, float* y,
                           Index first, Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden, wide = shape.intermediate;
    const auto masks = request.masksBehind(number);
    Scratch scratch;
    float *middle = kept.middle + first * hidden, *gate = kept.gate + first * wide,
          *up = kept.up + first * wide;
    std::copy_n(kept.residual + first * hidden, rows * hidden, middle);
    m_work[O].forward(layer[O], kept.heads + first * shape.queries(), rows, first, middle, true,
                      kept.low[O], kept.rows, masks);
    float *normed = scratch.take(rows * hidden), *product = scratch.take(rows * wide);
    cpuKernels().rmsNorm(middle, layer.mlpNorm.weight, normed, kept.norm2 + first, rows, hidden,
                         shape.normEps);
    m_work[Gate].forward(layer[Gate], normed, rows, first, gate, false, kept.low[Gate], kept.rows,
                         masks);
    m_work[Up].forward(layer[Up], normed, rows, first, up, false, kept.low[Up], kept.rows, masks);
    cpuKernels().siluGate(gate, up, product, rows * wide);
    std::copy_n(middle, rows * hidden, y);
    m_work[Down].forward(layer[Down], product, rows, first, y, true, kept.low[Down], kept.rows,
                         masks);
}

namespace {

/// Rows of x [tokens, dim] -> [rows, dim].
void gather(const float* x, const std::vector<Index>& rows, Index dim, float* out)
{
    for (std::size_t i = 0; i < rows.size(); ++i)
        std::copy_n(x + rows[i] * dim, dim, out + static_cast<Index>(i) * dim);
}

} // namespace

void Stack::forward(const Request& request, Tape& tape, float* output)
{
    const auto& shape = request.shape;
    const auto tokens = request.tokens();
    const auto last = request.layers.size() - 1;
    TaskList tasks;
    packForward(request.layers[0], Q, V, tasks);
    runTasks(tasks);
    overRows(tokens,
             [&](Index first, Index rows) { intoAttention(request, 0, tape[0], first, rows); });
    for (std::size_t number = 0; number <= last; ++number) {
        auto& kept = tape[number];
        if (request.seen)
            request.seen(number, kept.k, kept.v);
        tasks.clear();
        attentionTasks(request, number, kept, tasks);
        packForward(request.layers[number], O, Down, tasks);
        if (number < last)
            packForward(request.layers[number + 1], Q, V, tasks);
        runTasks(tasks);
        if (kept.compact()) {
            gather(kept.x, request.wanted, shape.hidden, const_cast<float*>(kept.residual));
            gather(kept.mixed, request.wanted, shape.queries(), const_cast<float*>(kept.heads));
        }
        float* y = number < last ? tape.input(number + 1) : output;
        overRows(kept.rows, [&](Index first, Index rows) {
            outOfAttention(request, number, kept, y + first * shape.hidden, first, rows);
            if (number < last)
                intoAttention(request, number + 1, tape[number + 1], first, rows);
        });
    }
}

} // namespace fettle::model::fused

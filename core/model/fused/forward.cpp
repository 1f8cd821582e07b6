#include "model/fused/stack.h"
#include "tensor/parallel.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;

bool Layer::trains() const
{
    return q.trains() || k.trains() || v.trains() || o.trains() || gate.trains() || up.trains() ||
           down.trains() || attentionNorm.grad || mlpNorm.grad;
}

void Tape::layOut(const Request& request, bool keep)
{
    const auto& shape = request.shape;
    const auto tokens = request.tokens(), layers = static_cast<Index>(request.layers.size());
    if (const auto needed = static_cast<std::size_t>(keep ? layers : 1); m_buffers.size() < needed)
        m_buffers.resize(needed); // those of an earlier pass stay
    m_kept.assign(static_cast<std::size_t>(layers), {});
    m_inputs.assign(static_cast<std::size_t>(layers), nullptr);
    Index panels = 0; // of the widest update: without a backward pass the layers share one layout
    for (const auto& layer : request.layers) {
        for (const auto* l :
             {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down})
            panels = std::max(panels, l->rankPanels());
    }
    for (Index number = 0; number < layers; ++number) {
        auto& kept = m_kept[static_cast<std::size_t>(number)];
        auto*& input = m_inputs[static_cast<std::size_t>(number)];
        const bool compact = number == layers - 1 && !request.wanted.empty();
        const auto rows = kept.rows = compact ? request.outputs() : tokens;
        const auto low = panels * tensor::kPanel;
        float *residual = nullptr, *heads = nullptr;
        const std::pair<float**, Index> parts[] = {
            {&input, keep && number == 0 ? 0 : tokens * shape.hidden},
            {&kept.q, tokens * shape.queries()},
            {&kept.k, tokens * shape.keys()},
            {&kept.v, tokens * shape.keys()},
            {&kept.mixed, tokens * shape.queries()},
            {&kept.lse, tokens * shape.heads},
            {&kept.norm1, tokens},
            {&kept.lowQ, tokens * low},
            {&kept.lowK, tokens * low},
            {&kept.lowV, tokens * low},
            {&kept.middle, rows * shape.hidden},
            {&kept.gate, rows * shape.intermediate},
            {&kept.up, rows * shape.intermediate},
            {&kept.norm2, rows},
            {&kept.lowO, rows * low},
            {&kept.lowGate, rows * low},
            {&kept.lowUp, rows * low},
            {&kept.lowDown, rows * low},
            {&residual, compact ? rows * shape.hidden : 0},
            {&heads, compact ? rows * shape.queries() : 0},
        };
        const auto room = [](Index count) { return (count + 15) / 16 * 16; };
        Index total = 0;
        for (const auto& [pointer, count] : parts)
            total += room(count);
        // The last layer's rows are no more than the tokens, so what it needs beside them is added
        // once.
        const auto extra = keep ? 0 : request.outputs() * (shape.hidden + shape.queries()) + 32;
        float* next = m_buffers[keep ? static_cast<std::size_t>(number) : 0].reserve(total + extra);
        for (const auto& [pointer, count] : parts) {
            *pointer = next;
            next += room(count);
        }
        kept.x = number > 0 ? input : request.input;
        kept.residual = compact ? residual : kept.x;
        kept.heads = compact ? heads : kept.mixed;
    }
}

const Linear& Stack::linear(const Layer& layer, int part)
{
    const Linear* all[] = {&layer.q,    &layer.k,  &layer.v,   &layer.o,
                           &layer.gate, &layer.up, &layer.down};
    return *all[part];
}

void Stack::pack(const Layer& layer, int from, int to, bool backward, TaskList& tasks)
{
    for (int part = from; part <= to; ++part) {
        auto& work = m_work[static_cast<std::size_t>(part)];
        if (backward)
            work.packBackward(linear(layer, part), tasks);
        else
            work.packForward(linear(layer, part), tasks);
    }
}

namespace {

/// task(first row, rows) for each block of rows.
template<typename Task> void overRows(Index rows, const Task& task)
{
    const auto blocks = (rows + kRowBlock - 1) / kRowBlock;
    tensor::parallelTasks(blocks, [&](Index block) {
        const auto first = block * kRowBlock;
        task(first, std::min(kRowBlock, rows - first));
    });
}

} // namespace

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
    m_work[Q].forward(layer.q, normed, rows, first, q, false, kept.lowQ, tokens, request.masks);
    m_work[K].forward(layer.k, normed, rows, first, k, false, kept.lowK, tokens, request.masks);
    m_work[V].forward(layer.v, normed, rows, first, kept.v + first * shape.keys(), false, kept.lowV,
                      tokens, request.masks);
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
    const auto& layer = request.layers[number];
    const auto shape = request.shape;
    const auto group = shape.heads / shape.kvHeads, tokens = request.tokens();
    for (std::size_t d = 0; d + 1 < request.offsets.size(); ++d) {
        const auto begin = request.offsets[d], length = request.offsets[d + 1] - begin;
        for (Index head = 0; length > 0 && head < shape.kvHeads; ++head) {
            const auto atQuery = begin * shape.queries() + head * group * shape.headDim;
            const auto atKey = begin * shape.keys() + head * shape.headDim;
            const tensor::AttentionHead task{kept.q + atQuery,
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
            tasks.push_back([task] {
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
    m_work[O].forward(layer.o, kept.heads + first * shape.queries(), rows, first, middle, true,
                      kept.lowO, kept.rows, masks);
    float *normed = scratch.take(rows * hidden), *product = scratch.take(rows * wide);
    cpuKernels().rmsNorm(middle, layer.mlpNorm.weight, normed, kept.norm2 + first, rows, hidden,
                         shape.normEps);
    m_work[Gate].forward(layer.gate, normed, rows, first, gate, false, kept.lowGate, kept.rows,
                         masks);
    m_work[Up].forward(layer.up, normed, rows, first, up, false, kept.lowUp, kept.rows, masks);
    cpuKernels().siluGate(gate, up, product, rows * wide);
    std::copy_n(middle, rows * hidden, y);
    m_work[Down].forward(layer.down, product, rows, first, y, true, kept.lowDown, kept.rows, masks);
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
    pack(request.layers[0], Q, V, false, tasks);
    runTasks(tasks);
    overRows(tokens,
             [&](Index first, Index rows) { intoAttention(request, 0, tape[0], first, rows); });
    for (std::size_t number = 0; number <= last; ++number) {
        auto& kept = tape[number];
        if (request.seen)
            request.seen(number, kept.k, kept.v);
        tasks.clear();
        attentionTasks(request, number, kept, tasks);
        pack(request.layers[number], O, Down, false, tasks);
        if (number < last)
            pack(request.layers[number + 1], Q, V, false, tasks);
        runTasks(tasks);
        if (kept.heads != kept.mixed) {
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

#include "model/fused/tape.h"

#include "tensor/kernels/cpu_kernels.h"

#include <algorithm>

namespace fettle::model::fused {

bool Layer::trains() const
{
    return std::ranges::any_of(linear, &Linear::trains) || attentionNorm.grad || mlpNorm.grad;
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
        for (const auto& linear : layer.linear)
            panels = std::max(panels, linear.rankPanels());
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
            {&kept.low[Q], tokens * low},
            {&kept.low[K], tokens * low},
            {&kept.low[V], tokens * low},
            {&kept.middle, rows * shape.hidden},
            {&kept.gate, rows * shape.intermediate},
            {&kept.up, rows * shape.intermediate},
            {&kept.norm2, rows},
            {&kept.low[O], rows * low},
            {&kept.low[Gate], rows * low},
            {&kept.low[Up], rows * low},
            {&kept.low[Down], rows * low},
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

} // namespace fettle::model::fused

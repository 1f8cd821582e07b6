#include "model/fused/stack.h"
#include "tensor/parallel.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;

namespace {

/// Outputs that one task makes.
constexpr Index kOutputs = 96;

/// scale * x A^T for a few rows, [rows, rank].
std::vector<float> lowOf(const Linear& l, const float* x, Index rows)
{
    std::vector<float> low(static_cast<std::size_t>(rows * l.rank));
    if (l.rank > 0)
        cpuKernels().fewRows(x, l.a, low.data(), rows, l.rank, l.in, l.rank);
    for (auto& value : low)
        value *= l.scale;
    return low;
}

/// Outputs [from, from + count) of a layer for a few rows x.
void outputs(const Linear& l, const float* x, const std::vector<float>& low, Index rows, Index from,
             Index count, float* y)
{
    if (l.packed)
        l.packed->fewRows(x, rows, from, count, y + from, l.out);
    else
        cpuKernels().fewRows(x, l.weight + from * l.in, y + from, rows, count, l.in, l.out);
    for (Index r = 0; r < rows; ++r) {
        float* out = y + r * l.out + from;
        for (Index o = 0; l.bias && o < count; ++o)
            out[o] += l.bias[from + o];
        for (Index o = 0; l.rank > 0 && o < count; ++o) {
            float sum = 0;
            for (Index i = 0; i < l.rank; ++i)
                sum += low[static_cast<std::size_t>(r * l.rank + i)] * l.b[(from + o) * l.rank + i];
            out[o] += sum;
        }
    }
}

struct Use
{
    const Linear* linear;
    float* y;
};

/// y = layer(x) for layers that read the same few rows.
void apply(const std::vector<Use>& uses, const float* x, Index rows)
{
    struct Piece
    {
        std::size_t use;
        Index from;
    };
    std::vector<Piece> pieces;
    std::vector<std::vector<float>> lows;
    for (std::size_t i = 0; i < uses.size(); ++i) {
        lows.push_back(lowOf(*uses[i].linear, x, rows));
        for (Index from = 0; from < uses[i].linear->out; from += kOutputs)
            pieces.push_back({i, from});
    }
    tensor::parallelTasks(static_cast<Index>(pieces.size()), [&](Index number) {
        const auto& piece = pieces[static_cast<std::size_t>(number)];
        const auto& l = *uses[piece.use].linear;
        outputs(l, x, lows[piece.use], rows, piece.from, std::min(kOutputs, l.out - piece.from),
                uses[piece.use].y);
    });
}

void addTo(float* x, const float* y, Index count)
{
    for (Index i = 0; i < count; ++i)
        x[i] += y[i];
}

} // namespace

void Stack::decode(const Request& request, const CacheRows& cache, float* x)
{
    const auto& shape = request.shape;
    const auto rows = static_cast<Index>(cache.slots.size());
    const auto hidden = shape.hidden, wide = shape.intermediate,
               group = shape.heads / shape.kvHeads;
    Scratch scratch;
    float *normed = scratch.take(rows * hidden), *part = scratch.take(rows * hidden),
          *inverse = scratch.take(rows);
    float *q = scratch.take(rows * shape.queries()), *mixed = scratch.take(rows * shape.queries());
    float *k = scratch.take(rows * shape.keys()), *v = scratch.take(rows * shape.keys());
    float *gate = scratch.take(rows * wide), *up = scratch.take(rows * wide);
    std::copy_n(request.input, rows * hidden, x);
    for (std::size_t number = 0; number < request.layers.size(); ++number) {
        const auto& layer = request.layers[number];
        cpuKernels().rmsNorm(x, layer.attentionNorm.weight, normed, inverse, rows, hidden,
                             shape.normEps);
        apply({{&layer[Q], q}, {&layer[K], k}, {&layer[V], v}}, normed, rows);
        if (layer.cosine) {
            cpuKernels().rope(q, q, layer.cosine, layer.sine, rows, shape.heads, shape.headDim, 1);
            cpuKernels().rope(k, k, layer.cosine, layer.sine, rows, shape.kvHeads, shape.headDim,
                              1);
        }
        tensor::parallelTasks(rows * shape.kvHeads, [&](Index task) {
            const auto row = task / shape.kvHeads, head = task % shape.kvHeads;
            const auto at = static_cast<std::size_t>(row);
            const auto begin = cache.slots[at] * cache.places * shape.keys() + head * shape.headDim;
            float *keys = cache.keys[number] + begin, *values = cache.values[number] + begin;
            const auto last = cache.lengths[at];
            std::copy_n(k + row * shape.keys() + head * shape.headDim, shape.headDim,
                        keys + last * shape.keys());
            std::copy_n(v + row * shape.keys() + head * shape.headDim, shape.headDim,
                        values + last * shape.keys());
            const auto first = layer.window > 0 ? std::max<Index>(0, last + 1 - layer.window) : 0;
            const auto length = last + 1 - first,
                       query = row * shape.queries() + head * group * shape.headDim;
            Scratch own;
            cpuKernels().decodeAttention(q + query, keys + first * shape.keys(),
                                         values + first * shape.keys(), mixed + query,
                                         own.take(group * length), group, shape.headDim, length,
                                         shape.keys(), layer.scale);
        });
        apply({{&layer[O], part}}, mixed, rows);
        addTo(x, part, rows * hidden);
        cpuKernels().rmsNorm(x, layer.mlpNorm.weight, normed, inverse, rows, hidden, shape.normEps);
        apply({{&layer[Gate], gate}, {&layer[Up], up}}, normed, rows);
        cpuKernels().siluGate(gate, up, gate, rows * wide);
        apply({{&layer[Down], part}}, gate, rows);
        addTo(x, part, rows * hidden);
    }
}

} // namespace fettle::model::fused

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
    else if (l.colStride == 1)
        cpuKernels().fewRows(x, l.weight + from * l.in, y + from, rows, count, l.in, l.out);
    else
        cpuKernels().fewRowsAcross(x, l.weight + from, y + from, rows, count, l.in, l.in,
                                   l.colStride, l.out);
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

/// What one token for each slot goes through.
class Step
{
public:
    Step(const Request& request, const CacheRows& cache, float* x)
        : m_request(request)
        , m_shape(request.shape)
        , m_cache(cache)
        , m_rows(static_cast<Index>(cache.slots.size()))
        , m_x(x)
        , m_normed(m_scratch.take(m_rows * m_shape.hidden))
        , m_part(m_scratch.take(m_rows * m_shape.hidden))
        , m_mixed(m_scratch.take(m_rows * m_shape.queries()))
        , m_mlp(m_scratch.take(m_rows * 2 * m_shape.intermediate))
        , m_product(m_scratch.take(m_rows * m_shape.intermediate))
        , m_heads(m_shape.headsIn(m_scratch.take(m_rows * m_shape.row()), m_rows))
    {
    }

    void layer(std::size_t number)
    {
        const auto& layer = m_request.layers[number];
        norm(layer.norm[BeforeAttention], m_x);
        makeHeads(layer);
        attend(layer, number);
        if (m_shape.parallel)
            norm(layer.norm[BeforeMlp], m_x);
        add(layer, O, AfterAttention, m_mixed);
        if (!m_shape.parallel)
            norm(layer.norm[BeforeMlp], m_x);
        mlp(layer);
        add(layer, Down, AfterMlp, m_product);
    }

private:
    void norm(const Norm& norm, const float* x) { applyNorm(norm, x, m_normed, m_rows); }

    void makeHeads(const Layer& layer)
    {
        std::vector<Use> uses = {{&layer[Q], m_heads.q}};
        if (layer.has(K))
            uses.insert(uses.end(), {{&layer[K], m_heads.k}, {&layer[V], m_heads.v}});
        apply(uses, m_normed, m_rows);
        if (layer.norm[OnQueries].exists()) {
            applyNorm(layer.norm[OnQueries], m_heads.q, m_heads.q, m_rows);
            applyNorm(layer.norm[OnKeys], m_heads.k, m_heads.k, m_rows);
        }
        turnHeads(m_shape, layer, m_heads, 0, m_rows, 1);
    }

    void attend(const Layer& layer, std::size_t number)
    {
        const auto keys = m_shape.keys();
        for (Index row = 0; row < m_rows; ++row) {
            const auto at = static_cast<std::size_t>(row);
            const auto to = (m_cache.slots[at] * m_cache.places + m_cache.lengths[at]) * keys;
            const auto own = headsFrom(m_shape, m_heads, row);
            m_shape.copyKeys(own.k, m_cache.keys[number] + to);
            m_shape.copyKeys(own.v, m_cache.values[number] + to);
        }
        const auto group = m_shape.heads / m_shape.kvHeads, dim = m_shape.headDim;
        tensor::parallelTasks(m_rows * m_shape.kvHeads, [&](Index task) {
            const auto row = task / m_shape.kvHeads, head = task % m_shape.kvHeads;
            const auto at = static_cast<std::size_t>(row);
            const auto last = m_cache.lengths[at];
            const auto first = layer.window > 0 ? std::max<Index>(0, last + 1 - layer.window) : 0;
            const auto length = last + 1 - first;
            const auto from = (m_cache.slots[at] * m_cache.places + first) * keys + head * dim;
            Scratch own;
            cpuKernels().decodeAttention(
                m_heads.q + row * m_shape.queryStride() + head * group * m_shape.headStep,
                m_cache.keys[number] + from, m_cache.values[number] + from,
                m_mixed + row * m_shape.queries() + head * group * dim, own.take(group * length),
                group, dim, length, keys, layer.scale, m_shape.softcap);
        });
    }

    void mlp(const Layer& layer)
    {
        const auto wide = m_shape.intermediate, stride = layer[Gate].out;
        float* factor = layer.has(Up) ? m_mlp + m_rows * wide : m_shape.gated ? m_mlp + wide : nullptr;
        std::vector<Use> uses = {{&layer[Gate], m_mlp}};
        if (layer.has(Up))
            uses.push_back({&layer[Up], factor});
        apply(uses, m_normed, m_rows);
        for (Index r = 0; r < m_rows; ++r)
            cpuKernels().activate(m_shape.activation, m_mlp + r * stride,
                                  factor ? factor + r * stride : nullptr, m_product + r * wide,
                                  wide);
    }

    /// Adds what the site O or Down gives for `in` to the states.
    void add(const Layer& layer, std::size_t part, Place behind, const float* in)
    {
        apply({{&layer[part], m_part}}, in, m_rows);
        if (layer.norm[behind].exists())
            applyNorm(layer.norm[behind], m_part, m_part, m_rows);
        addScaled(m_x, m_part, m_shape.residualScale, m_rows * m_shape.hidden);
    }

    Scratch m_scratch;
    const Request& m_request;
    const Shape& m_shape;
    const CacheRows& m_cache;
    Index m_rows;
    float *m_x, *m_normed, *m_part, *m_mixed, *m_mlp, *m_product;
    Heads m_heads;
};

} // namespace

void Stack::decode(const Request& request, const CacheRows& cache, float* x)
{
    std::copy_n(request.input, static_cast<Index>(cache.slots.size()) * request.shape.hidden, x);
    Step step(request, cache, x);
    for (std::size_t number = 0; number < request.layers.size(); ++number)
        step.layer(number);
}

} // namespace fettle::model::fused

#include "model/fused/tape.h"

#include <algorithm>
#include <deque>

namespace fettle::model::fused {

bool Layer::trains() const
{
    return std::ranges::any_of(linear, &Linear::trains) || std::ranges::any_of(norm, &Norm::trains);
}

Heads Shape::headsIn(float* buffer, Index tokens) const
{
    if (joined)
        return {buffer, buffer + keyAt, buffer + valueAt};
    return {buffer, buffer + tokens * queries(), buffer + tokens * (queries() + keys())};
}

tensor::HeadRows Shape::queryRows(Index rows) const
{
    return {rows, heads, queryStride(), headStep, turned};
}

tensor::HeadRows Shape::keyRows(Index rows) const
{
    return {rows, kvHeads, keyStride(), headStep, turned};
}

void Shape::copyKeys(const float* from, float* to) const
{
    for (Index head = 0; head < kvHeads; ++head)
        std::copy_n(from + head * headStep, headDim, to + head * headDim);
}

namespace {

struct Piece
{
    float** pointer;
    Index count; ///< floats
};

/// Everything that one layer keeps. `residual` and `attended`: see Kept, where the rows are fewer.
/// `rows`: those behind the attention that there is room for. Layers that share their memory have room
/// for the same number, so that nothing lies where the layer before it is still read.
struct LayerPieces
{
    float *input = nullptr, *residual = nullptr, *attended = nullptr, *raw = nullptr,
          *normed = nullptr, *mlp = nullptr;
    std::vector<Piece> pieces;

    LayerPieces(const Request& request, const Layer& layer, Kept& kept, Index low, bool keepsInput,
                bool compact, Index rows)
    {
        const auto& shape = request.shape;
        const auto tokens = request.tokens();
        const bool norms = layer.norm[OnQueries].exists();
        const auto apart = [&](Place behind) {
            return request.addsPlainly(layer, behind) ? 0 : rows * shape.hidden;
        };
        pieces = {{&input, keepsInput ? tokens * shape.hidden : 0},
                  {&raw, tokens * shape.row()},
                  {&normed, norms ? tokens * (shape.queries() + shape.keys()) : 0},
                  {&kept.mixed, tokens * shape.queries()},
                  {&kept.lse, tokens * shape.heads},
                  {&kept.middle, shape.parallel ? 0 : rows * shape.hidden},
                  {&mlp, rows * shape.intermediate * (shape.gated ? 2 : 1)},
                  {&kept.out[O], apart(AfterAttention)},
                  {&kept.out[Down], apart(AfterMlp)}};
        for (std::size_t part = 0; part < kParts; ++part) {
            if (layer.has(part))
                pieces.push_back({&kept.low[part], (part <= V ? tokens : rows) * low});
        }
        if (compact) {
            pieces.push_back({&residual, kept.rows * shape.hidden});
            pieces.push_back({&attended, kept.rows * shape.queries()});
        }
    }

    static Index room(Index count) { return (count + 15) / 16 * 16; }
    Index total() const
    {
        Index sum = 0;
        for (const auto& piece : pieces)
            sum += room(piece.count);
        return sum;
    }
    /// What follows from the places of the pieces.
    void fill(const Request& request, const Layer& layer, Kept& kept) const
    {
        const auto& shape = request.shape;
        kept.residual = residual ? residual : kept.x;
        kept.attended = attended ? attended : kept.mixed;
        const auto given = shape.headsIn(raw, request.tokens());
        kept.out[Q] = given.q;
        if (layer.has(K))
            kept.out[K] = given.k, kept.out[V] = given.v;
        kept.heads = given;
        if (normed) {
            const auto heads = shape.headsIn(normed, request.tokens());
            kept.heads.q = heads.q, kept.heads.k = heads.k; // values have no norm
        }
        kept.out[Gate] = mlp;
        if (layer.has(Up))
            kept.out[Up] = mlp + kept.rows * shape.intermediate;
    }
    void place(float* next)
    {
        for (const auto& [pointer, count] : pieces) {
            *pointer = count > 0 ? next : nullptr;
            next += room(count);
        }
    }
};

} // namespace

void Tape::layOut(const Request& request, bool keep)
{
    const auto tokens = request.tokens();
    const auto layers = request.layers.size();
    if (const auto needed = keep ? layers : 1; m_buffers.size() < needed)
        m_buffers.resize(needed); // those of an earlier pass stay
    m_kept.assign(layers, {});
    m_inputs.assign(layers, nullptr);
    Index panels = 0; // of the widest update: without a backward pass the layers share one layout
    for (const auto& layer : request.layers) {
        for (const auto& linear : layer.linear)
            panels = std::max(panels, linear.rankPanels());
    }
    std::deque<LayerPieces> all; // whose elements stay where they are
    Index largest = 0;
    for (std::size_t number = 0; number < m_kept.size(); ++number) {
        auto& kept = m_kept[number];
        const bool compact = number + 1 == m_kept.size() && !request.wanted.empty();
        kept.rows = compact ? request.outputs() : tokens;
        const auto& pieces = all.emplace_back(
            request, request.layers[number], kept, panels * tensor::kPanel,
            /*keepsInput=*/!keep || number >= std::max<std::size_t>(1, request.recomputed), compact,
            keep ? kept.rows : std::max(tokens, request.outputs()));
        if (!keep || number < request.recomputed)
            largest = std::max(largest, pieces.total());
    }
    for (std::size_t number = 0; number < m_kept.size(); ++number) {
        auto& pieces = all[number];
        if (keep && number < request.recomputed) {
            pieces.place(m_recomputed[number % 2].reserve(largest));
            pieces.input =
                number > 0 ? m_buffers[number].reserve(tokens * request.shape.hidden) : nullptr;
        } else {
            // A pass that keeps nothing takes what there is.
            auto& own = keep                         ? m_buffers[number]
                        : m_recomputed[0].size() > 0 ? m_recomputed[0]
                                                     : m_buffers[0];
            pieces.place(own.reserve(keep ? pieces.total() : largest));
        }
        m_inputs[number] = pieces.input;
        m_kept[number].x = number > 0 ? pieces.input : request.input;
        pieces.fill(request, request.layers[number], m_kept[number]);
    }
}

} // namespace fettle::model::fused

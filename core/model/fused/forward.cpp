#include "model/fused/stack.h"
#include "tensor/parallel.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;

void overRows(Index rows, const std::function<void(Index first, Index rows)>& task)
{
    // As many blocks for each thread, all of nearly one size.
    const Index threads = tensor::computeThreads(), unit = rowUnit(), units = (rows + unit - 1) / unit;
    const auto perThread = (rows + threads * rowBlock() - 1) / (threads * rowBlock());
    const auto blocks = std::min(units, perThread * threads);
    tensor::parallelTasks(blocks, [&](Index block) {
        const auto first = block * units / blocks * unit;
        task(first, std::min((block + 1) * units / blocks * unit, rows) - first);
    });
}

void applyNorm(const Norm& norm, const float* x, float* y, Index rows)
{
    const auto all = rows * norm.count;
    if (norm.exists())
        cpuKernels().norm(norm.weights, x, y, all);
    else
        std::copy_n(x, all * norm.weights.dim, y);
}

void addScaled(float* x, const float* y, float scale, Index count)
{
    for (Index i = 0; i < count; ++i)
        x[i] += scale * y[i];
}

void turnHeads(const Shape& shape, const Layer& layer, const Heads& heads, Index first, Index rows,
               float sign)
{
    if (!layer.cosine)
        return;
    const auto at = first * shape.turned / 2;
    for (const auto& [x, where] : {std::pair(heads.q, shape.queryRows(rows)),
                                   std::pair(heads.k, shape.keyRows(rows))})
        cpuKernels().rope(x, x, layer.cosine + at, layer.sine + at, where, sign);
}

Heads headsFrom(const Shape& shape, const Heads& heads, Index first)
{
    return {heads.q + first * shape.queryStride(), heads.k + first * shape.keyStride(),
            heads.v + first * shape.keyStride()};
}

tensor::AttentionHead attentionHead(const Request& request, const Layer& layer, const Kept& kept,
                                    std::size_t document, Index head)
{
    const auto& shape = request.shape;
    const auto group = shape.heads / shape.kvHeads, tokens = request.tokens();
    const auto begin = request.offsets[document], length = request.offsets[document + 1] - begin;
    const auto heads = headsFrom(shape, kept.heads, begin);
    return {heads.q + head * group * shape.headStep,
            heads.k + head * shape.headStep,
            heads.v + head * shape.headStep,
            kept.mixed + begin * shape.queries() + head * group * shape.headDim,
            kept.lse + head * group * tokens + begin,
            shape.queryStride(),
            shape.keyStride(),
            shape.queries(),
            tokens,
            length,
            shape.headDim,
            group,
            layer.window,
            layer.scale,
            shape.softcap};
}

void Stack::packForward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks)
{
    for (auto part = from; part <= to; ++part) {
        if (layer.has(part))
            m_work[part].packForward(layer[part], tasks);
    }
}

/// What the sites from..to give for rows of x, into kept.out.
void Stack::apply(const Layer& layer, std::size_t from, std::size_t to, const LeftSide& x,
                  Kept& kept, Index first, Index total, const Masks& masks) const
{
    for (auto part = from; part <= to; ++part) {
        if (layer.has(part))
            m_work[part].forward(layer[part], x, first, kept.out[part] + first * layer[part].out,
                                 false, kept.low[part], total, masks);
    }
}

/// y = residual + what the site O or Down gives for rows of x, normed and scaled. y may be the residual.
void Stack::join(const Request& request, std::size_t number, std::size_t part, Place behind,
                 const LeftSide& x, const float* residual, float* y, Kept& kept, Index first) const
{
    const auto& layer = request.layers[number];
    const auto rows = x.rows();
    const auto hidden = request.shape.hidden;
    const auto masks = request.masksBehind(number);
    if (residual != y)
        std::copy_n(residual, rows * hidden, y);
    if (request.addsPlainly(layer, behind)) {
        m_work[part].forward(layer[part], x, first, y, true, kept.low[part], kept.rows, masks);
        return;
    }
    apply(layer, part, part, x, kept, first, kept.rows, masks);
    Scratch scratch;
    float* normed = scratch.take(rows * hidden);
    applyNorm(layer.norm[behind], kept.out[part] + first * hidden, normed, rows);
    addScaled(y, normed, request.shape.residualScale, rows * hidden);
}

/// Queries, keys and values of some rows, normed and turned to their positions.
void Stack::intoAttention(const Request& request, std::size_t number, Kept& kept, Index first,
                          Index rows) const
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    Scratch scratch;
    float* normed = scratch.take(rows * shape.hidden);
    applyNorm(layer.norm[BeforeAttention], kept.x + first * shape.hidden, normed, rows);
    apply(layer, Q, V, LeftSide(normed, rows, shape.hidden), kept, first, request.tokens(),
          request.masks);
    const auto heads = headsFrom(shape, kept.heads, first);
    if (layer.norm[OnQueries].exists()) {
        applyNorm(layer.norm[OnQueries], kept.out[Q] + first * shape.queries(), heads.q, rows);
        applyNorm(layer.norm[OnKeys], kept.out[K] + first * shape.keys(), heads.k, rows);
    }
    turnHeads(shape, layer, heads, first, rows, 1);
}

namespace {

Index inPanels(Index count) { return (count + tensor::kPanel - 1) / tensor::kPanel * tensor::kPanel; }

/// Floats of one head's earlier keys in panels.
Index earlierFloats(const Request& request)
{
    return inPanels(request.earlier.length) * request.shape.headDim;
}

/// Of its keys and values.
Index earlierRoom(const Request& request)
{
    return earlierFloats(request) + inPanels(request.shape.headDim) * request.earlier.length;
}

} // namespace

/// Packs the earlier keys and values of a layer.
void Stack::packEarlier(const Request& request, std::size_t number, TaskList& tasks)
{
    const auto& shape = request.shape;
    const auto length = request.earlier.length;
    if (length == 0)
        return;
    m_earlier[number % 2].reserve(shape.kvHeads * earlierRoom(request));
    for (Index head = 0; head < shape.kvHeads; ++head) {
        const auto at = head * shape.headDim, stride = shape.keys();
        float* to = m_earlier[number % 2].data() + head * earlierRoom(request);
        tasks.push_back([&request, number, at, stride, length, to] {
            const auto dim = request.shape.headDim;
            cpuKernels().packPanels(request.earlier.keys[number] + at, 1, stride, dim, length, 1,
                                    to, dim * tensor::kPanel);
            cpuKernels().packPanels(request.earlier.values[number] + at, stride, 1, length, dim, 1,
                                    to + earlierFloats(request), length * tensor::kPanel);
        });
    }
}

tensor::EarlierKeys Stack::earlierKeys(const Request& request, std::size_t number, Index head) const
{
    if (request.earlier.length == 0)
        return {};
    const float* keys = m_earlier[number % 2].data() + head * earlierRoom(request);
    return {keys, keys + earlierFloats(request), request.earlier.length};
}

void Stack::attentionTasks(const Request& request, std::size_t number, Kept& kept,
                           TaskList& tasks) const
{
    for (std::size_t d = 0; d + 1 < request.offsets.size(); ++d) {
        for (Index head = 0; head < request.shape.kvHeads; ++head) {
            tasks.push_back([task = attentionHead(request, request.layers[number], kept, d, head),
                             before = earlierKeys(request, number, head)] {
                Scratch scratch;
                cpuKernels().attention(
                    task, before,
                    scratch.take(cpuKernels().attentionScratch(task, before.length)));
            });
        }
    }
}

/// Everything behind the attention for some rows: y [rows, hidden] is what the layer gives; it may
/// lie where the layer's input lay. Null: what the backward pass needs is made again, no more.
void Stack::outOfAttention(const Request& request, std::size_t number, Kept& kept, float* y,
                           Index first, Index rows) const
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden, wide = shape.intermediate, stride = layer[Gate].out;
    const float* residual = kept.residual + first * hidden;
    Scratch scratch;
    const bool again = !y;
    if (again)
        y = scratch.take(rows * hidden);
    float* middle = shape.parallel ? y : kept.middle + first * hidden;
    float *normed = scratch.take(rows * hidden), *product = scratch.take(rows * wide);
    if (shape.parallel)
        applyNorm(layer.norm[BeforeMlp], residual, normed, rows);
    join(request, number, O, AfterAttention,
         LeftSide(kept.attended + first * shape.queries(), rows, shape.queries()), residual, middle,
         kept, first);
    if (!shape.parallel)
        applyNorm(layer.norm[BeforeMlp], middle, normed, rows);
    apply(layer, Gate, Up, LeftSide(normed, rows, hidden), kept, first, kept.rows,
          request.masksBehind(number));
    const bool thinOnly = again && request.addsPlainly(layer, AfterMlp);
    if (thinOnly && layer[Down].rank == 0)
        return;
    const float *gate = kept.out[Gate], *factor = kept.factor(shape);
    for (Index r = 0; r < rows; ++r) {
        const auto at = (first + r) * stride;
        cpuKernels().activate(shape.activation, gate + at, factor ? factor + at : nullptr,
                              product + r * wide, wide);
    }
    const LeftSide read(product, rows, wide);
    if (thinOnly)
        m_work[Down].keepThin(layer[Down], read, first, kept.low[Down], kept.rows,
                              request.masksBehind(number));
    else
        join(request, number, Down, AfterMlp, read, middle, y, kept, first);
}

/// Fills the buffers of a layer that kept nothing but its input.
void Stack::makeAgain(const Request& request, std::size_t number, Kept& kept)
{
    const auto& layer = request.layers[number];
    TaskList tasks;
    packForward(layer, Q, V, tasks);
    runTasks(tasks);
    overRows(request.tokens(),
             [&](Index first, Index rows) { intoAttention(request, number, kept, first, rows); });
    tasks.clear();
    attentionTasks(request, number, kept, tasks);
    packForward(layer, O, Up, tasks);
    if (request.addsPlainly(layer, AfterMlp))
        m_work[Down].packThin(layer[Down], tasks);
    else
        packForward(layer, Down, Down, tasks);
    runTasks(tasks);
    overRows(kept.rows, [&](Index first, Index rows) {
        outOfAttention(request, number, kept, nullptr, first, rows);
    });
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
    packEarlier(request, 0, tasks);
    runTasks(tasks);
    overRows(tokens,
             [&](Index first, Index rows) { intoAttention(request, 0, tape[0], first, rows); });
    for (std::size_t number = 0; number <= last; ++number) {
        auto& kept = tape[number];
        if (request.seen)
            request.seen(number, kept.heads);
        tasks.clear();
        attentionTasks(request, number, kept, tasks);
        packForward(request.layers[number], O, Down, tasks);
        if (number < last) {
            packForward(request.layers[number + 1], Q, V, tasks);
            packEarlier(request, number + 1, tasks);
        }
        runTasks(tasks);
        if (kept.compact()) {
            gather(kept.x, request.wanted, shape.hidden, const_cast<float*>(kept.residual));
            gather(kept.mixed, request.wanted, shape.queries(), const_cast<float*>(kept.attended));
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

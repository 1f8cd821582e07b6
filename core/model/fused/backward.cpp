#include "model/fused/stack.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;
using tensor::kPanel;

namespace {

Index unitsOf(Index rows) { return (rows + kRowUnit - 1) / kRowUnit; }

/// y = x * inverse * weight, as the norm gave it in the forward pass.
void normAgain(const float* x, const float* inverse, const float* weight, float* y, Index rows,
               Index dim)
{
    for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < dim; ++i)
            y[r * dim + i] = x[r * dim + i] * inverse[r] * weight[i];
    }
}

/// Adds the gradient of a norm's input to dx; its weight's goes to the rows of `parts`, one for each unit.
void normBackward(const NormWeight& norm, const float* dy, const float* x, const float* inverse,
                  float* dx, AlignedBuffer& parts, Index first, Index rows, Index dim)
{
    Scratch scratch;
    float* part = scratch.take(rows * dim);
    for (Index unit = 0; unit < rows; unit += kRowUnit) {
        float* weightGrad = norm.grad ? parts.data() + (first + unit) / kRowUnit * dim : nullptr;
        if (weightGrad)
            std::fill_n(weightGrad, dim, 0.0f);
        cpuKernels().rmsNormBackward(dy + unit * dim, x + unit * dim, norm.weight, inverse + unit,
                                     part + unit * dim, weightGrad,
                                     std::min(kRowUnit, rows - unit), dim);
    }
    for (Index i = 0; i < rows * dim; ++i)
        dx[i] += part[i];
}

bool dropsApart(const Linear& linear, const Masks& masks)
{
    return linear.rank > 0 && linear.dropout > 0 && masks.rng;
}

/// Which site's panels hold the input of `part`: sites that read the same share one copy unless
/// their random masks differ.
std::size_t panelsOf(const Layer& layer, std::size_t part, const Masks& masks)
{
    const std::size_t first = part <= V ? Q : part == Up ? Gate : part;
    for (auto earlier = first; earlier < part && !dropsApart(layer[part], masks); ++earlier) {
        if (layer[earlier].trains() && !dropsApart(layer[earlier], masks))
            return earlier;
    }
    return part;
}

} // namespace

void Stack::reserveBackward(const Request& request)
{
    const auto& shape = request.shape;
    const auto tokens = request.tokens();
    m_dOut.reserve(tokens * shape.hidden);
    m_dMiddle.reserve(tokens * shape.hidden);
    m_dHeads.reserve(tokens * shape.queries());
    for (std::size_t i = 0; i < 2; ++i) {
        m_dq[i].reserve(tokens * shape.queries());
        m_dk[i].reserve(tokens * shape.keys());
        m_dv[i].reserve(tokens * shape.keys());
    }
    if (!request.wanted.empty()) {
        m_rowsMiddle.reserve(request.outputs() * shape.hidden);
        m_rowsHeads.reserve(request.outputs() * shape.queries());
    }
    m_norm1Parts.reserve(unitsOf(tokens) * shape.hidden);
    m_norm2Parts.reserve(unitsOf(tokens) * shape.hidden);
    for (const auto& layer : request.layers) {
        for (std::size_t part = 0; part < kParts; ++part) {
            m_work[part].reserveRows(layer[part], tokens);
            if (layer[part].trains())
                m_panels[part].reserve((layer[part].in + 15) / 16 * 16 * tokens);
        }
    }
}

void Stack::packBackward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks)
{
    for (auto part = from; part <= to; ++part)
        m_work[part].packBackward(layer[part], tasks);
}

/// Puts rows of x [rows, in], which the sites from..to read, where their gradients expect them:
/// panels [in / 16][total][16].
void Stack::keepInputs(const Layer& layer, std::size_t from, std::size_t to, const float* x,
                       Index rows, Index first, Index total, const Masks& masks)
{
    for (auto part = from; part <= to; ++part) {
        const auto& linear = layer[part];
        if (!linear.trains() || panelsOf(layer, part, masks) != part)
            continue;
        Scratch scratch;
        const float* seen = x;
        if (dropsApart(linear, masks)) {
            float* dropped = scratch.take(rows * linear.in);
            drawMask(linear, masks, first, rows, dropped);
            for (Index i = 0; i < rows * linear.in; ++i)
                dropped[i] *= x[i];
            seen = dropped;
        }
        cpuKernels().packPanels(seen, linear.in, 1, rows, linear.in, 1,
                                m_panels[part].data() + first * kPanel, total * kPanel);
    }
}

/// From the gradient of what a layer gives (m_dOut, or of the wanted rows) back to that of the
/// heads.
void Stack::backFromOutput(const Request& request, std::size_t number, Kept& kept, Index first,
                           Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden, wide = shape.intermediate;
    const auto masks = request.masksBehind(number);
    const bool compact = kept.compact();
    const float* dOut = m_dOut.data() + first * hidden;
    float* dMiddle = (compact ? m_rowsMiddle : m_dMiddle).data() + first * hidden;
    float* dHeads = (compact ? m_rowsHeads : m_dHeads).data() + first * shape.queries();
    float *gate = kept.gate + first * wide, *up = kept.up + first * wide;
    const float* middle = kept.middle + first * hidden;
    Scratch scratch;
    float *wideRows = scratch.take(rows * wide), *product = scratch.take(rows * wide);
    float* normed = scratch.take(rows * hidden);
    m_work[Down].backward(layer[Down], dOut, rows, first, wideRows, false, masks);
    cpuKernels().siluGateBackward(wideRows, gate, up, gate, up,
                                  layer[Down].trains() ? product : nullptr, rows * wide);
    keepInputs(layer, Down, Down, product, rows, first, kept.rows, masks);
    float* dNormed = wideRows; // its first part, no longer needed
    m_work[Gate].backward(layer[Gate], gate, rows, first, dNormed, false, masks);
    m_work[Up].backward(layer[Up], up, rows, first, dNormed, true, masks);
    if (layer[Gate].trains() || layer[Up].trains()) {
        normAgain(middle, kept.norm2 + first, layer.mlpNorm.weight, normed, rows, hidden);
        keepInputs(layer, Gate, Up, normed, rows, first, kept.rows, masks);
    }
    std::copy_n(dOut, rows * hidden, dMiddle);
    normBackward(layer.mlpNorm, dNormed, middle, kept.norm2 + first, dMiddle, m_norm2Parts, first,
                 rows, hidden);
    m_work[O].backward(layer[O], dMiddle, rows, first, dHeads, false, masks);
    keepInputs(layer, O, O, kept.heads + first * shape.queries(), rows, first, kept.rows, masks);
}

/// Rows of the wanted tokens back to their places; the others get no gradient from above.
void Stack::spreadLast(const Request& request, Kept& kept)
{
    if (!kept.compact())
        return;
    const auto& shape = request.shape;
    std::fill_n(m_dMiddle.data(), request.tokens() * shape.hidden, 0.0f);
    std::fill_n(m_dHeads.data(), request.tokens() * shape.queries(), 0.0f);
    for (std::size_t i = 0; i < request.wanted.size(); ++i) { // a row may be wanted twice
        const auto from = static_cast<Index>(i), to = request.wanted[i];
        for (Index c = 0; c < shape.hidden; ++c)
            m_dMiddle.data()[to * shape.hidden + c] += m_rowsMiddle.data()[from * shape.hidden + c];
        for (Index c = 0; c < shape.queries(); ++c)
            m_dHeads.data()[to * shape.queries() + c] +=
                m_rowsHeads.data()[from * shape.queries() + c];
    }
}

void Stack::attentionGradientTasks(const Request& request, std::size_t number, Kept& kept,
                                   TaskList& tasks)
{
    const auto parity = number % 2;
    for (std::size_t d = 0; d + 1 < request.offsets.size(); ++d) {
        for (Index head = 0; head < request.shape.kvHeads; ++head) {
            const auto task = attentionHead(request, request.layers[number], kept, d, head);
            const auto atQuery = task.q - kept.q, atKey = task.k - kept.k;
            const tensor::AttentionGradients to{
                m_dHeads.data() + atQuery, m_dq[parity].data() + atQuery,
                m_dk[parity].data() + atKey, m_dv[parity].data() + atKey};
            tasks.push_back([task, to] {
                Scratch scratch;
                cpuKernels().attentionBackward(task, to,
                                               scratch.take(cpuKernels().attentionScratch(task)));
            });
        }
    }
}

/// From the gradients of queries, keys and values back to that of what the layer read; a null dx
/// says that nobody below needs it.
void Stack::backFromHeads(const Request& request, std::size_t number, Kept& kept, float* dx,
                          Index first, Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden, tokens = request.tokens();
    const auto& masks = request.masks;
    const auto parity = number % 2;
    float* dq = m_dq[parity].data() + first * shape.queries();
    float* dk = m_dk[parity].data() + first * shape.keys();
    const float *dv = m_dv[parity].data() + first * shape.keys(), *x = kept.x + first * hidden;
    if (layer.cosine) {
        const auto at = first * shape.headDim / 2;
        cpuKernels().rope(dq, dq, layer.cosine + at, layer.sine + at, rows, shape.heads,
                          shape.headDim, -1);
        cpuKernels().rope(dk, dk, layer.cosine + at, layer.sine + at, rows, shape.kvHeads,
                          shape.headDim, -1);
    }
    Scratch scratch;
    float *normed = scratch.take(rows * hidden), *dNormed = scratch.take(rows * hidden);
    float* through = dx || layer.attentionNorm.grad ? dNormed : nullptr;
    m_work[Q].backward(layer[Q], dq, rows, first, through, false, masks);
    m_work[K].backward(layer[K], dk, rows, first, through, true, masks);
    m_work[V].backward(layer[V], dv, rows, first, through, true, masks);
    if (layer[Q].trains() || layer[K].trains() || layer[V].trains()) {
        normAgain(x, kept.norm1 + first, layer.attentionNorm.weight, normed, rows, hidden);
        keepInputs(layer, Q, V, normed, rows, first, tokens, masks);
    }
    if (!through)
        return;
    float* target = dx ? dx : normed; // nobody reads the latter
    std::copy_n(m_dMiddle.data() + first * hidden, rows * hidden, target);
    normBackward(layer.attentionNorm, dNormed, x, kept.norm1 + first, target, m_norm1Parts, first,
                 rows, hidden);
}

void Stack::sumNorm(const AlignedBuffer& parts, float* grad, Index rows, Index dim) const
{
    for (Index unit = 0; grad && unit < unitsOf(rows); ++unit) {
        for (Index i = 0; i < dim; ++i)
            grad[i] += parts.data()[unit * dim + i];
    }
}

/// Gradients of the projections out of the attention and of the feed-forward part.
void Stack::outerGradients(const Request& request, std::size_t number, Kept& kept, TaskList& tasks)
{
    const auto& layer = request.layers[number];
    const auto masks = request.masksBehind(number);
    const auto rows = kept.rows, hidden = request.shape.hidden;
    const float* dy[kParts] = {};
    dy[O] = (kept.compact() ? m_rowsMiddle : m_dMiddle).data();
    dy[Gate] = kept.gate, dy[Up] = kept.up, dy[Down] = m_dOut.data();
    for (std::size_t part = O; part <= Down; ++part)
        m_work[part].gradients(layer[part], m_panels[panelsOf(layer, part, masks)].data(), dy[part],
                               kept.low[part], rows, tasks);
    tasks.push_back([this, grad = layer.mlpNorm.grad, rows, hidden] {
        sumNorm(m_norm2Parts, grad, rows, hidden);
    });
}

/// Gradients of the projections into the attention.
void Stack::innerGradients(const Request& request, std::size_t number, Kept& kept, TaskList& tasks)
{
    const auto& layer = request.layers[number];
    const auto tokens = request.tokens(), hidden = request.shape.hidden;
    const auto parity = number % 2;
    const float* dy[] = {m_dq[parity].data(), m_dk[parity].data(), m_dv[parity].data()};
    for (std::size_t part = Q; part <= V; ++part)
        m_work[part].gradients(layer[part], m_panels[panelsOf(layer, part, request.masks)].data(),
                               dy[part], kept.low[part], tokens, tasks);
    tasks.push_back([this, grad = layer.attentionNorm.grad, tokens, hidden] {
        sumNorm(m_norm1Parts, grad, tokens, hidden);
    });
}

void Stack::backward(const Request& request, Tape& tape, const float* dOutput, float* dInput)
{
    const auto& layers = request.layers;
    const auto hidden = request.shape.hidden, tokens = request.tokens();
    reserveBackward(request);
    // Below the lowest layer that trains nobody asks for a gradient.
    std::size_t lowest = 0;
    while (!dInput && lowest + 1 < layers.size() && !layers[lowest].trains())
        ++lowest;
    auto number = layers.size() - 1;
    TaskList tasks;
    packBackward(layers[number], O, Down, tasks);
    runTasks(tasks);
    std::copy_n(dOutput, request.outputs() * hidden, m_dOut.data());
    overRows(tape[number].rows, [&](Index first, Index rows) {
        backFromOutput(request, number, tape[number], first, rows);
    });
    spreadLast(request, tape[number]);
    for (;; --number) {
        tasks.clear();
        attentionGradientTasks(request, number, tape[number], tasks);
        outerGradients(request, number, tape[number], tasks);
        if (number + 1 < layers.size())
            innerGradients(request, number + 1, tape[number + 1], tasks);
        packBackward(layers[number], Q, V, tasks);
        if (number > lowest)
            packBackward(layers[number - 1], O, Down, tasks);
        runTasks(tasks);
        overRows(tokens, [&](Index first, Index rows) {
            float* dx = number > lowest ? m_dOut.data() + first * hidden
                        : dInput        ? dInput + first * hidden
                                        : nullptr;
            backFromHeads(request, number, tape[number], dx, first, rows);
            if (number > lowest)
                backFromOutput(request, number - 1, tape[number - 1], first, rows);
        });
        if (number == lowest)
            break;
    }
    tasks.clear();
    innerGradients(request, number, tape[number], tasks);
    runTasks(tasks);
}

} // namespace fettle::model::fused

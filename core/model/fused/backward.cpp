#include "model/fused/stack.h"

#include <algorithm>

namespace fettle::model::fused {

using tensor::cpuKernels;

namespace {

Index unitsOf(Index rows) { return (rows + rowUnit() - 1) / rowUnit(); }

bool dropsApart(const Linear& linear, const Masks& masks)
{
    return linear.rank > 0 && linear.dropout > 0 && masks.rng;
}

/// Where the input of `part` is kept: sites that read the same share one copy unless their random
/// masks differ.
std::size_t inputOf(const Layer& layer, std::size_t part, const Masks& masks)
{
    const std::size_t first = part <= V ? Q : part == Up ? Gate : part;
    for (auto earlier = first; earlier < part && !dropsApart(layer[part], masks); ++earlier) {
        if (layer[earlier].trains() && !dropsApart(layer[earlier], masks))
            return earlier;
    }
    return part;
}

} // namespace

/// dx from dy, in the place of dy or x if asked; a copy where there is no norm. The sums for the weights
/// go to the rows of m_normParts, one for each unit.
void Stack::normBackward(const Layer& layer, Place place, const float* dy, const float* x,
                         float* dx, Index first, Index rows)
{
    const auto& norm = layer.norm[place];
    const auto dim = norm.weights.dim, row = norm.count * dim;
    if (!norm.exists()) {
        std::copy_n(dy, rows * row, dx);
        return;
    }
    for (Index unit = 0; unit < rows; unit += rowUnit()) {
        float* sums = nullptr;
        if (norm.trains()) {
            sums = m_normParts[place].data() + (first + unit) / rowUnit() * 2 * dim;
            std::fill_n(sums, 2 * dim, 0.0f);
        }
        const auto some = std::min(rowUnit(), rows - unit);
        cpuKernels().normBackward(norm.weights, dy + unit * row, x + unit * row, dx + unit * row,
                                  norm.grad ? sums : nullptr, norm.biasGrad ? sums + dim : nullptr,
                                  some * norm.count);
    }
}

void Stack::reserveBackward(const Request& request)
{
    const auto& shape = request.shape;
    const auto tokens = request.tokens();
    m_dOut.reserve(tokens * shape.hidden);
    m_dMiddle.reserve(tokens * shape.hidden);
    m_dAttended.reserve(tokens * shape.queries());
    for (auto& heads : m_dHeads)
        heads.reserve(tokens * shape.row());
    if (!request.wanted.empty()) {
        m_rowsMiddle.reserve(request.outputs() * shape.hidden);
        m_rowsAttended.reserve(request.outputs() * shape.queries());
    }
    for (const auto& layer : request.layers) {
        for (std::size_t part = 0; part < kParts; ++part) {
            if (layer.has(part))
                m_work[part].reserveRows(layer[part], tokens);
        }
        for (std::size_t place = 0; place < kPlaces; ++place) {
            if (layer.norm[place].trains())
                m_normParts[place].reserve(unitsOf(tokens) * 2 * layer.norm[place].weights.dim);
        }
    }
}

void Stack::packBackward(const Layer& layer, std::size_t from, std::size_t to, TaskList& tasks)
{
    for (auto part = from; part <= to; ++part) {
        if (layer.has(part))
            m_work[part].packBackward(layer[part], tasks);
    }
}

/// Room for what `rows` rows of a layer's sites from..to read.
void Stack::shapeInputs(const Layer& layer, std::size_t from, std::size_t to, Index rows,
                        const Masks& masks)
{
    for (auto part = from; part <= to; ++part) {
        if (layer[part].trains() && inputOf(layer, part, masks) == part)
            m_inputs[part].shape(rows, layer[part].in);
    }
}

/// Puts rows of x [rows, in], which the sites from..to read, where their gradients expect them.
void Stack::keepInputs(const Layer& layer, std::size_t from, std::size_t to, const float* x,
                       Index rows, Index first, const Masks& masks)
{
    for (auto part = from; part <= to; ++part) {
        const auto& linear = layer[part];
        if (!linear.trains() || inputOf(layer, part, masks) != part)
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
        m_inputs[part].fill(seen, linear.in, 1, first, rows);
    }
}

/// From the gradient of the states behind a part back to that of what its site (O or Down) gave.
const float* Stack::beforeJoin(const Request& request, const Layer& layer, std::size_t part,
                               Place behind, const float* dy, Kept& kept, Index first, Index rows)
{
    if (request.addsPlainly(layer, behind))
        return dy;
    const auto count = rows * request.shape.hidden;
    float* given = kept.out[part] + first * request.shape.hidden;
    Scratch scratch;
    float* scaled = scratch.take(count);
    for (Index i = 0; i < count; ++i)
        scaled[i] = dy[i] * request.shape.residualScale;
    normBackward(layer, behind, scaled, given, given, first, rows);
    return given;
}

/// dx = the gradient of what the sites from..to read, of theirs dy of rows from `first` on. -> whether
/// one of them trains.
bool Stack::backThrough(const Layer& layer, std::size_t from, std::size_t to,
                        const std::array<const float*, kParts>& dy, float* dx, Index first,
                        Index rows, const Masks& masks)
{
    bool trains = false;
    for (auto part = from; part <= to; ++part) {
        if (!layer.has(part))
            continue;
        m_work[part].backward(layer[part], dy[part] + first * layer[part].out, rows, first, dx,
                              part != from, masks);
        trains |= layer[part].trains();
    }
    return trains;
}

/// Through the feed-forward part: dNormed [rows, hidden] is the gradient of what it reads, behind the
/// norm.
void Stack::backFromMlp(const Request& request, std::size_t number, Kept& kept, float* dNormed,
                        Index first, Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden, wide = shape.intermediate, stride = layer[Gate].out;
    const auto masks = request.masksBehind(number);
    Scratch scratch;
    float *dProduct = scratch.take(rows * wide), *product = scratch.take(rows * wide);
    const float* given = beforeJoin(request, layer, Down, AfterMlp, m_dOut.data() + first * hidden,
                                    kept, first, rows);
    m_work[Down].backward(layer[Down], given, rows, first, dProduct, false, masks);
    float *gate = kept.out[Gate] + first * stride, *factor = kept.factor(shape);
    for (Index r = 0; r < rows; ++r) {
        float *own = gate + r * stride, *up = factor ? factor + (first + r) * stride : nullptr;
        cpuKernels().activateBackward(shape.activation, dProduct + r * wide, own, up, own, up,
                                      layer[Down].trains() ? product + r * wide : nullptr, wide);
    }
    keepInputs(layer, Down, Down, product, rows, first, masks);
    if (backThrough(layer, Gate, Up, {nullptr, nullptr, nullptr, nullptr, kept.out[Gate], kept.out[Up]}, dNormed,
                    first, rows, masks)) {
        float* normed = scratch.take(rows * hidden);
        applyNorm(layer.norm[BeforeMlp],
                  (shape.parallel ? kept.residual : kept.middle) + first * hidden, normed, rows);
        keepInputs(layer, Gate, Up, normed, rows, first, masks);
    }
}

/// From the gradient of what a layer gives (m_dOut, or of the wanted rows) back to that of what the
/// attention gave.
void Stack::backFromOutput(const Request& request, std::size_t number, Kept& kept, Index first,
                           Index rows)
{
    const auto& layer = request.layers[number];
    const auto& shape = request.shape;
    const auto hidden = shape.hidden;
    const auto masks = request.masksBehind(number);
    const bool compact = kept.compact();
    const float* dOut = m_dOut.data() + first * hidden;
    float* dMiddle = (compact ? m_rowsMiddle : m_dMiddle).data() + first * hidden;
    float* dAttended =
        (compact ? m_rowsAttended : m_dAttended).data() + first * shape.queries();
    Scratch scratch;
    float *dNormed = scratch.take(rows * hidden), *dRead = scratch.take(rows * hidden);
    backFromMlp(request, number, kept, dNormed, first, rows);
    normBackward(layer, BeforeMlp, dNormed,
                 (shape.parallel ? kept.residual : kept.middle) + first * hidden, dRead, first,
                 rows);
    for (Index i = 0; i < rows * hidden; ++i)
        dMiddle[i] = dOut[i] + dRead[i];
    const float* given = beforeJoin(request, layer, O, AfterAttention,
                                    shape.parallel ? dOut : dMiddle, kept, first, rows);
    m_work[O].backward(layer[O], given, rows, first, dAttended, false, masks);
    keepInputs(layer, O, O, kept.attended + first * shape.queries(), rows, first, masks);
}

/// Rows of the wanted tokens back to their places; the others get no gradient from above.
void Stack::spreadLast(const Request& request, Kept& kept)
{
    if (!kept.compact())
        return;
    const auto& shape = request.shape;
    std::fill_n(m_dMiddle.data(), request.tokens() * shape.hidden, 0.0f);
    std::fill_n(m_dAttended.data(), request.tokens() * shape.queries(), 0.0f);
    for (std::size_t i = 0; i < request.wanted.size(); ++i) { // a row may be wanted twice
        const auto from = static_cast<Index>(i), to = request.wanted[i];
        for (Index c = 0; c < shape.hidden; ++c)
            m_dMiddle.data()[to * shape.hidden + c] += m_rowsMiddle.data()[from * shape.hidden + c];
        for (Index c = 0; c < shape.queries(); ++c)
            m_dAttended.data()[to * shape.queries() + c] +=
                m_rowsAttended.data()[from * shape.queries() + c];
    }
}

/// Gradients of a layer's queries, keys and values, laid out as these.
Heads Stack::headGradients(const Request& request, std::size_t number)
{
    return request.shape.headsIn(m_dHeads[number % 2].data(), request.tokens());
}

void Stack::attentionGradientTasks(const Request& request, std::size_t number, Kept& kept,
                                   TaskList& tasks)
{
    const auto& shape = request.shape;
    const auto gradients = headGradients(request, number);
    for (std::size_t d = 0; d + 1 < request.offsets.size(); ++d) {
        for (Index head = 0; head < shape.kvHeads; ++head) {
            const auto task = attentionHead(request, request.layers[number], kept, d, head);
            const tensor::AttentionGradients to{
                m_dAttended.data() + (task.out - kept.mixed), gradients.q + (task.q - kept.heads.q),
                gradients.k + (task.k - kept.heads.k), gradients.v + (task.v - kept.heads.v)};
            tasks.push_back([task, to] {
                Scratch scratch;
                cpuKernels().attentionBackward(task, to,
                                               scratch.take(cpuKernels().attentionScratch(task, 0)));
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
    const auto hidden = shape.hidden;
    const auto& masks = request.masks;
    const auto gradients = headGradients(request, number);
    const auto own = headsFrom(shape, gradients, first);
    turnHeads(shape, layer, own, first, rows, -1);
    if (layer.norm[OnQueries].exists()) {
        normBackward(layer, OnQueries, own.q, kept.out[Q] + first * shape.queries(), own.q, first,
                     rows);
        normBackward(layer, OnKeys, own.k, kept.out[K] + first * shape.keys(), own.k, first, rows);
    }
    Scratch scratch;
    float *normed = scratch.take(rows * hidden), *dNormed = scratch.take(rows * hidden);
    const float* x = kept.x + first * hidden;
    float* through = dx || layer.norm[BeforeAttention].trains() ? dNormed : nullptr;
    if (backThrough(layer, Q, V, {gradients.q, gradients.k, gradients.v}, through, first, rows,
                    masks)) {
        applyNorm(layer.norm[BeforeAttention], x, normed, rows);
        keepInputs(layer, Q, V, normed, rows, first, masks);
    }
    if (!through)
        return;
    normBackward(layer, BeforeAttention, dNormed, x, dNormed, first, rows);
    for (Index i = 0; dx && i < rows * hidden; ++i)
        dx[i] = m_dMiddle.data()[first * hidden + i] + dNormed[i];
}

/// Adds up what the units of rows gave for the weights of norms.
void Stack::sumNorms(const Layer& layer, std::initializer_list<Place> places, Index rows,
                     TaskList& tasks) const
{
    for (const auto place : places) {
        const auto& norm = layer.norm[place];
        if (!norm.trains())
            continue;
        tasks.push_back([=, parts = m_normParts[place].data()] {
            const auto dim = norm.weights.dim;
            for (Index unit = 0; unit < unitsOf(rows); ++unit) {
                for (Index i = 0; norm.grad && i < dim; ++i)
                    norm.grad[i] += parts[unit * 2 * dim + i];
                for (Index i = 0; norm.biasGrad && i < dim; ++i)
                    norm.biasGrad[i] += parts[unit * 2 * dim + dim + i];
            }
        });
    }
}

/// Gradients of the projections out of the attention and of the feed-forward part.
void Stack::outerGradients(const Request& request, std::size_t number, Kept& kept, TaskList& tasks)
{
    const auto& layer = request.layers[number];
    const auto masks = request.masksBehind(number);
    const auto* dMiddle = (kept.compact() ? m_rowsMiddle : m_dMiddle).data();
    std::array<const float*, kParts> dy = {};
    std::ranges::copy(kept.out, dy.begin());
    if (request.addsPlainly(layer, AfterAttention))
        dy[O] = request.shape.parallel ? m_dOut.data() : dMiddle;
    if (request.addsPlainly(layer, AfterMlp))
        dy[Down] = m_dOut.data();
    for (std::size_t part = O; part <= Down; ++part) {
        if (layer[part].trains())
            m_work[part].gradients(layer[part], m_inputs[inputOf(layer, part, masks)],
                                   dy[part], kept.low[part], kept.rows, tasks);
    }
    sumNorms(layer, {AfterAttention, BeforeMlp, AfterMlp}, kept.rows, tasks);
}

/// Gradients of the projections into the attention.
void Stack::innerGradients(const Request& request, std::size_t number, Kept& kept, TaskList& tasks)
{
    const auto& layer = request.layers[number];
    const auto heads = headGradients(request, number);
    const float* dy[] = {heads.q, heads.k, heads.v};
    for (std::size_t part = Q; part <= V; ++part) {
        if (layer[part].trains())
            m_work[part].gradients(layer[part],
                                   m_inputs[inputOf(layer, part, request.masks)], dy[part],
                                   kept.low[part], request.tokens(), tasks);
    }
    sumNorms(layer, {BeforeAttention, OnQueries, OnKeys}, request.tokens(), tasks);
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
    shapeInputs(layers[number], O, Down, tape[number].rows, request.masksBehind(number));
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
        // The two highest of those that share buffers still lie there.
        if (number > lowest && number + 1 < request.recomputed)
            makeAgain(request, number - 1, tape[number - 1]);
        shapeInputs(layers[number], Q, V, tokens, request.masks);
        if (number > lowest)
            shapeInputs(layers[number - 1], O, Down, tokens, request.masksBehind(number - 1));
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

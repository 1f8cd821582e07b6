#include "model/fused/linear.h"

#include "tensor/kernels/cpu_kernels.h"
#include "tensor/parallel.h"

#include <algorithm>
#include <memory>

namespace fettle::model::fused {

using tensor::cpuKernels;
using tensor::GemmPart;
using tensor::kPanel;

namespace {

/// Columns or rows of a gradient that one task sums.
constexpr Index kGradientRows = 96, kGradientColumns = 192;

Index panelsOf(Index n) { return (n + kPanel - 1) / kPanel; }

/// Tasks that pack x [k, n], about a quarter of a megabyte each.
void packTasks(const float* x, Index rowStride, Index colStride, Index k, Index n, float scale,
               float* out, TaskList& tasks)
{
    const auto columns = std::max<Index>(1, 65536 / (k * kPanel)) * kPanel;
    for (Index from = 0; from < n; from += columns) {
        tasks.push_back([=] {
            cpuKernels().packPanels(x + from * colStride, rowStride, colStride, k,
                                    std::min(columns, n - from), scale, out + from * k, k * kPanel);
        });
    }
}

/// The operand of the forward direction, W^T, or of the backward one, W, straight from the codes:
/// tasks that decode some rows of W into the cache and pack them.
void packCodes(const Linear& l, bool forward, float* out, TaskList& tasks)
{
    const auto rows = std::max<Index>(1, 65536 / (l.in * kPanel)) * kPanel;
    for (Index from = 0; from < l.out; from += rows) {
        tasks.push_back([=, in = l.in, total = l.out, packed = l.packed] {
            const auto some = std::min(rows, total - from);
            Scratch scratch;
            float* values = scratch.take(some * in);
            packed->decode(from, some, values);
            if (forward)
                cpuKernels().packPanels(values, 1, in, in, some, 1, out + from * in, in * kPanel);
            else
                cpuKernels().packPanels(values, in, 1, some, in, 1, out + from * kPanel,
                                        total * kPanel);
        });
    }
}

/// Adds a product [some, in] to the columns `to` of a gradient that is stored [in, out].
void addAcross(const GemmPart& part, Index some, const Linear& l, float* to)
{
    Scratch scratch;
    float* product = scratch.take(some * l.in);
    cpuKernels().gemm(&part, 1, some, l.in, product, l.in, false);
    for (Index i = 0; i < l.in; ++i) {
        for (Index o = 0; o < some; ++o)
            to[i * l.out + o] += product[o * l.in + i];
    }
}

struct ThreadScratch
{
    std::vector<std::unique_ptr<AlignedBuffer>> buffers; ///< each taken by one call, in order
    Index used = 0;
};
thread_local ThreadScratch threadScratch;

} // namespace

void runTasks(const TaskList& tasks)
{
    tensor::parallelTasks(static_cast<Index>(tasks.size()),
                          [&](Index number) { tasks[static_cast<std::size_t>(number)](); });
}

Scratch::Scratch()
    : m_before(threadScratch.used)
{
}
Scratch::~Scratch() { threadScratch.used = m_before; }

float* Scratch::take(Index count)
{
    auto& all = threadScratch;
    if (all.used == static_cast<Index>(all.buffers.size()))
        all.buffers.push_back(std::make_unique<AlignedBuffer>());
    return all.buffers[static_cast<std::size_t>(all.used++)]->reserve(count);
}

void drawMask(const Linear& linear, const Masks& masks, Index first, Index rows, float* mask)
{
    const auto threshold = static_cast<std::uint32_t>(linear.dropout * 4294967296.0);
    const auto key = masks.rng->key();
    for (Index r = 0; r < rows; ++r)
        cpuKernels().dropoutMask(mask + r * linear.in, masks.places[first + r] * linear.in,
                                 linear.in, masks.draw << 20 | linear.site, key[0], key[1],
                                 threshold, static_cast<float>(1.0 / (1.0 - linear.dropout)));
}

void LinearWork::packForward(const Linear& l, TaskList& tasks)
{
    float* panels = m_forward.reserve(panelsOf(l.out) * kPanel * l.in);
    if (l.packed)
        packCodes(l, true, panels, tasks);
    else
        packTasks(l.weight, l.colStride, l.rowStride, l.in, l.out, 1, panels, tasks);
    packThin(l, tasks);
}

void LinearWork::packThin(const Linear& l, TaskList& tasks)
{
    if (l.rank > 0) {
        packTasks(l.a, 1, l.in, l.in, l.rank, l.scale,
                  m_toLow.reserve(l.rankPanels() * kPanel * l.in), tasks);
        packTasks(l.b, 1, l.rank, l.rank, l.out, 1,
                  m_fromLow.reserve(panelsOf(l.out) * kPanel * l.rank), tasks);
    }
}

void LinearWork::packBackward(const Linear& l, TaskList& tasks)
{
    float* panels = m_backward.reserve(panelsOf(l.in) * kPanel * l.out);
    if (l.packed)
        packCodes(l, false, panels, tasks);
    else
        packTasks(l.weight, l.rowStride, l.colStride, l.out, l.in, 1, panels, tasks);
    if (l.rank > 0) {
        packTasks(l.b, l.rank, 1, l.out, l.rank, l.scale,
                  m_backToLow.reserve(l.rankPanels() * kPanel * l.out), tasks);
        packTasks(l.a, l.in, 1, l.rank, l.in, 1,
                  m_backFromLow.reserve(panelsOf(l.in) * kPanel * l.rank), tasks);
    }
}

void LinearWork::forward(const Linear& l, const float* x, Index rows, Index first, float* y,
                         bool add, float* low, Index lowRows, const Masks& masks) const
{
    const auto& kernels = cpuKernels();
    Scratch scratch;
    std::vector<GemmPart> parts = {{x, l.in, 1, m_forward.data(), l.in * kPanel, l.in}};
    if (l.bias && !add) {
        for (Index r = 0; r < rows; ++r)
            std::copy_n(l.bias, l.out, y + r * l.out);
    } else if (l.bias) {
        for (Index r = 0; r < rows; ++r) {
            for (Index o = 0; o < l.out; ++o)
                y[r * l.out + o] += l.bias[o];
        }
    }
    keepThin(l, x, rows, first, low, lowRows, masks);
    for (Index p = 0; p < l.rankPanels(); ++p) {
        const float* thin = low + (p * lowRows + first) * kPanel;
        parts.push_back({thin, kPanel, 1, m_fromLow.data() + p * kPanel * kPanel, l.rank * kPanel,
                         std::min(kPanel, l.rank - p * kPanel)});
    }
    kernels.gemm(parts.data(), static_cast<Index>(parts.size()), rows, l.out, y, l.out,
                 add || l.bias);
}

void LinearWork::keepThin(const Linear& l, const float* x, Index rows, Index first, float* low,
                          Index lowRows, const Masks& masks) const
{
    Scratch scratch;
    const float* seen = x;
    if (l.rank > 0 && l.dropout > 0 && masks.rng) {
        float* dropped = scratch.take(rows * l.in);
        drawMask(l, masks, first, rows, dropped);
        for (Index i = 0; i < rows * l.in; ++i)
            dropped[i] *= x[i];
        seen = dropped;
    }
    for (Index p = 0; p < l.rankPanels(); ++p) {
        const GemmPart down{seen, l.in, 1, m_toLow.data() + p * kPanel * l.in, l.in * kPanel, l.in};
        cpuKernels().gemm(&down, 1, rows, kPanel, low + (p * lowRows + first) * kPanel, kPanel,
                          false);
    }
}

void LinearWork::reserveRows(const Linear& l, Index rows)
{
    m_rows = rows;
    m_low.reserve(l.rankPanels() * rows * kPanel);
}

void LinearWork::backward(const Linear& l, const float* dy, Index rows, Index first, float* dx,
                          bool add, const Masks& masks)
{
    const auto& kernels = cpuKernels();
    std::vector<GemmPart> parts = {{dy, l.out, 1, m_backward.data(), l.out * kPanel, l.out}},
                          thinParts;
    for (Index p = 0; p < l.rankPanels(); ++p) {
        const GemmPart down{dy,   l.out, 1, m_backToLow.data() + p * kPanel * l.out, l.out * kPanel,
                            l.out};
        float* thin = m_low.data() + (p * m_rows + first) * kPanel;
        kernels.gemm(&down, 1, rows, kPanel, thin, kPanel, false);
        thinParts.push_back({thin, kPanel, 1, m_backFromLow.data() + p * kPanel * kPanel,
                             l.rank * kPanel, std::min(kPanel, l.rank - p * kPanel)});
    }
    if (!dx)
        return;
    const bool masked = l.rank > 0 && l.dropout > 0 && masks.rng;
    if (!masked)
        parts.insert(parts.end(), thinParts.begin(), thinParts.end());
    kernels.gemm(parts.data(), static_cast<Index>(parts.size()), rows, l.in, dx, l.in, add);
    if (masked) {
        Scratch scratch;
        float *mask = scratch.take(rows * l.in), *part = scratch.take(rows * l.in);
        drawMask(l, masks, first, rows, mask);
        kernels.gemm(thinParts.data(), static_cast<Index>(thinParts.size()), rows, l.in, part, l.in,
                     false);
        for (Index i = 0; i < rows * l.in; ++i)
            dx[i] += part[i] * mask[i];
    }
}

void LinearWork::gradients(const Linear& l, const float* xPanels, const float* dy, const float* low,
                           Index rows, TaskList& tasks) const
{
    for (Index o = 0; o < l.out; o += kGradientRows) {
        const auto some = std::min(kGradientRows, l.out - o);
        if (l.weightGrad) {
            tasks.push_back([=] {
                const GemmPart part{dy + o, 1, l.out, xPanels, rows * kPanel, rows};
                if (l.colStride == 1)
                    cpuKernels().gemm(&part, 1, some, l.in, l.weightGrad + o * l.in, l.in, true);
                else
                    addAcross(part, some, l, l.weightGrad + o);
            });
        }
        if (l.biasGrad) {
            tasks.push_back([=] {
                for (Index r = 0; r < rows; ++r) {
                    for (Index i = 0; i < some; ++i)
                        l.biasGrad[o + i] += dy[r * l.out + o + i];
                }
            });
        }
        for (Index p = 0; l.bGrad && p < l.rankPanels(); ++p) {
            tasks.push_back([=] {
                const GemmPart part{dy + o, 1, l.out, low + p * rows * kPanel, rows * kPanel, rows};
                cpuKernels().gemm(&part, 1, some, std::min(kPanel, l.rank - p * kPanel),
                                  l.bGrad + o * l.rank + p * kPanel, l.rank, true);
            });
        }
    }
    for (Index i = 0; l.aGrad && i < l.in; i += kGradientColumns) {
        for (Index p = 0; p < l.rankPanels(); ++p) {
            tasks.push_back([=, this] {
                const GemmPart part{m_low.data() + p * m_rows * kPanel,
                                    1,
                                    kPanel,
                                    xPanels + i * rows,
                                    rows * kPanel,
                                    rows};
                cpuKernels().gemm(&part, 1, std::min(kPanel, l.rank - p * kPanel),
                                  std::min(kGradientColumns, l.in - i),
                                  l.aGrad + p * kPanel * l.in + i, l.in, true);
            });
        }
    }
}

} // namespace fettle::model::fused

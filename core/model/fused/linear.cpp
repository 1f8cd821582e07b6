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

/// Rows of a thin matrix x [rank, n] with any strides, 16 in each.
void packThinRows(const float* x, Index rowStride, Index colStride, const Linear& l, Index n,
                  std::vector<RightSide>& out, TaskList& tasks)
{
    if (std::ssize(out) < l.rankPanels())
        out.resize(static_cast<std::size_t>(l.rankPanels()));
    for (Index p = 0; p < l.rankPanels(); ++p)
        out[static_cast<std::size_t>(p)].pack(x + p * kPanel * rowStride, rowStride, colStride,
                                              std::min(kPanel, l.rank - p * kPanel), n, 1, tasks);
}

/// Adds a product [some, in] to the columns `to` of a gradient that is stored [in, out].
void addAcross(const ProductSum& sum, Index some, const Linear& l, float* to)
{
    Scratch scratch;
    float* product = scratch.take(some * l.in);
    sum.into(product, some, l.in, l.in, false);
    for (Index i = 0; i < l.in; ++i) {
        for (Index o = 0; o < some; ++o)
            to[i * l.out + o] += product[o * l.in + i];
    }
}

/// Adds the gradient of some rows of B, from `first` on: (low^T dy)^T, as the thin side is the one to be turned.
void addThinGradient(const Linear& l, const float* dy, const float* low, Index rows, Index first)
{
    constexpr Index kRowsAtOnce = 512; // of dy: they stay in the cache while the panels of low pass by
    thread_local RightSide side;
    const auto some = std::min(kGradientColumns, l.out - first);
    Scratch scratch;
    float* sums = scratch.take(l.rankPanels() * kPanel * some);
    for (Index row = 0; row < rows; row += kRowsAtOnce) {
        const auto count = std::min(kRowsAtOnce, rows - row);
        side.shape(count, some);
        side.fill(dy + row * l.out + first, l.out, 1, 0, count);
        for (Index p = 0; p < l.rankPanels(); ++p) {
            ProductSum part;
            part.add(low + (p * rows + row) * kPanel, 1, kPanel, side);
            part.into(sums + p * kPanel * some, kPanel, some, some, row > 0);
        }
    }
    for (Index o = 0; o < some; ++o) {
        for (Index r = 0; r < l.rank; ++r)
            l.bGrad[(first + o) * l.rank + r] += sums[r * some + o];
    }
}

} // namespace

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
    if (l.packed)
        m_forward.pack(*l.packed, 0, l.out, true, tasks);
    else
        m_forward.pack(l.weight, l.colStride, l.rowStride, l.in, l.out, 1, tasks);
    packThin(l, tasks);
}

void LinearWork::packThin(const Linear& l, TaskList& tasks)
{
    if (l.rank == 0)
        return;
    m_toLow.pack(l.a, 1, l.in, l.in, l.rank, l.scale, tasks);
    packThinRows(l.b, 1, l.rank, l, l.out, m_fromLow, tasks);
}

void LinearWork::packBackward(const Linear& l, TaskList& tasks)
{
    if (l.packed)
        m_backward.pack(*l.packed, 0, l.out, false, tasks);
    else
        m_backward.pack(l.weight, l.rowStride, l.colStride, l.out, l.in, 1, tasks);
    if (l.rank == 0)
        return;
    m_backToLow.pack(l.b, l.rank, 1, l.out, l.rank, l.scale, tasks);
    packThinRows(l.a, l.in, 1, l, l.in, m_backFromLow, tasks);
}

void LinearWork::forward(const Linear& l, const LeftSide& x, Index first, float* y, bool add,
                         float* low, Index lowRows, const Masks& masks) const
{
    const auto rows = x.rows();
    ProductSum sum;
    sum.add(x, m_forward);
    if (l.bias && !add) {
        for (Index r = 0; r < rows; ++r)
            std::copy_n(l.bias, l.out, y + r * l.out);
    } else if (l.bias) {
        for (Index r = 0; r < rows; ++r) {
            for (Index o = 0; o < l.out; ++o)
                y[r * l.out + o] += l.bias[o];
        }
    }
    keepThin(l, x, first, low, lowRows, masks);
    for (Index p = 0; p < l.rankPanels(); ++p)
        sum.add(low + (p * lowRows + first) * kPanel, kPanel, 1,
                m_fromLow[static_cast<std::size_t>(p)]);
    sum.into(y, rows, l.out, l.out, add || l.bias);
}

void LinearWork::keepThin(const Linear& l, const LeftSide& x, Index first, float* low,
                          Index lowRows, const Masks& masks) const
{
    if (l.rank == 0)
        return;
    const auto keep = [&](const LeftSide& seen) {
        for (Index p = 0; p < l.rankPanels(); ++p) {
            ProductSum down;
            down.add(seen, m_toLow, p * kPanel);
            down.into(low + (p * lowRows + first) * kPanel, x.rows(), kPanel, kPanel, false);
        }
    };
    if (l.dropout == 0 || !masks.rng)
        return keep(x);
    Scratch scratch;
    float* dropped = scratch.take(x.rows() * l.in);
    drawMask(l, masks, first, x.rows(), dropped);
    for (Index i = 0; i < x.rows() * l.in; ++i)
        dropped[i] *= x.values()[i];
    keep(LeftSide(dropped, x.rows(), l.in));
}

void LinearWork::reserveRows(const Linear& l, Index rows)
{
    m_rows = rows;
    m_low.reserve(l.rankPanels() * rows * kPanel);
}

void LinearWork::backward(const Linear& l, const float* dy, Index rows, Index first, float* dx,
                          bool add, const Masks& masks)
{
    ProductSum sum, thinSum;
    const bool masked = l.rank > 0 && l.dropout > 0 && masks.rng;
    const LeftSide left(dy, rows, l.out);
    sum.add(left, m_backward);
    for (Index p = 0; p < l.rankPanels(); ++p) {
        ProductSum down;
        down.add(left, m_backToLow, p * kPanel);
        float* thin = m_low.data() + (p * m_rows + first) * kPanel;
        down.into(thin, rows, kPanel, kPanel, false);
        (masked ? thinSum : sum).add(thin, kPanel, 1, m_backFromLow[static_cast<std::size_t>(p)]);
    }
    if (!dx)
        return;
    sum.into(dx, rows, l.in, l.in, add);
    if (masked) {
        Scratch scratch;
        float *mask = scratch.take(rows * l.in), *part = scratch.take(rows * l.in);
        drawMask(l, masks, first, rows, mask);
        thinSum.into(part, rows, l.in, l.in, false);
        for (Index i = 0; i < rows * l.in; ++i)
            dx[i] += part[i] * mask[i];
    }
}

void LinearWork::gradients(const Linear& l, const RightSide& x, const float* dy, const float* low,
                           Index rows, TaskList& tasks) const
{
    for (Index o = 0; o < l.out; o += kGradientRows) {
        const auto some = std::min(kGradientRows, l.out - o);
        if (l.weightGrad) {
            tasks.push_back([=, &x] {
                ProductSum sum;
                sum.add(dy + o, 1, l.out, x);
                if (l.colStride == 1)
                    sum.into(l.weightGrad + o * l.in, some, l.in, l.in, true);
                else
                    addAcross(sum, some, l, l.weightGrad + o);
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
    }
    for (Index o = 0; l.bGrad && o < l.out; o += kGradientColumns)
        tasks.push_back([=, &l] { addThinGradient(l, dy, low, rows, o); });
    for (Index i = 0; l.aGrad && i < l.in; i += kGradientColumns) {
        for (Index p = 0; p < l.rankPanels(); ++p) {
            tasks.push_back([=, this, &x] {
                ProductSum sum;
                sum.add(m_low.data() + p * m_rows * kPanel, 1, kPanel, x, i);
                sum.into(l.aGrad + p * kPanel * l.in + i, std::min(kPanel, l.rank - p * kPanel),
                         std::min(kGradientColumns, l.in - i), l.in, true);
            });
        }
    }
}

} // namespace fettle::model::fused

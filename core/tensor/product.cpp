#include "tensor/product.h"

#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/tile_kernels.h"

#include <algorithm>

namespace fettle::tensor {

namespace {

using Index = std::int64_t;
static_assert(RightSide::kRowUnit % kTileDepth == 0);

/// Values that a task packs: about a quarter of a megabyte of floats.
constexpr Index kTaskValues = 65536;

Index panelsOf(Index n) { return (n + kPanel - 1) / kPanel; }

} // namespace

std::int64_t RightSide::bytesPerValue(bool bfloat)
{
    return !cpuKernels().tiles ? 4 : bfloat ? 2 : 2 * kFloatPieces;
}

void RightSide::reserve(Index k, Index n, Index pieces)
{
    m_k = k, m_n = n, m_pieces = pieces;
    m_values.reserve(panelsOf(n) * panelFloats());
}

void RightSide::shape(Index k, Index n) { reserve(k, n, cpuKernels().tiles ? kFloatPieces : 0); }

Index RightSide::panelFloats() const { return m_pieces > 0 ? panelValues(m_k, m_pieces) / 2 : m_k * kPanel; }

float* RightSide::at(Index row, Index column) const
{
    const auto perRow = m_pieces > 0 ? kPanel * m_pieces / 2 : kPanel;
    return m_values.data() + column / kPanel * panelFloats() + row * perRow;
}

void RightSide::fill(const float* x, Index rowStride, Index colStride, Index from, Index count, float scale)
{
    if (m_pieces > 0)
        cpuKernels().tiles->packFloats({x, colStride, rowStride, m_n, count, scale},
                                       reinterpret_cast<Bfloat16*>(at(from, 0)), panelFloats() * 2);
    else
        cpuKernels().packPanels(x, rowStride, colStride, count, m_n, scale, at(from, 0), panelFloats());
}

/// Columns [from, from + count) from a matrix of which x is the first one's beginning.
void RightSide::fillColumns(const float* x, Index rowStride, Index colStride, Index from, Index count, float scale)
{
    if (m_pieces > 0)
        cpuKernels().tiles->packFloats({x, colStride, rowStride, count, m_k, scale},
                                       reinterpret_cast<Bfloat16*>(at(0, from)), panelFloats() * 2);
    else
        cpuKernels().packPanels(x, rowStride, colStride, m_k, count, scale, at(0, from), panelFloats());
}

void RightSide::pack(const float* x, Index rowStride, Index colStride, Index k, Index n, float scale, TaskList& tasks)
{
    shape(k, n);
    const auto columns = std::max<Index>(1, kTaskValues / (k * kPanel)) * kPanel;
    for (Index from = 0; from < n; from += columns) {
        tasks.push_back([=, this] {
            fillColumns(x + from * colStride, rowStride, colStride, from, std::min(columns, n - from), scale);
        });
    }
}

namespace {

/// Rows of a matrix that one task decodes into the cache.
Index rowsAtOnce(const QuantisedMatrix& matrix)
{
    return std::max<Index>(1, kTaskValues / (matrix.columns() * RightSide::kRowUnit)) * RightSide::kRowUnit;
}

/// The decoded rows, good until the thread asks for others.
const float* decodedRows(const QuantisedMatrix& matrix, Index first, Index count)
{
    thread_local AlignedBuffer values;
    matrix.decode(first, count, values.reserve(count * matrix.columns()));
    return values.data();
}

} // namespace

void RightSide::packRows(const QuantisedMatrix& matrix, Index first, Index count, TaskList& tasks)
{
    const auto n = matrix.columns(), rows = rowsAtOnce(matrix);
    const bool asStored = cpuKernels().tiles && matrix.bfloats();
    reserve(count, n, !cpuKernels().tiles ? 0 : asStored ? 1 : kFloatPieces);
    for (Index from = 0; from < count; from += rows) {
        tasks.push_back([=, this, &matrix, some = std::min(rows, count - from)] {
            if (asStored)
                cpuKernels().tiles->packBfloats({matrix.bfloats() + (first + from) * n, 1, n, n, some},
                                                reinterpret_cast<Bfloat16*>(at(from, 0)), panelFloats() * 2);
            else
                fill(decodedRows(matrix, first + from, some), n, 1, from, some);
        });
    }
}

void RightSide::packTurned(const QuantisedMatrix& matrix, Index first, Index count, TaskList& tasks)
{
    const auto k = matrix.columns(), rows = rowsAtOnce(matrix);
    const bool asStored = cpuKernels().tiles && matrix.bfloats();
    reserve(k, count, !cpuKernels().tiles ? 0 : asStored ? 1 : kFloatPieces);
    for (Index from = 0; from < count; from += rows) {
        tasks.push_back([=, this, &matrix, some = std::min(rows, count - from)] {
            if (asStored)
                cpuKernels().tiles->packBfloats({matrix.bfloats() + (first + from) * k, k, 1, some, k},
                                                reinterpret_cast<Bfloat16*>(at(0, from)), panelFloats() * 2);
            else
                fillColumns(decodedRows(matrix, first + from, some), 1, k, from, some, 1);
        });
    }
}

LeftSide::LeftSide(const float* values, Index m, Index k)
    : m_values(values)
    , m_m(m)
    , m_k(k)
{
    if (const auto* tiles = cpuKernels().tiles) {
        const auto lines = (m + kTileLines - 1) / kTileLines;
        auto* packed = reinterpret_cast<Bfloat16*>(m_scratch.take(lines * panelValues(k, kFloatPieces) / 2));
        tiles->packLeft({values, k, 1, m, k}, packed);
        m_packed = packed;
    }
}

void ProductSum::add(const LeftSide& a, const RightSide& b, Index firstColumn)
{
    m_parts.push_back({a.m_values, a.m_packed, a.m_k, 1, &b, firstColumn});
}

void ProductSum::add(const float* a, Index rowStride, Index colStride, const RightSide& b, Index firstColumn)
{
    m_parts.push_back({a, nullptr, rowStride, colStride, &b, firstColumn});
}

void ProductSum::into(float* c, Index m, Index n, Index cStride, bool add) const
{
    const auto count = static_cast<Index>(m_parts.size());
    if (const auto* tiles = cpuKernels().tiles) {
        std::vector<TilePart> parts;
        for (const auto& [a, packed, rowStride, colStride, b, column] : m_parts)
            parts.push_back({a, rowStride, colStride, packed, reinterpret_cast<const Bfloat16*>(b->at(0, column)),
                             b->panelFloats() * 2, b->m_pieces, b->m_k});
        tiles->gemm(parts.data(), count, m, n, c, cStride, add);
        return;
    }
    std::vector<GemmPart> parts;
    for (const auto& [a, packed, rowStride, colStride, b, column] : m_parts)
        parts.push_back({a, rowStride, colStride, b->at(0, column), b->panelFloats(), b->m_k});
    cpuKernels().gemm(parts.data(), count, m, n, c, cStride, add);
}

} // namespace fettle::tensor

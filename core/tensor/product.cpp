#include "tensor/product.h"

#include "tensor/kernels/cpu_kernels.h"

#include <algorithm>
#include <numeric>
#include <type_traits>

namespace fettle::tensor {

namespace {

using Index = std::int64_t;

/// Values that a task packs: about a quarter of a megabyte of floats.
constexpr Index kTaskValues = 65536;

Index panelsOf(Index n) { return (n + kPanel - 1) / kPanel; }

} // namespace

std::int64_t RightSide::rowUnit() { return cpuKernels().tiles ? kTileDepth : 36; }

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

template <class T> void RightSide::fillPart(const TileSource<T>& source, Index row, Index column)
{
    auto* to = at(row, column);
    if (m_pieces == 0) {
        if constexpr (std::is_same_v<T, float>)
            cpuKernels().packPanels(source.values, source.depthStride, source.lineStride, source.k, source.lines,
                                    source.scale, to, panelFloats());
        return;
    }
    auto* packed = reinterpret_cast<Bfloat16*>(to);
    if constexpr (std::is_same_v<T, float>)
        cpuKernels().tiles->packFloats(source, packed, panelFloats() * 2);
    else
        cpuKernels().tiles->packBfloats(source, packed, panelFloats() * 2);
}

void RightSide::fill(const float* x, Index rowStride, Index colStride, Index from, Index count)
{
    fillPart(TileSource<float>{x, colStride, rowStride, m_n, count}, from, 0);
}

void RightSide::pack(const float* x, Index rowStride, Index colStride, Index k, Index n, float scale, TaskList& tasks)
{
    shape(k, n);
    const auto columns = std::max<Index>(1, kTaskValues / (k * kPanel)) * kPanel;
    for (Index from = 0; from < n; from += columns) {
        tasks.push_back([=, this, some = std::min(columns, n - from)] {
            fillPart(TileSource<float>{x + from * colStride, colStride, rowStride, some, k, scale}, 0, from);
        });
    }
}

namespace {

/// The decoded rows, good until the thread asks for others.
const float* decodedRows(const QuantisedMatrix& matrix, Index first, Index count)
{
    thread_local AlignedBuffer values;
    matrix.decode(first, count, values.reserve(count * matrix.columns()));
    return values.data();
}

} // namespace

void RightSide::pack(const QuantisedMatrix& matrix, Index first, Index count, bool turned, TaskList& tasks)
{
    const auto width = matrix.columns(), unit = std::lcm(rowUnit(), kPanel);
    const auto rows = std::max<Index>(1, kTaskValues / (width * unit)) * unit;
    const auto* stored = cpuKernels().tiles ? matrix.bfloats() : nullptr;
    reserve(turned ? width : count, turned ? count : width, !cpuKernels().tiles ? 0 : stored ? 1 : kFloatPieces);
    for (Index from = 0; from < count; from += rows) {
        tasks.push_back([=, this, &matrix, some = std::min(rows, count - from)] {
            const auto fillFrom = [&]<class T>(const T* values) {
                if (turned)
                    fillPart(TileSource<T>{values, width, 1, some, width}, 0, from);
                else
                    fillPart(TileSource<T>{values, 1, width, width, some}, from, 0);
            };
            if (stored)
                fillFrom(stored + (first + from) * width);
            else
                fillFrom(decodedRows(matrix, first + from, some));
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

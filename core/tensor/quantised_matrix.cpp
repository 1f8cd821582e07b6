#include "tensor/quantised_matrix.h"

#include "tensor/files/four_bit.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/quantised_kernels.h"
#include "tensor/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace fettle::tensor {

namespace {

using Index = std::int64_t;

Index over(Index count, Index unit) { return (count + unit - 1) / unit; }

AlignedBuffer bytesBuffer(Index bytes) { return AlignedBuffer(over(bytes, sizeof(float))); }

/// Values of which a thread encodes or decodes a part at a time: half a megabyte of floats.
constexpr Index kPart = 1 << 17;

thread_local AlignedBuffer decoded;
thread_local std::vector<float> blockScales;

/// One row's codes and scales.
void encodeRow(const float* row, Index columns, std::int8_t* codes, float* scales)
{
    for (Index from = 0; from < columns; from += kCodeBlock) {
        const auto count = std::min(kCodeBlock, columns - from);
        float largest = 0;
        for (Index i = from; i < from + count; ++i)
            largest = std::max(largest, std::abs(row[i]));
        scales[from / kCodeBlock] = largest / 127;
        const float inverse = largest > 1e-30f ? 127 / largest : 0; // smaller ones are nothing
        for (Index i = from; i < from + count; ++i) {
            constexpr float kRound = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
            codes[i] = static_cast<std::int8_t>((row[i] * inverse + kRound) - kRound);
        }
    }
}

} // namespace

void QuantisedMatrix::fewRows(const float* x, Index m, Index first, Index count, float* y,
                              Index yStride) const
{
    if (m <= mostDirectRows())
        return directRows(x, m, first, count, y, yStride);
    // Decoded pieces stay in the first-level cache while all rows of x pass by.
    const auto piece = std::max<Index>(12, 4096 / m_columns / 12 * 12);
    float* values = decoded.reserve(piece * m_columns);
    for (Index from = 0; from < count; from += piece) {
        const auto some = std::min(piece, count - from);
        decode(first + from, some, values);
        cpuKernels().fewRows(x, values, y + from, m, some, m_columns, yStride);
    }
}

SixteenBitMatrix::SixteenBitMatrix(SixteenBits format, const void* values, Index rows,
                                   Index columns, std::shared_ptr<const void> keepAlive)
    : QuantisedMatrix(rows, columns)
    , m_format(format)
    , m_values(values)
    , m_keepAlive(std::move(keepAlive))
{
}

const Bfloat16* SixteenBitMatrix::bfloats() const
{
    return m_format == SixteenBits::Bfloat16 ? static_cast<const Bfloat16*>(m_values) : nullptr;
}

void SixteenBitMatrix::decode(Index first, Index count, float* values) const
{
    const auto from = first * columns(), all = count * columns();
    if (m_format == SixteenBits::Bfloat16)
        quantisedKernels().decodeBfloat16(static_cast<const Bfloat16*>(m_values) + from, values,
                                          all);
    else
        quantisedKernels().decodeFloat16(static_cast<const Float16*>(m_values) + from, values, all);
}

Index SixteenBitMatrix::mostDirectRows() const { return std::numeric_limits<Index>::max(); }

void SixteenBitMatrix::directRows(const float* x, Index m, Index first, Index count, float* y,
                                  Index yStride) const
{
    const auto from = first * columns();
    if (m_format == SixteenBits::Bfloat16)
        quantisedKernels().fewRowsBfloat16(x, static_cast<const Bfloat16*>(m_values) + from, y, m,
                                           count, columns(), yStride);
    else
        quantisedKernels().fewRowsFloat16(x, static_cast<const Float16*>(m_values) + from, y, m,
                                          count, columns(), yStride);
}

Int8Matrix::Int8Matrix(const float* values, Index rows, Index columns)
    : QuantisedMatrix(rows, columns)
    , m_codes(bytesBuffer(rows * columns))
    , m_scales(rows * over(columns, kCodeBlock))
{
    const auto some = std::max<Index>(1, kPart / columns);
    parallelTasks(over(rows, some), [&](Index task) {
        for (auto row = task * some; row < std::min(rows, (task + 1) * some); ++row)
            encodeRow(values + row * columns, columns, const_cast<std::int8_t*>(codes(row)),
                      const_cast<float*>(scales(row)));
    });
}

MatrixParts Int8Matrix::parts() const
{
    return {codes(0), rows() * columns(), scales(0), rows() * over(columns(), kCodeBlock)};
}

const std::int8_t* Int8Matrix::codes(Index row) const
{
    return reinterpret_cast<const std::int8_t*>(m_codes.data()) + row * columns();
}

const float* Int8Matrix::scales(Index row) const
{
    return m_scales.data() + row * over(columns(), kCodeBlock);
}

void Int8Matrix::decode(Index first, Index count, float* values) const
{
    quantisedKernels().decodeInt8(codes(first), scales(first), values, count, columns());
}

Index Int8Matrix::mostDirectRows() const { return kDirectRows; }

void Int8Matrix::directRows(const float* x, Index m, Index first, Index count, float* y,
                            Index yStride) const
{
    quantisedKernels().fewRowsInt8(x, codes(first), scales(first), y, m, count, columns(), yStride);
}

Nf4Matrix::Nf4Matrix(const float* values, Index rows, Index columns)
    : QuantisedMatrix(rows, columns)
    , m_codes(bytesBuffer(over(rows * columns, 2)))
    , m_scales(bytesBuffer(over(rows * columns, kFourBitBlock)))
    , m_nested(over(over(rows * columns, kFourBitBlock), kNestedBlock))
{
    const auto count = rows * columns, blocks = over(count, kFourBitBlock);
    std::vector<float> absmax(static_cast<std::size_t>(blocks));
    auto* codes = reinterpret_cast<std::uint8_t*>(m_codes.data());
    parallelTasks(over(count, kPart), [&](Index task) {
        const auto from = task * kPart;
        encodeNf4({values + from, static_cast<std::size_t>(std::min(kPart, count - from))},
                  codes + from / 2, absmax.data() + from / kFourBitBlock);
    });
    double sum = 0;
    for (const float each : absmax)
        sum += each;
    m_offset = static_cast<float>(sum / static_cast<double>(blocks));
    encodeNested(absmax, m_offset, reinterpret_cast<std::uint8_t*>(m_scales.data()),
                 m_nested.data());
}

MatrixParts Nf4Matrix::parts() const
{
    const auto count = rows() * columns(), blocks = over(count, kFourBitBlock);
    return {m_codes.data(),      over(count, 2), m_nested.data(), over(blocks, kNestedBlock),
            reinterpret_cast<const std::uint8_t*>(m_scales.data()), blocks, m_offset};
}

Index Nf4Matrix::mostDirectRows() const { return columns() % kFourBitBlock == 0 ? kDirectRows : 0; }

void Nf4Matrix::scales(Index first, Index count, float* out) const
{
    decodeNested({reinterpret_cast<const std::uint8_t*>(m_scales.data()), dynamicMap().data(),
                  m_nested.data(), kNestedBlock, m_offset},
                 first, count, out);
}

void Nf4Matrix::decode(Index first, Index count, float* values) const
{
    // Whole blocks by the kernel, what is left at either end one by one.
    const auto begin = first * columns(), end = begin + count * columns();
    const auto block = begin / kFourBitBlock, blocks = over(end, kFourBitBlock) - block;
    blockScales.resize(static_cast<std::size_t>(blocks));
    scales(block, blocks, blockScales.data());
    const auto* codes = reinterpret_cast<const std::uint8_t*>(m_codes.data());
    const auto single = [&](Index from, Index to) {
        for (auto i = from; i < to; ++i) {
            const auto own = i / kFourBitBlock;
            decodeFourBit(codes + own * kFourBitBlock / 2, kNf4Values,
                          blockScales.data() + own - block, kFourBitBlock, i % kFourBitBlock, 1,
                          values + i - begin);
        }
    };
    const auto wholeBegin = std::min(end, over(begin, kFourBitBlock) * kFourBitBlock);
    const auto wholeEnd = std::max(wholeBegin, end / kFourBitBlock * kFourBitBlock);
    single(begin, wholeBegin);
    quantisedKernels().decodeNf4(
        codes + wholeBegin / 2, blockScales.data() + wholeBegin / kFourBitBlock - block,
        values + wholeBegin - begin, (wholeEnd - wholeBegin) / kFourBitBlock);
    single(wholeEnd, end);
}

void Nf4Matrix::directRows(const float* x, Index m, Index first, Index count, float* y,
                           Index yStride) const
{
    const auto perRow = columns() / kFourBitBlock;
    blockScales.resize(static_cast<std::size_t>(count * perRow));
    scales(first * perRow, count * perRow, blockScales.data());
    const auto* codes = reinterpret_cast<const std::uint8_t*>(m_codes.data());
    quantisedKernels().fewRowsNf4(x, codes + first * columns() / 2, blockScales.data(), y, m, count,
                                  columns(), yStride);
}

QuantisedPtr quantised(WeightKind kind, const float* values, Index rows, Index columns)
{
    switch (kind) {
    case WeightKind::Int8:
        return std::make_shared<Int8Matrix>(values, rows, columns);
    case WeightKind::Nf4:
        return std::make_shared<Nf4Matrix>(values, rows, columns);
    case WeightKind::Float32:
    case WeightKind::Stored16:
        break;
    }
    throw std::logic_error("weights of 16 and 32 bits are not quantised");
}

} // namespace fettle::tensor

#pragma once

#include "tensor/aligned_buffer.h"
#include "tensor/files/weight_kind.h"
#include "tensor/kernels/bfloat16.h"

#include <memory>

namespace fettle::tensor {

/// A frozen matrix [rows, columns] in fewer bits than 32. Everything is computed in float32 from
/// the decoded values; nothing else is rounded. May be used by several threads at once.
class QuantisedMatrix
{
public:
    virtual ~QuantisedMatrix() = default;

    std::int64_t rows() const { return m_rows; }
    std::int64_t columns() const { return m_columns; }
    virtual WeightKind kind() const = 0;
    std::uint64_t bytes() const { return weightBytes(kind(), m_rows, m_columns); }
    /// The values [rows, columns], row-major, where they are stored as bfloat16; else null.
    virtual const Bfloat16* bfloats() const { return nullptr; }
    /// Rows [first, first + count) -> values [count, columns].
    virtual void decode(std::int64_t first, std::int64_t count, float* values) const = 0;
    /// y [m, count] = x [m, columns] times rows [first, first + count) transposed, for few rows x
    /// (CpuKernels::fewRows gives the same bits from decoded rows). Rows of y lie yStride apart.
    void fewRows(const float* x, std::int64_t m, std::int64_t first, std::int64_t count, float* y,
                 std::int64_t yStride) const;

protected:
    QuantisedMatrix(std::int64_t rows, std::int64_t columns)
        : m_rows(rows)
        , m_columns(columns)
    {
    }
    /// Rows x up to which directRows() is the quicker way; 0: the codes must be decoded first.
    virtual std::int64_t mostDirectRows() const = 0;
    /// fewRows() for at most mostDirectRows() rows x.
    virtual void directRows(const float* x, std::int64_t m, std::int64_t first, std::int64_t count,
                            float* y, std::int64_t yStride) const = 0;

private:
    std::int64_t m_rows, m_columns;
};

using QuantisedPtr = std::shared_ptr<const QuantisedMatrix>;

enum class SixteenBits
{
    Bfloat16,
    Float16 ///< IEEE 754's half precision
};

/// Values of 16 bits where a file has them. What is computed with them has, bit for bit, the result
/// of the float32 values that they stand for.
class SixteenBitMatrix final : public QuantisedMatrix
{
public:
    /// values [rows, columns] of 16 bits, row-major; they live as long as `keepAlive`.
    SixteenBitMatrix(SixteenBits format, const void* values, std::int64_t rows,
                     std::int64_t columns, std::shared_ptr<const void> keepAlive);

    WeightKind kind() const override { return WeightKind::Stored16; }
    const Bfloat16* bfloats() const override;
    void decode(std::int64_t first, std::int64_t count, float* values) const override;

private:
    std::int64_t mostDirectRows() const override;
    void directRows(const float* x, std::int64_t m, std::int64_t first, std::int64_t count,
                    float* y, std::int64_t yStride) const override;

    SixteenBits m_format;
    const void* m_values;
    std::shared_ptr<const void> m_keepAlive;
};

/// Where what makes up a matrix of few bits lies.
struct MatrixParts
{
    const void* codes; ///< row-major; of 4 bits two in each byte
    std::int64_t codeBytes;
    const float* scales; ///< for 64 values of a row; of nf4 for 256 of the scaleCodes
    std::int64_t scaleCount;
    const std::uint8_t* scaleCodes = nullptr; ///< of nf4: for 64 values
    std::int64_t scaleCodeCount = 0;
    float offset = 0;
};

/// Signed 8-bit codes -127..127, times a float32 scale for 64 values along the row: 1.0625 bytes a
/// weight, what llama.cpp's Q8_0 takes with a half-precision scale for 32. The longer block costs a
/// tenth more rounding error (a code is still 1/254 of the block's largest value at most), and its
/// scale is applied once per 64 values and never rounded.
class Int8Matrix final : public QuantisedMatrix
{
public:
    /// values [rows, columns], row-major.
    Int8Matrix(const float* values, std::int64_t rows, std::int64_t columns);

    WeightKind kind() const override { return WeightKind::Int8; }
    MatrixParts parts() const;
    void decode(std::int64_t first, std::int64_t count, float* values) const override;

private:
    std::int64_t mostDirectRows() const override;
    void directRows(const float* x, std::int64_t m, std::int64_t first, std::int64_t count,
                    float* y, std::int64_t yStride) const override;
    const std::int8_t* codes(std::int64_t row) const;
    const float* scales(std::int64_t row) const;

    AlignedBuffer m_codes;  ///< [rows, columns] bytes
    AlignedBuffer m_scales; ///< [rows, ceil(columns / 64)]
};

/// NF4 over the row-major matrix in blocks of 64, their absolute maxima in 8 bits: 4.13 bits a
/// weight, bit-compatible with bitsandbytes but for the last bit of the maxima's mean.
/// Source: Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", section 3.
class Nf4Matrix final : public QuantisedMatrix
{
public:
    Nf4Matrix(const float* values, std::int64_t rows, std::int64_t columns);

    WeightKind kind() const override { return WeightKind::Nf4; }
    MatrixParts parts() const;
    void decode(std::int64_t first, std::int64_t count, float* values) const override;

private:
    std::int64_t mostDirectRows() const override;
    void directRows(const float* x, std::int64_t m, std::int64_t first, std::int64_t count,
                    float* y, std::int64_t yStride) const override;
    /// Absolute maxima of blocks [first, first + count).
    void scales(std::int64_t first, std::int64_t count, float* out) const;

    AlignedBuffer m_codes;  ///< [(rows columns + 1) / 2] bytes
    AlignedBuffer m_scales; ///< [blocks] bytes
    AlignedBuffer m_nested; ///< [blocks / 256]
    float m_offset = 0;
};

/// `kind` is Int8 or Nf4. values [rows, columns], row-major.
QuantisedPtr quantised(WeightKind kind, const float* values, std::int64_t rows,
                       std::int64_t columns);

} // namespace fettle::tensor

#pragma once

#include "tensor/aligned_buffer.h"
#include "tensor/kernels/tile_kernels.h"
#include "tensor/parallel.h"
#include "tensor/quantised_matrix.h"
#include "tensor/scratch.h"

namespace fettle::tensor {

/// The right side [k, n] of products, packed for the kernels that multiply large matrices best on this machine.
/// Its memory is used again by what is packed later.
class RightSide
{
public:
    /// Room for k rows of n columns; it is filled afterwards.
    void shape(std::int64_t k, std::int64_t n);
    /// Rows [from, from + count) are those of x, with any strides; `from` is a multiple of rowUnit(), and `count` too
    /// unless it ends the rows.
    void fill(const float* x, std::int64_t rowStride, std::int64_t colStride, std::int64_t from, std::int64_t count);
    /// Shapes it and adds tasks that fill it with x [k, n] times `scale`.
    void pack(const float* x, std::int64_t rowStride, std::int64_t colStride, std::int64_t k, std::int64_t n,
              float scale, TaskList& tasks);
    /// The same for rows [first, first + count) of a matrix, or for these as columns when `turned`.
    void pack(const QuantisedMatrix& matrix, std::int64_t first, std::int64_t count, bool turned, TaskList& tasks);

    std::int64_t rows() const { return m_k; }
    std::int64_t columns() const { return m_n; }

    /// What a value takes on this machine, where it is one of float32, or stored as bfloat16.
    static std::int64_t bytesPerValue(bool bfloat);

    /// Rows are filled in multiples of this, which suits left sides too.
    static std::int64_t rowUnit();

private:
    friend class ProductSum;
    void reserve(std::int64_t k, std::int64_t n, std::int64_t pieces);
    /// Rows [row, row + source.k) of columns [column, column + source.lines).
    template <class T> void fillPart(const TileSource<T>& source, std::int64_t row, std::int64_t column);
    float* at(std::int64_t row, std::int64_t column) const;
    std::int64_t panelFloats() const;

    AlignedBuffer m_values; ///< panels of 16 columns
    std::int64_t m_k = 0, m_n = 0;
    std::int64_t m_pieces = 0; ///< bfloat16 pieces of a value; 0: it is one of float32
};

/// The left side [m, k] of several products, packed once for all of them.
class LeftSide
{
public:
    /// values [m, k], row-major; they have to stay.
    LeftSide(const float* values, std::int64_t m, std::int64_t k);

    const float* values() const { return m_values; }
    std::int64_t rows() const { return m_m; }

private:
    friend class ProductSum;
    Scratch m_scratch;
    const float* m_values;
    const Bfloat16* m_packed = nullptr; ///< null: there are no tiles
    std::int64_t m_m, m_k;
};

/// A sum of products a b; what is added has to stay until into().
class ProductSum
{
public:
    /// The columns of b from `firstColumn` on.
    void add(const LeftSide& a, const RightSide& b, std::int64_t firstColumn = 0);
    /// The same for a [m, k] with any strides, used once.
    void add(const float* a, std::int64_t rowStride, std::int64_t colStride, const RightSide& b,
             std::int64_t firstColumn = 0);
    /// c [m, n] = the sum, added to c when `add`; rows of c lie cStride apart. Serial.
    void into(float* c, std::int64_t m, std::int64_t n, std::int64_t cStride, bool add) const;

private:
    struct Part
    {
        const float* a;
        const Bfloat16* packed;
        std::int64_t rowStride, colStride;
        const RightSide* b;
        std::int64_t firstColumn;
    };
    std::vector<Part> m_parts;
};

} // namespace fettle::tensor

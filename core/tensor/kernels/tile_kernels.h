#pragma once

#include "tensor/kernels/bfloat16.h"

#include <cstdint>

namespace fettle::tensor {

/// Values along k that lie together in the operands of TileKernels, and lines of a tile.
constexpr std::int64_t kTileDepth = 32, kTileLines = 16;

/// Bfloat16 values whose sum is any float32 value: 8 of its 24 bits are in each.
constexpr std::int64_t kFloatPieces = 3;

/// Many lines of k values each, one side of a product; value p of line i is values[i * lineStride + p *
/// depthStride] * scale.
template <class T> struct TileSource
{
    const T* values;
    std::int64_t lineStride, depthStride, lines, k;
    float scale = 1;
};

/// One product of a sum of products: a [m, k] with any strides, b packed as a right side.
struct TilePart
{
    const float* a;
    std::int64_t rowStride, colStride;
    const Bfloat16* packed; ///< all rows of a as TileKernels::packLeft gives them, or null
    const Bfloat16* b;
    std::int64_t panelStride, pieces; ///< of b
    std::int64_t k;
};

/// Bfloat16 values that 16 lines of k values take as a packed side.
constexpr std::int64_t panelValues(std::int64_t k, std::int64_t pieces)
{
    return (k + kTileDepth - 1) / kTileDepth * kTileDepth * kTileLines * pieces;
}

/// Products of float32 matrices by a processor's bfloat16 tiles (Intel AMX). A float32 value is the sum of three
/// bfloat16 values, and products of two bfloat16 values are exact in float32; so a float32 matrix times one of
/// bfloat16 values takes three products and times one of float32 values six, as what the other three would add is
/// below float32's own rounding. Sums are made in float32. Source of the idea: Henry, Tang and Heinecke 2019,
/// "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations".
///
/// A packed left side: [m / 16][k / 32][piece][16 lines][32]. A right side: panels of 16 lines, [k / 32][piece][16 pairs along k][16 lines][2] in each; zeros fill
/// them up.
struct TileKernels
{
    /// A left side of float32 values in kFloatPieces pieces.
    void (*packLeft)(const TileSource<float>& from, Bfloat16* out);
    /// A right side of the same; panels lie panelStride apart.
    void (*packFloats)(const TileSource<float>& from, Bfloat16* out, std::int64_t panelStride);
    /// A right side of bfloat16 values in one piece; `scale` is not used.
    void (*packBfloats)(const TileSource<Bfloat16>& from, Bfloat16* out, std::int64_t panelStride);
    /// c [m, n] = sum of the products of the parts, added to c when `add`; rows of c lie cStride apart.
    void (*gemm)(const TilePart* parts, std::int64_t count, std::int64_t m, std::int64_t n, float* c,
                 std::int64_t cStride, bool add);
};

} // namespace fettle::tensor

#pragma once

#include "tensor/files/dtype.h"

#include <cstddef>
#include <span>

namespace fettle::tensor {

/// Nearest value of the smaller type, ties to even, as LibTorch rounds; what is too large becomes
/// infinity.
std::uint16_t floatToHalf(float value);
std::uint16_t floatToBfloat16(float value);
float bfloat16ToFloat(std::uint16_t value);

/// The four types in which weights are kept: F32, F16, BF16, F64.
bool isFloatType(DType type);

/// Elements in row-major order as float32; `bytes` may be misaligned. `out` has room for all.
void toFloats(DType from, std::span<const std::byte> bytes, float* out);

/// Writes values as F32, F16 or BF16. Gives the index of the first value that the type cannot hold
/// (it is not finite, or would not be after rounding); all are written nevertheless.
std::optional<std::size_t> fromFloats(std::span<const float> values, DType to, std::byte* out);

} // namespace fettle::tensor

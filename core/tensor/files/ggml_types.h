#pragma once

#include "base/result.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace fettle::tensor {

/// Element types of GGUF tensors, with the numbers of the format. Only those that this program
/// reads.
enum class GgmlType : std::uint32_t
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    F64 = 28,
    BF16 = 30
};

/// Form of a type in files. `values` per block of `bytes`; a removed type has no row.
struct GgmlTypeInfo
{
    std::uint32_t id;
    std::string_view name;
    std::uint64_t values, bytes;
    bool readable; ///< dequantise() knows it
};

/// nullptr when the format has no such type or has removed it.
const GgmlTypeInfo* ggmlTypeInfo(std::uint32_t id);

/// Turns `count` stored values into floats. Exact for what the format means: no rounding beyond the
/// float32 products of its formulas.
/// Errors: Unsupported for a type without a reader; InvalidInput when `bytes` does not hold exactly
/// `count` values.
Result<void> dequantise(std::uint32_t type, std::span<const std::byte> bytes, float* out,
                        std::uint64_t count);

float halfToFloat(std::uint16_t half);

} // namespace fettle::tensor

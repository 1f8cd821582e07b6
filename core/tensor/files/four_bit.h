#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fettle::tensor {

/// Values of a row-major weight that share one absolute maximum.
constexpr std::int64_t kFourBitBlock = 64;
/// Absolute maxima that share one in their turn (double quantisation).
constexpr std::int64_t kNestedBlock = 256;

/// The 16 values of NF4, ascending. Source: Dettmers et al. 2023, "QLoRA", appendix E; digits as in
/// bitsandbytes.
extern const std::array<float, 16> kNf4Values;

/// The 256 values of the 8-bit "dynamic" type, ascending; without a sign none is negative.
/// Source: Dettmers 2016, "8-Bit Approximations for Parallelism in Deep Learning", as bitsandbytes
/// builds it.
const std::array<float, 256>& dynamicMap(bool isSigned = true);

/// NF4 codes of values, the earlier one of two in the high half of a byte, and the absolute maximum
/// of each block of 64. An odd count ends with the code of zero. The bits are those of
/// bitsandbytes.
void encodeNf4(std::span<const float> values, std::uint8_t* codes, float* absmax);

/// Values [first, first + count) of 4-bit codes: map[code] * absmax of the block.
void decodeFourBit(const std::uint8_t* codes, std::span<const float, 16> map, const float* absmax,
                   std::int64_t blockSize, std::int64_t first, std::int64_t count, float* values);

/// Absolute maxima in 8 bits: offset + map[code] * absmax of a block of 256.
struct NestedScales
{
    const std::uint8_t* codes;
    const float* map;    ///< [256]
    const float* absmax; ///< of each block
    std::int64_t blockSize;
    float offset;
};
/// Absolute maxima [first, first + count).
void decodeNested(const NestedScales& scales, std::int64_t first, std::int64_t count, float* out);

/// Codes and block maxima of absolute maxima, less `offset`, in blocks of 256 over dynamicMap().
void encodeNested(std::span<const float> scales, float offset, std::uint8_t* codes, float* absmax);

} // namespace fettle::tensor

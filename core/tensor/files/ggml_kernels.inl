// The quantisers of one instruction set. The including file sets FETTLE_QUANT_NAMESPACE and
// FETTLE_QUANT_NAME and its compiler flags; products and sums are never contracted, so that every
// instruction set gives the same bytes. Loops are written so that the compiler turns them into
// vector code.
#include "tensor/files/ggml_quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace fettle::tensor::FETTLE_QUANT_NAMESPACE {

namespace {

using Byte = std::uint8_t;

std::uint32_t bitsOf(float value) { return std::bit_cast<std::uint32_t>(value); }
std::int32_t magnitude(float value)
{
    return static_cast<std::int32_t>(bitsOf(value) & 0x7fffffffu);
}

std::uint16_t half(float value)
{
    const std::uint32_t sign = bitsOf(value) & 0x80000000u;
    const float size = std::bit_cast<float>(bitsOf(value) ^ sign);
    std::uint32_t out;
    if (bitsOf(size) >= 0x47800000u) { // 65536 and above
        out = bitsOf(size) > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (bitsOf(size) < 0x38800000u) { // subnormal: the sum rounds at the last place
        out = bitsOf(size + 0.5f) - bitsOf(0.5f);
    } else {
        const std::uint32_t odd = bitsOf(size) >> 13 & 1;
        out = (bitsOf(size) - (112u << 23) + 0xfffu + odd) >> 13;
    }
    return static_cast<std::uint16_t>(out | sign >> 16);
}

void put16(Byte* out, std::uint16_t value) { std::memcpy(out, &value, sizeof value); }
void putHalf(Byte* out, float value) { put16(out, half(value)); }

std::uint32_t largest(const float* x, std::uint64_t count)
{
    std::int32_t most = 0;
    for (std::uint64_t i = 0; i < count; ++i)
        most = std::max(most, magnitude(x[i]));
    return static_cast<std::uint32_t>(most);
}

void f16(const float* x, Byte* out, std::uint64_t count)
{
    std::uint64_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        std::memcpy(out + 2 * i, &halves, sizeof halves);
    }
#endif
    for (; i < count; ++i)
        putHalf(out + 2 * i, x[i]);
}

void bf16(const float* x, Byte* out, std::uint64_t count)
{
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint32_t bits = bitsOf(x[i]);
        put16(out + 2 * i, static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16));
    }
}

/// 1 / d, and 0 where that is no number: such blocks are zero in half precision.
float inverse(float d)
{
    const float result = 1 / d;
    return std::abs(result) <= 0x1.fffffep127f ? result : 0.0f;
}

void q8_0(const float* values, Byte* out, std::uint64_t blocks)
{
    for (std::uint64_t b = 0; b < blocks; ++b, out += 34) {
        const float* x = values + 32 * b;
        std::int32_t most = 0;
        for (int j = 0; j < 32; ++j)
            most = std::max(most, magnitude(x[j]));
        const float d = std::bit_cast<float>(most) / 127, scale = inverse(d);
        putHalf(out, d);
        std::int8_t q[32];
        for (int j = 0; j < 32; ++j) { // to the nearest, halves away from zero
            const float t = x[j] * scale, size = std::abs(t);
            const auto whole = static_cast<std::int32_t>(size);
            const std::int32_t up = size - static_cast<float>(whole) >= 0.5f ? 1 : 0;
            const std::int32_t minus = static_cast<std::int32_t>(bitsOf(t)) >> 31;
            q[j] = static_cast<std::int8_t>(((whole + up) ^ minus) - minus);
        }
        std::memcpy(out + 2, q, sizeof q);
    }
}

/// The value with the largest magnitude, the first one of equals.
float extreme(const float* x)
{
    std::int32_t most = 0;
    for (int j = 0; j < 32; ++j)
        most = std::max(most, magnitude(x[j]));
    for (int j = 0; j < 32; ++j) {
        if (magnitude(x[j]) == most)
            return x[j];
    }
    return 0;
}

/// Two values a byte: j below, j + 16 above. The fifth bits, where there are some, go to `high`.
void putNibbles(const std::int32_t* q, Byte* out, Byte* high)
{
    std::uint32_t fifth = 0;
    for (int j = 0; j < 16; ++j)
        out[j] = static_cast<Byte>((q[j] & 15) | (q[j + 16] & 15) << 4);
    if (!high)
        return;
    for (int j = 0; j < 32; ++j)
        fifth |= static_cast<std::uint32_t>(q[j] >> 4 & 1) << j;
    std::memcpy(high, &fifth, sizeof fifth);
}

/// Q4_0 (Half 8) and Q5_0 (Half 16): the extreme value becomes -Half.
template<int Half> void symmetric(const float* values, Byte* out, std::uint64_t blocks)
{
    constexpr int kHigh = Half == 16 ? 4 : 0;
    for (std::uint64_t b = 0; b < blocks; ++b, out += 18 + kHigh) {
        const float* x = values + 32 * b;
        const float d = extreme(x) / -Half, scale = inverse(d);
        putHalf(out, d);
        std::int32_t q[32];
        for (int j = 0; j < 32; ++j)
            q[j] = std::min(2 * Half - 1, static_cast<std::int32_t>(x[j] * scale + (Half + 0.5f)));
        putNibbles(q, out + 2 + kHigh, kHigh ? out + 2 : nullptr);
    }
}

/// Q4_1 (Most 15) and Q5_1 (Most 31): from the smallest value to the largest.
template<int Most> void shifted(const float* values, Byte* out, std::uint64_t blocks)
{
    constexpr int kHigh = Most == 31 ? 4 : 0;
    for (std::uint64_t b = 0; b < blocks; ++b, out += 20 + kHigh) {
        const float* x = values + 32 * b;
        const auto [low, high] = std::minmax_element(x, x + 32);
        const float d = (*high - *low) / Most, scale = inverse(d), min = *low;
        putHalf(out, d);
        putHalf(out + 2, min);
        std::int32_t q[32];
        for (int j = 0; j < 32; ++j)
            q[j] = std::min(Most, static_cast<std::int32_t>((x[j] - min) * scale + 0.5f));
        putNibbles(q, out + 4 + kHigh, kHigh ? out + 4 : nullptr);
    }
}

} // namespace

} // namespace fettle::tensor::FETTLE_QUANT_NAMESPACE

#include "tensor/files/ggml_k_kernels.inl"

namespace fettle::tensor::FETTLE_QUANT_NAMESPACE {

extern const QuantKernels table;
const QuantKernels table{FETTLE_QUANT_NAME, largest,       f16,         bf16, symmetric<8>,
                         shifted<15>,       symmetric<16>, shifted<31>, q8_0, minimumBlocks<15>,
                         minimumBlocks<31>, signedBlocks};

} // namespace fettle::tensor::FETTLE_QUANT_NAMESPACE

#include "tensor/files/convert.h"

#include "tensor/files/ggml_types.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace fettle::tensor {

namespace {

template<class T> T at(std::span<const std::byte> bytes, std::size_t index)
{
    T value;
    std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
    return value;
}

template<class T, class Read>
void spread(std::span<const std::byte> bytes, float* out, const Read& read)
{
    for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i)
        out[i] = read(at<T>(bytes, i));
}

template<class Round>
std::optional<std::size_t> narrowed(std::span<const float> values, std::byte* out,
                                    std::uint16_t infinity, const Round& round)
{
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint16_t bits = round(values[i]);
        std::memcpy(out + 2 * i, &bits, sizeof bits);
        if ((bits & infinity) == infinity &&
            !first) // all bits of the exponent: infinite or no number
            first = i;
    }
    return first;
}

} // namespace

std::uint16_t floatToHalf(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000u) { // no number
        half = 0x7e00u;
    } else if (magnitude >= 0x477ff000u) { // 65520 and more round to infinity
        half = 0x7c00u;
    } else if (magnitude < 0x38800000u) {
        // Below 2^-14 halves are multiples of 2^-24, which is the spacing of floats in [0.5, 1):
        // the addition rounds.
        const float sum = std::bit_cast<float>(magnitude) + 0.5f;
        half = std::bit_cast<std::uint32_t>(sum) - 0x3f000000u;
    } else {
        const std::uint32_t odd = magnitude >> 13 & 1u;
        half = (magnitude - (112u << 23) + 0xfffu + odd) >> 13;
    }
    return static_cast<std::uint16_t>(sign | half);
}

std::uint16_t floatToBfloat16(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value))
        return 0x7fc0u;
    const std::uint32_t odd = bits >> 16 & 1u;
    return static_cast<std::uint16_t>((bits + 0x7fffu + odd) >> 16);
}

float bfloat16ToFloat(std::uint16_t value)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

bool isFloatType(DType type)
{
    return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
}

void toFloats(DType from, std::span<const std::byte> bytes, float* out)
{
    if (from == DType::F32)
        std::memcpy(out, bytes.data(), bytes.size());
    else if (from == DType::F16)
        spread<std::uint16_t>(bytes, out, halfToFloat);
    else if (from == DType::BF16)
        spread<std::uint16_t>(bytes, out, bfloat16ToFloat);
    else if (from == DType::F64)
        spread<double>(bytes, out, [](double value) { return static_cast<float>(value); });
}

std::optional<std::size_t> fromFloats(std::span<const float> values, DType to, std::byte* out)
{
    if (to == DType::F16)
        return narrowed(values, out, 0x7c00u, floatToHalf);
    if (to == DType::BF16)
        return narrowed(values, out, 0x7f80u, floatToBfloat16);
    std::memcpy(out, values.data(), values.size_bytes());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i]))
            return i;
    }
    return std::nullopt;
}

} // namespace fettle::tensor

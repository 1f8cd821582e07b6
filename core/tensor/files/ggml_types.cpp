#include "tensor/files/ggml_types.h"

#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace fettle::tensor {

namespace {

constexpr std::array<GgmlTypeInfo, 34> kTypes{{
    {0, "F32", 1, 4, true},         {1, "F16", 1, 2, true},
    {2, "Q4_0", 32, 18, true},      {3, "Q4_1", 32, 20, true},
    {6, "Q5_0", 32, 22, true},      {7, "Q5_1", 32, 24, true},
    {8, "Q8_0", 32, 34, true},      {9, "Q8_1", 32, 36, false},
    {10, "Q2_K", 256, 84, true},    {11, "Q3_K", 256, 110, true},
    {12, "Q4_K", 256, 144, true},   {13, "Q5_K", 256, 176, true},
    {14, "Q6_K", 256, 210, true},   {16, "IQ2_XXS", 256, 66, false},
    {17, "IQ2_XS", 256, 74, false}, {18, "IQ3_XXS", 256, 98, false},
    {19, "IQ1_S", 256, 50, false},  {20, "IQ4_NL", 32, 18, true},
    {21, "IQ3_S", 256, 110, false}, {22, "IQ2_S", 256, 82, false},
    {23, "IQ4_XS", 256, 136, true}, {24, "I8", 1, 1, false},
    {25, "I16", 1, 2, false},       {26, "I32", 1, 4, false},
    {27, "I64", 1, 8, false},       {28, "F64", 1, 8, true},
    {29, "IQ1_M", 256, 56, false},  {30, "BF16", 1, 2, true},
    {34, "TQ1_0", 256, 54, false},  {35, "TQ2_0", 256, 66, false},
    {39, "MXFP4", 32, 17, false},   {40, "NVFP4", 64, 36, false},
    {41, "Q1_0", 128, 18, false},   {42, "Q2_0", 64, 18, false},
}};

using Byte = std::uint8_t;

std::uint16_t u16(const Byte* at)
{
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
std::uint32_t u32(const Byte* at)
{
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
float half(const Byte* at) { return halfToFloat(u16(at)); }

// One block each, bytes -> floats. Layouts and formulas: docs of the format, named as there
// (d scale, m minimum, qs quants, qh fifth bits).

void blockQ4_0(const Byte* b, float* y)
{
    const float d = half(b);
    for (int j = 0; j < 16; ++j) {
        y[j] = d * static_cast<float>((b[2 + j] & 15) - 8);
        y[j + 16] = d * static_cast<float>((b[2 + j] >> 4) - 8);
    }
}

void blockQ4_1(const Byte* b, float* y)
{
    const float d = half(b), m = half(b + 2);
    for (int j = 0; j < 16; ++j) {
        y[j] = d * static_cast<float>(b[4 + j] & 15) + m;
        y[j + 16] = d * static_cast<float>(b[4 + j] >> 4) + m;
    }
}

void blockQ5_0(const Byte* b, float* y)
{
    const float d = half(b);
    const std::uint32_t qh = u32(b + 2);
    for (int j = 0; j < 16; ++j) {
        const int low = (b[6 + j] & 15) | static_cast<int>((qh >> j & 1) << 4);
        const int high = (b[6 + j] >> 4) | static_cast<int>((qh >> (j + 16) & 1) << 4);
        y[j] = d * static_cast<float>(low - 16);
        y[j + 16] = d * static_cast<float>(high - 16);
    }
}

void blockQ5_1(const Byte* b, float* y)
{
    const float d = half(b), m = half(b + 2);
    const std::uint32_t qh = u32(b + 4);
    for (int j = 0; j < 16; ++j) {
        const int low = (b[8 + j] & 15) | static_cast<int>((qh >> j & 1) << 4);
        const int high = (b[8 + j] >> 4) | static_cast<int>((qh >> (j + 16) & 1) << 4);
        y[j] = d * static_cast<float>(low) + m;
        y[j + 16] = d * static_cast<float>(high) + m;
    }
}

void blockQ8_0(const Byte* b, float* y)
{
    const float d = half(b);
    for (int j = 0; j < 32; ++j)
        y[j] = d * static_cast<float>(static_cast<std::int8_t>(b[2 + j]));
}

/// Scale and minimum number k (0..7) from the 12 packed bytes of Q4_K and Q5_K.
void scaleAndMin(const Byte* sc, int k, float& scale, float& min)
{
    if (k < 4) {
        scale = static_cast<float>(sc[k] & 63);
        min = static_cast<float>(sc[k + 4] & 63);
    } else {
        scale = static_cast<float>((sc[k + 4] & 15) | ((sc[k - 4] >> 6) << 4));
        min = static_cast<float>((sc[k + 4] >> 4) | ((sc[k] >> 6) << 4));
    }
}

/// Q4_K without `qh`; Q5_K with its 32 bytes of fifth bits.
void blockK45(const Byte* b, const Byte* qh, const Byte* qs, float* y)
{
    const float d = half(b), dmin = half(b + 2);
    for (int g = 0; g < 4; ++g) {
        float s0, m0, s1, m1;
        scaleAndMin(b + 4, 2 * g, s0, m0);
        scaleAndMin(b + 4, 2 * g + 1, s1, m1);
        const float d0 = d * s0, n0 = dmin * m0, d1 = d * s1, n1 = dmin * m1;
        for (int l = 0; l < 32; ++l) {
            const Byte q = qs[32 * g + l];
            const int h0 = qh ? (qh[l] >> (2 * g) & 1) << 4 : 0;
            const int h1 = qh ? (qh[l] >> (2 * g + 1) & 1) << 4 : 0;
            y[64 * g + l] = d0 * static_cast<float>((q & 15) | h0) - n0;
            y[64 * g + 32 + l] = d1 * static_cast<float>((q >> 4) | h1) - n1;
        }
    }
}

void blockQ4_K(const Byte* b, float* y) { blockK45(b, nullptr, b + 16, y); }
void blockQ5_K(const Byte* b, float* y) { blockK45(b, b + 16, b + 48, y); }

void blockQ6_K(const Byte* b, float* y)
{
    const float d = half(b + 208);
    for (int n = 0; n < 2; ++n) {
        const Byte* L = b + 64 * n;
        const Byte* H = b + 128 + 32 * n;
        const Byte* S = b + 192 + 8 * n;
        for (int l = 0; l < 32; ++l) {
            const auto scale = [&](int k) {
                return d * static_cast<float>(static_cast<std::int8_t>(S[l / 16 + k]));
            };
            const int q0 = (L[l] & 15) | (H[l] & 3) << 4;
            const int q1 = (L[l + 32] & 15) | (H[l] >> 2 & 3) << 4;
            const int q2 = (L[l] >> 4) | (H[l] >> 4 & 3) << 4;
            const int q3 = (L[l + 32] >> 4) | (H[l] >> 6) << 4;
            y[128 * n + l] = scale(0) * static_cast<float>(q0 - 32);
            y[128 * n + 32 + l] = scale(2) * static_cast<float>(q1 - 32);
            y[128 * n + 64 + l] = scale(4) * static_cast<float>(q2 - 32);
            y[128 * n + 96 + l] = scale(6) * static_cast<float>(q3 - 32);
        }
    }
}

void blockQ2_K(const Byte* b, float* y)
{
    const float d = half(b + 80), dmin = half(b + 82);
    const Byte* qs = b + 16;
    for (int i = 0; i < 256; ++i) {
        const Byte sc = b[i / 16];
        const int q = qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        const float scale = d * static_cast<float>(sc & 15),
                    min = dmin * static_cast<float>(sc >> 4);
        y[i] = scale * static_cast<float>(q) - min;
    }
}

/// The third bit of a quant lies in the 32 bytes in front; where it is not set, 4 is subtracted.
void blockQ3_K(const Byte* b, float* y)
{
    const float d = half(b + 108);
    const Byte *qh = b, *qs = b + 32, *scales = b + 96;
    for (int i = 0; i < 256; ++i) {
        const int k = i / 16, part = i / 128, shift = i % 128 / 32;
        const int low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
        const int high = scales[8 + k % 4] >> (k / 4 * 2) & 3;
        const int bits = qs[part * 32 + i % 32] >> (shift * 2) & 3;
        const int third = qh[i % 32] >> (part * 4 + shift) & 1;
        const float scale = d * static_cast<float>((low | high << 4) - 32);
        y[i] = scale * static_cast<float>(bits - (third ? 0 : 4));
    }
}

/// What the 16 values of a quant of IQ4_NL and IQ4_XS stand for.
constexpr std::array<float, 16> kUneven{-127, -104, -83, -65, -49, -35, -22, -10,
                                        1,    13,   25,  38,  53,  69,  89,  113};

void unevenGroup(float scale, const Byte* qs, float* y)
{
    for (int j = 0; j < 16; ++j) {
        y[j] = scale * kUneven[qs[j] & 15];
        y[j + 16] = scale * kUneven[qs[j] >> 4];
    }
}

void blockIQ4_NL(const Byte* b, float* y) { unevenGroup(half(b), b + 2, y); }

void blockIQ4_XS(const Byte* b, float* y)
{
    const float d = half(b);
    const unsigned high = u16(b + 2);
    for (int g = 0; g < 8; ++g) {
        const int low = b[4 + g / 2] >> (g % 2 * 4) & 15;
        const int scale = (low | static_cast<int>(high >> (2 * g) & 3) << 4) - 32;
        unevenGroup(d * static_cast<float>(scale), b + 8 + 16 * g, y + 32 * g);
    }
}

template<class Block>
void blocks(const GgmlTypeInfo& type, const Byte* at, float* out, std::uint64_t count, Block block)
{
    for (std::uint64_t i = 0; i < count / type.values; ++i)
        block(at + i * type.bytes, out + i * type.values);
}

void plain(GgmlType type, const Byte* at, float* out, std::uint64_t count)
{
    for (std::uint64_t i = 0; i < count; ++i) {
        if (type == GgmlType::F16) {
            out[i] = half(at + 2 * i);
        } else if (type == GgmlType::BF16) {
            out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(u16(at + 2 * i)) << 16);
        } else {
            double value;
            std::memcpy(&value, at + 8 * i, sizeof value);
            out[i] = static_cast<float>(value);
        }
    }
}

} // namespace

const GgmlTypeInfo* ggmlTypeInfo(std::uint32_t id)
{
    for (const auto& type : kTypes) {
        if (type.id == id)
            return &type;
    }
    return nullptr;
}

float halfToFloat(std::uint16_t value)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(value & 0x8000u) << 16;
    const std::uint32_t rest = static_cast<std::uint32_t>(value & 0x7fffu) << 13;
    // The exponent's bias differs by 112; a multiplication also puts subnormal numbers right.
    const float scaled = std::bit_cast<float>(rest) * 0x1p112f;
    std::uint32_t bits = std::bit_cast<std::uint32_t>(scaled);
    if ((value & 0x7c00u) == 0x7c00u) // infinity and NaN
        bits = 0x7f800000u | (static_cast<std::uint32_t>(value & 0x3ffu) << 13);
    return std::bit_cast<float>(bits | sign);
}

Result<void> dequantise(std::uint32_t type, std::span<const std::byte> bytes, float* out,
                        std::uint64_t count)
{
    const auto* info = ggmlTypeInfo(type);
    if (!info || !info->readable)
        return Error{ErrorCode::Unsupported,
                     fmt::format("the quantisation {} is not read by this program",
                                 info ? std::string(info->name) : fmt::format("number {}", type)),
                     "", "Choose a file in Q8_0, Q4_1, Q4_K_M, F16 or F32"};
    if (count % info->values != 0 || bytes.size() / info->bytes != count / info->values ||
        bytes.size() % info->bytes != 0)
        return Error{
            ErrorCode::InvalidInput,
            fmt::format("{} bytes do not hold {} values in {}", bytes.size(), count, info->name),
            "", ""};
    const auto* at = reinterpret_cast<const Byte*>(bytes.data());
    switch (static_cast<GgmlType>(type)) {
    case GgmlType::F32:
        if (count > 0)
            std::memcpy(out, at, bytes.size());
        break;
    case GgmlType::Q4_0:
        blocks(*info, at, out, count, blockQ4_0);
        break;
    case GgmlType::Q4_1:
        blocks(*info, at, out, count, blockQ4_1);
        break;
    case GgmlType::Q5_0:
        blocks(*info, at, out, count, blockQ5_0);
        break;
    case GgmlType::Q5_1:
        blocks(*info, at, out, count, blockQ5_1);
        break;
    case GgmlType::Q8_0:
        blocks(*info, at, out, count, blockQ8_0);
        break;
    case GgmlType::Q2_K:
        blocks(*info, at, out, count, blockQ2_K);
        break;
    case GgmlType::Q3_K:
        blocks(*info, at, out, count, blockQ3_K);
        break;
    case GgmlType::IQ4_NL:
        blocks(*info, at, out, count, blockIQ4_NL);
        break;
    case GgmlType::IQ4_XS:
        blocks(*info, at, out, count, blockIQ4_XS);
        break;
    case GgmlType::Q4_K:
        blocks(*info, at, out, count, blockQ4_K);
        break;
    case GgmlType::Q5_K:
        blocks(*info, at, out, count, blockQ5_K);
        break;
    case GgmlType::Q6_K:
        blocks(*info, at, out, count, blockQ6_K);
        break;
    default:
        plain(static_cast<GgmlType>(type), at, out, count);
    }
    return {};
}

} // namespace fettle::tensor

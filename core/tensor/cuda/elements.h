#pragma once

#include "tensor/cuda/portable.h"

namespace fettle::tensor::cuda {

/// Rotates the halves of each head of one row. Source: Su et al. 2021, "RoFormer", eq. 34.
template<class T> struct RopeRow
{
    RopeArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const int half = static_cast<int>(a.headDim / 2), pairs = static_cast<int>(a.heads) * half;
        const T* x = static_cast<const T*>(a.x) + row * a.heads * a.headDim;
        T* y = static_cast<T*>(a.y) + row * a.heads * a.headDim;
        const float *cosine = a.cosine + row * half, *sine = a.sine + row * half;
        block.each([&](int t) {
            for (int pair = t; pair < pairs; pair += Block::kThreads) {
                const int head = pair / half, j = pair % half, at = head * 2 * half + j;
                const float c = cosine[j], s = a.sign * sine[j];
                const float low = widened(x[at]), high = widened(x[at + half]);
                y[at] = narrowed<T>(low * c - high * s);
                y[at + half] = narrowed<T>(high * c + low * s);
            }
        });
    }
};

/// Of a curve c at x: its value and its slope. With s = sigmoid(x), p the normal density and P its integral:
/// silu = x s, slope s (1 + x (1 - s)); gelu = x P(x), slope P(x) + x p(x); the other gelu has
/// (1 + tanh(w)) / 2 in place of P, w = sqrt(2 / pi) (x + 0.044715 x^3).
/// Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
struct OnCurve
{
    float value, slope;
};
FETTLE_HD inline OnCurve onCurve(Curve curve, float x)
{
    constexpr float kRootHalf = 0.70710678f, kDensity = 0.39894228f; // 1 / sqrt(2), 1 / sqrt(2 pi)
    constexpr float kRoot = 0.79788456f, kCubic = 0.044715f;         // sqrt(2 / pi)
    if (curve == Curve::Silu) {
        const float s = 1.0f / (1.0f + expf(-x));
        return {x * s, s * (1.0f + x * (1.0f - s))};
    }
    if (curve == Curve::Gelu) {
        const float share = 0.5f * (1.0f + erff(x * kRootHalf));
        return {x * share, share + x * kDensity * expf(-0.5f * x * x)};
    }
    const float bent = tanhf(kRoot * (x + kCubic * x * x * x)), share = 0.5f * (1.0f + bent);
    const float bend = kRoot * (1.0f + 3.0f * kCubic * x * x);
    return {x * share, share + 0.5f * x * (1.0f - bent * bent) * bend};
}

/// curve(gate) * up. Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 5.
template<class T, int Width> struct Gate
{
    GateArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const auto at = index * Width;
        auto h = load<Width>(static_cast<const T*>(a.gate) + at);
        auto up = h;
        if (a.up)
            up = load<Width>(static_cast<const T*>(a.up) + at);
        for (int j = 0; j < Width; ++j) {
            const float value = onCurve(a.curve, widened(h.v[j])).value;
            h.v[j] = narrowed<T>(a.up ? value * widened(up.v[j]) : value);
        }
        store<Width>(static_cast<T*>(a.h) + at, h);
    }
};

/// dUp = dh curve(gate), dGate = dh up slope(gate).
template<class T, int Width> struct GateBackward
{
    GateArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const auto at = index * Width;
        const auto dh = load<Width>(static_cast<const T*>(a.dh) + at);
        auto gate = load<Width>(static_cast<const T*>(a.gate) + at);
        auto up = gate;
        if (a.up)
            up = load<Width>(static_cast<const T*>(a.up) + at);
        for (int j = 0; j < Width; ++j) {
            const auto c = onCurve(a.curve, widened(gate.v[j]));
            const float d = widened(dh.v[j]), u = a.up ? widened(up.v[j]) : 1.0f;
            gate.v[j] = narrowed<T>(d * u * c.slope);
            up.v[j] = narrowed<T>(d * c.value);
        }
        store<Width>(static_cast<T*>(a.dGate) + at, gate);
        if (a.up)
            store<Width>(static_cast<T*>(a.dUp) + at, up);
    }
};

/// Four words of Philox 4x32-10 (Salmon et al. 2011), those of Rng::block.
struct Words
{
    std::uint32_t at[4];
};
FETTLE_HD inline Words philox(std::uint64_t step, std::uint64_t index, std::uint32_t k0, std::uint32_t k1)
{
    Words c = {{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)}};
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c.at[0], p1 = std::uint64_t{0xCD9E8D57} * c.at[2];
        c = {{static_cast<std::uint32_t>(p1 >> 32) ^ c.at[1] ^ k0, static_cast<std::uint32_t>(p1),
              static_cast<std::uint32_t>(p0 >> 32) ^ c.at[3] ^ k1, static_cast<std::uint32_t>(p0)}};
        k0 += 0x9E3779B9, k1 += 0xBB67AE85;
    }
    return c;
}

/// Four neighbouring elements, which share a draw where the width of a row is a multiple of four.
template<class T> struct DropoutFour
{
    DropoutArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const Index parts = (a.dim + 3) / 4, row = index / parts, from = index % parts * 4;
        const auto place = static_cast<std::uint64_t>(a.places ? a.places[row] : row);
        const auto first = place * static_cast<std::uint64_t>(a.dim) + static_cast<std::uint64_t>(from);
        Words words = philox(a.step, first / 4, a.key0, a.key1);
        for (std::uint64_t j = 0; j < 4 && from + static_cast<Index>(j) < a.dim; ++j) {
            const auto element = first + j;
            if (j > 0 && element % 4 == 0)
                words = philox(a.step, element / 4, a.key0, a.key1);
            const auto at = row * a.dim + from + static_cast<Index>(j);
            const float kept = words.at[element % 4] < a.threshold ? 0.0f : a.keepScale;
            static_cast<T*>(a.y)[at] = narrowed<T>(widened(static_cast<const T*>(a.x)[at]) * kept);
        }
    }
};

} // namespace fettle::tensor::cuda

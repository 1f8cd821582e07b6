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

/// silu(gate) * up. Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 5.
template<class T, int Width> struct SiluGate
{
    GateArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const auto at = index * Width;
        const auto up = load<Width>(static_cast<const T*>(a.up) + at);
        auto h = load<Width>(static_cast<const T*>(a.gate) + at);
        for (int j = 0; j < Width; ++j) {
            const float x = widened(h.v[j]);
            h.v[j] = narrowed<T>(x / (1.0f + expf(-x)) * widened(up.v[j]));
        }
        store<Width>(static_cast<T*>(a.h) + at, h);
    }
};

/// With s = sigmoid(gate): dUp = dh gate s, dGate = dh up s (1 + gate (1 - s)).
template<class T, int Width> struct SiluGateBackward
{
    GateArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const auto at = index * Width;
        const auto dh = load<Width>(static_cast<const T*>(a.dh) + at);
        auto gate = load<Width>(static_cast<const T*>(a.gate) + at);
        auto up = load<Width>(static_cast<const T*>(a.up) + at);
        for (int j = 0; j < Width; ++j) {
            const float x = widened(gate.v[j]), u = widened(up.v[j]), d = widened(dh.v[j]);
            const float s = 1.0f / (1.0f + expf(-x));
            gate.v[j] = narrowed<T>(d * u * s * (1.0f + x * (1.0f - s)));
            up.v[j] = narrowed<T>(d * x * s);
        }
        store<Width>(static_cast<T*>(a.dGate) + at, gate);
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

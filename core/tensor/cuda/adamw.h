#pragma once

#include "tensor/cuda/elements.h"

namespace fettle::tensor::cuda {

/// One of the two neighbours of a finite x in bfloat16, chosen by 16 of the noise's bits so that the mean over
/// all noise is x. Source: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision", section 3.
FETTLE_HD inline Bf16 narrowedAtRandom(float x, std::uint32_t noise)
{
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return {static_cast<std::uint16_t>((bits + (noise & 0xFFFF)) >> 16)};
}

/// Noise of element i of a tensor is a word of the draw of i / 4.
FETTLE_HD inline Words noiseOf(const AdamwArgs& a, const AdamwTensor& each, Index i)
{
    return philox(a.step << 20 | each.site, static_cast<std::uint64_t>(i) / 4, a.key0, a.key1);
}

template<class T> FETTLE_HD T settled(const AdamwArgs& a, const AdamwTensor& each, Index i, float x);
template<> FETTLE_HD inline float settled<float>(const AdamwArgs&, const AdamwTensor&, Index, float x) { return x; }
template<> FETTLE_HD inline Bf16 settled<Bf16>(const AdamwArgs& a, const AdamwTensor& each, Index i, float x)
{
    return narrowedAtRandom(x, noiseOf(a, each, i).at[i % 4]);
}

/// The weight after the step; its moments follow the gradient g. Source: Loshchilov and Hutter 2019,
/// "Decoupled Weight Decay Regularization", algorithm 2.
FETTLE_HD inline float stepped(const AdamwArgs& a, float keep, float p, float g, float& m, float& v)
{
    g *= a.gradScale;
    m = a.beta1 * m + (1.0f - a.beta1) * g;
    v = a.beta2 * v + (1.0f - a.beta2) * g * g;
    return p * keep - a.size * m / (sqrtf(v) * a.inverseRoot + a.epsilon);
}

/// One element of one tensor in float32.
struct AdamwElement
{
    AdamwArgs a;

    FETTLE_HD Index count(int tensor) const { return a.tensors[tensor].count; }
    FETTLE_HD void operator()(int tensor, Index i) const
    {
        const auto& each = a.tensors[tensor];
        float* p = static_cast<float*>(each.p);
        p[i] = stepped(a, each.keep, p[i], static_cast<const float*>(each.g)[i], each.m[i], each.v[i]);
    }
};

/// Four neighbours of one tensor in bfloat16, which share a draw of noise.
struct AdamwFour
{
    AdamwArgs a;

    FETTLE_HD Index count(int tensor) const { return (a.tensors[tensor].count + 3) / 4; }
    FETTLE_HD void operator()(int tensor, Index index) const
    {
        const auto& each = a.tensors[tensor];
        Bf16* p = static_cast<Bf16*>(each.p);
        const Bf16* g = static_cast<const Bf16*>(each.g);
        const Words noise = noiseOf(a, each, index * 4);
        for (int j = 0; j < 4 && index * 4 + j < each.count; ++j) {
            const Index i = index * 4 + j;
            const float x = stepped(a, each.keep, widened(p[i]), widened(g[i]), each.m[i], each.v[i]);
            p[i] = narrowedAtRandom(x, noise.at[j]);
        }
    }
};

/// The code of the value of a map of 256 that is nearest to x in [-1, 1]; of 0 it is `zero`, and negative
/// values mirror the others, but for the largest.
FETTLE_HD inline std::uint8_t nearestCode(const float* map, int zero, float x)
{
    const float size = fabsf(x);
    int low = 0, high = 255 - zero; // middles of neighbours that lie below `size`
    while (low < high) {
        const int at = (low + high) / 2;
        if (size > (map[zero + at] + map[zero + at + 1]) / 2)
            low = at + 1;
        else
            high = at;
    }
    return static_cast<std::uint8_t>(x < 0 ? zero - (low < zero ? low : zero) : zero + low);
}

/// A slice of one tensor whose moments are codes: block by block to float32, the step, and back to codes
/// beside a new largest magnitude. Source: Dettmers et al. 2022, "8-bit Optimizers via Block-wise
/// Quantization", section 2.
template<class T> struct AdamwSlice
{
    AdamwArgs a;
    static constexpr Index kBlock = 256, kSlices = 256;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        static_assert(Block::kThreads == kBlock);
        const auto& each = a.tensors[row / kSlices];
        const Index blocks = (each.count + kBlock - 1) / kBlock;
        for (Index b = row % kSlices; b < blocks; b += kSlices)
            step(block, each, b);
    }

private:
    struct Pair
    {
        float m, v;
    };
    template<class Block> FETTLE_HD void step(Block& block, const AdamwTensor& each, Index b) const
    {
        auto *own = slots<Pair>(block, 0), *largest = slots<Pair>(block, 1);
        const float *first = a.maps, *second = a.maps + 256;
        const Pair scale = {each.m[b], each.v[b]};
        block.each([&](int t) {
            const Index i = b * kBlock + t;
            Pair pair = {0, 0};
            if (i < each.count) {
                pair = {first[each.mCodes[i]] * scale.m, second[each.vCodes[i]] * scale.v};
                T* p = static_cast<T*>(each.p);
                const float g = widened(static_cast<const T*>(each.g)[i]);
                p[i] = settled<T>(a, each, i, stepped(a, each.keep, widened(p[i]), g, pair.m, pair.v));
            }
            own[t] = pair;
            largest[t] = {fabsf(pair.m), fabsf(pair.v)};
        });
        gather(block, [&](int one, int other) {
            largest[one].m = largest[other].m > largest[one].m ? largest[other].m : largest[one].m;
            largest[one].v = largest[other].v > largest[one].v ? largest[other].v : largest[one].v;
        });
        const Pair most = largest[0];
        block.wait();
        const Pair inverse = {most.m > 0 ? 1.0f / most.m : 0.0f, most.v > 0 ? 1.0f / most.v : 0.0f};
        block.each([&](int t) {
            const Index i = b * kBlock + t;
            if (t == 0)
                each.m[b] = most.m, each.v[b] = most.v;
            if (i < each.count) {
                each.mCodes[i] = nearestCode(first, kZeroOfFirst, own[t].m * inverse.m);
                each.vCodes[i] = nearestCode(second, 0, own[t].v * inverse.v);
            }
        });
    }
    static constexpr int kZeroOfFirst = 127; ///< the first moment's map has a sign, the second's none
};

/// One slice of one tensor: neighbouring elements, summed in double.
template<class T> struct SquaresSlice
{
    SquaresArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const Index tensor = row / SquaresArgs::kSlices, slice = row % SquaresArgs::kSlices;
        const T* values = static_cast<const T*>(a.values[tensor]);
        const Index count = a.counts[tensor], length = (count + SquaresArgs::kSlices - 1) / SquaresArgs::kSlices;
        const Index begin = slice * length, end = begin + length < count ? begin + length : count;
        double* sums = slots<double>(block, 0);
        block.each([&](int t) {
            double sum = 0;
            for (Index i = begin + t; i < end; i += Block::kThreads)
                sum += static_cast<double>(widened(values[i])) * static_cast<double>(widened(values[i]));
            sums[t] = sum;
        });
        const double sum = total(block, sums);
        block.each([&](int t) {
            if (t == 0)
                a.sums[row] = sum;
        });
    }
};

} // namespace fettle::tensor::cuda

#pragma once

#include "tensor/cuda/kernel_table.h"

#include <cmath>
#include <cstdint>
#include <cstring>

/// Functions of the device that tests call on the processor too.
#if defined(__CUDACC__)
#define FETTLE_HD __host__ __device__
#else
#define FETTLE_HD
#endif

namespace fettle::tensor::cuda {

using Index = std::int64_t;

/// The upper half of a float32.
struct Bf16
{
    std::uint16_t bits;
};

FETTLE_HD inline float widened(float x) { return x; }
FETTLE_HD inline float widened(Bf16 x)
{
    const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
    float out;
    std::memcpy(&out, &bits, sizeof(out));
    return out;
}

/// a b + c rounded twice on every device, never in one operation.
FETTLE_HD inline float timesPlus(float a, float b, float c)
{
#if defined(__CUDA_ARCH__)
    return __fadd_rn(__fmul_rn(a, b), c);
#else
    return a * b + c;
#endif
}

template<class T> FETTLE_HD T narrowed(float x);
template<> FETTLE_HD inline float narrowed<float>(float x) { return x; }
/// To the nearest, ties to even; what is no number stays none.
template<> FETTLE_HD inline Bf16 narrowed<Bf16>(float x)
{
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    if (x != x)
        return {0x7FC0};
    return {static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

/// Values that are read and written with one access.
template<class T, int Width> struct alignas(sizeof(T) * Width) Pack
{
    T v[Width];
};

template<int Width, class T> FETTLE_HD Pack<T, Width> load(const T* from)
{
    return *reinterpret_cast<const Pack<T, Width>*>(from);
}
template<int Width, class T> FETTLE_HD void store(T* to, const Pack<T, Width>& values)
{
    *reinterpret_cast<Pack<T, Width>*>(to) = values;
}

/// A block of threads that works on one row. Code of a row runs in phases: each(f) calls f(thread) for
/// every thread and waits for all; what stands between phases is the same for all threads. On the device
/// `memory` is shared by the block; tests run a phase as a loop.
///   struct Block { static constexpr int kThreads; template<class F> void each(F f); void wait(); double* memory; };
constexpr int kSlots = 3; ///< arrays of [kThreads] in the memory of a block

template<class T, class Block> FETTLE_HD T* slots(Block& block, int number)
{
    return reinterpret_cast<T*>(block.memory + number * Block::kThreads);
}

/// combine(a, b) puts what threads a and b hold together into a, in the order of a binary tree: the
/// result does not depend on which thread is quicker.
template<class Block, class Combine> FETTLE_HD void gather(Block& block, Combine combine)
{
    for (int half = Block::kThreads / 2; half > 0; half /= 2) {
        block.each([&](int t) {
            if (t < half)
                combine(t, t + half);
        });
    }
}

/// Sum of one value per thread, the same in all of them.
template<class T, class Block> FETTLE_HD T total(Block& block, T* values)
{
    gather(block, [&](int a, int b) { values[a] += values[b]; });
    const T sum = values[0];
    block.wait(); // before anybody writes there again
    return sum;
}

} // namespace fettle::tensor::cuda

// The kernels, compiled once per instruction set: FETTLE_KERNEL_NAMESPACE and FETTLE_KERNEL_NAME are
// set by the including file, the compiler's -m flags by CMake. Plain loops that the compiler turns
// into vector code; sums use "omp simd reduction", so no unsafe floating-point flag is needed.

#include "tensor/files/four_bit.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/quantised_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace fettle::tensor {
namespace FETTLE_KERNEL_NAMESPACE {

using I = std::int64_t;

/// e^x for x in [-87, 88], relative error below 2 ulp: 2^n times a polynomial on [-ln2/2, ln2/2].
inline float fastExp(float x)
{
    x = std::min(std::max(x, -87.0f), 88.0f);
    const float shifted = x * 1.44269504088896341f + 12582912.0f;  // round to nearest by the magic constant
    const std::int32_t n = std::bit_cast<std::int32_t>(shifted) - 0x4B400000;
    const float rounded = shifted - 12582912.0f;
    float f = x - rounded * 0.693359375f;
    f = f + rounded * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
    return p * std::bit_cast<float>((n + 127) << 23);
}

/// tanh x within 2 ulp: a polynomial near 0, 1 - 2 / (e^2x + 1) beyond.
inline float fastTanh(float x)
{
    const float z = x * x, size = std::fabs(x);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const float near = p * z * x + x, far = 1.0f - 2.0f / (fastExp(2.0f * size) + 1.0f);
    return size < 0.625f ? near : std::copysign(far, x);
}

inline float dot(const float* a, const float* b, I n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (I i = 0; i < n; ++i)
        sum += a[i] * b[i];
    return sum;
}

void rope(const float* x, float* y, const float* cosine, const float* sine, const HeadRows& t, float sign)
{
    const I half = t.turned / 2;
    for (I r = 0; r < t.rows; ++r) {
        const float *c = cosine + r * half, *s = sine + r * half;
        for (I h = 0; h < t.heads; ++h) {
            const float* a = x + r * t.rowStride + h * t.headStride;
            float* out = y + r * t.rowStride + h * t.headStride;
#pragma omp simd
            for (I i = 0; i < half; ++i) {
                const float first = a[i], second = a[i + half], turn = sign * s[i];
                out[i] = first * c[i] - second * turn;
                out[i + half] = second * c[i] + first * turn;
            }
        }
    }
}

#include "tensor/kernels/activation_kernels.inl"
#include "tensor/kernels/norm_kernels.inl"

inline float largest(const float* x, I n)
{
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (I i = 0; i < n; ++i)
        top = x[i] > top ? x[i] : top;
    return top;
}

double lossRow(float* logits, I vocab, I label, float scale, I* best)
{
    const float top = largest(logits, vocab);
    const float target = logits[label];
    *best = std::find(logits, logits + vocab, top) - logits;
    double total = 0;
    for (I from = 0; from < vocab; from += 1024) {  // blocks keep the float sums short
        const I to = std::min(vocab, from + 1024);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (I i = from; i < to; ++i) {
            const float e = fastExp(logits[i] - top);
            logits[i] = e;
            sum += e;
        }
        total += sum;
    }
    const float factor = static_cast<float>(scale / total);
#pragma omp simd
    for (I i = 0; i < vocab; ++i)
        logits[i] *= factor;
    logits[label] -= scale;
    const double nll = std::log(total) + (static_cast<double>(top) - target);
    if (!std::isfinite(nll))  // fastExp clamps; a number that is none must stay visible in the gradient
        std::fill(logits, logits + vocab, NAN);
    return nll;
}

double nllRow(const float* logits, I vocab, I label, I* best)
{
    const float top = largest(logits, vocab);
    *best = std::find(logits, logits + vocab, top) - logits;
    double total = 0;
    for (I from = 0; from < vocab; from += 1024) {
        const I to = std::min(vocab, from + 1024);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (I i = from; i < to; ++i)
            sum += fastExp(logits[i] - top);
        total += sum;
    }
    return std::log(total) + (static_cast<double>(top) - logits[label]);
}

double sumOfSquares(const float* x, I n)
{
    double total = 0;
    for (I from = 0; from < n; from += 4096)
        total += dot(x + from, x + from, std::min<I>(4096, n - from));
    return total;
}

void adamw(float* p, const float* g, float* m, float* v, I n, const AdamwStep& step)
{
    const float keep = 1.0f - step.learningRate * step.weightDecay;
    const float size = step.learningRate / step.correction1;
    const float b1 = step.beta1, b2 = step.beta2, scale = step.gradScale;
    const float inverseRoot = 1.0f / step.rootCorrection2, eps = step.epsilon;
#pragma omp simd
    for (I i = 0; i < n; ++i) {
        const float grad = g[i] * scale;
        m[i] = b1 * m[i] + (1.0f - b1) * grad;
        v[i] = b2 * v[i] + (1.0f - b2) * grad * grad;
        p[i] = p[i] * keep - size * m[i] / (std::sqrt(v[i]) * inverseRoot + eps);
    }
}

void dropoutMask(float* mask, I begin, I n, std::uint64_t step, std::uint32_t key0, std::uint32_t key1,
                 std::uint32_t threshold, float keepScale)
{
    for (I at = 0; at < n;) {
        const auto index = static_cast<std::uint64_t>(begin + at) / 4;
        std::uint32_t c0 = static_cast<std::uint32_t>(index), c1 = static_cast<std::uint32_t>(index >> 32);
        std::uint32_t c2 = static_cast<std::uint32_t>(step), c3 = static_cast<std::uint32_t>(step >> 32);
        std::uint32_t k0 = key0, k1 = key1;
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0, p1 = std::uint64_t{0xCD9E8D57} * c2;
            c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
            c1 = static_cast<std::uint32_t>(p1);
            c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
            c3 = static_cast<std::uint32_t>(p0);
            k0 += 0x9E3779B9, k1 += 0xBB67AE85;
        }
        const std::uint32_t words[4] = {c0, c1, c2, c3};
        for (I lane = (begin + at) % 4; lane < 4 && at < n; ++lane, ++at)
            mask[at] = words[lane] < threshold ? 0.0f : keepScale;
    }
}

#include "tensor/kernels/gemm.inl"
#include "tensor/kernels/attention_kernels.inl"
#include "tensor/kernels/quantised_kernels.inl"

extern const CpuKernels table;
const CpuKernels table = {FETTLE_KERNEL_NAME, norm,         normBackward,     rope,
                          activate,           activateBackward, lossRow,      nllRow,
                          sumOfSquares,       adamw,        decodeAttention,  dropoutMask,
                          gemm,               packPanels,   fewRows,          fewRowsAcross,
                          attentionScratch,   attention,    attentionBackward, nullptr};

} // namespace FETTLE_KERNEL_NAMESPACE
} // namespace fettle::tensor

#pragma once

#include "tensor/cuda/portable.h"

namespace fettle::tensor::cuda {

/// v = x + residual, y = (v - mean) / sqrt(variance + eps) * weight + bias; v is rounded as a sum of its own
/// would be. Source: Ba et al. 2016, "Layer Normalization", eq. 4.
template<class T, int Width> struct LayerForward
{
    LayerNormArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const Index dim = a.dim, stride = Block::kThreads * Width;
        const T* x = static_cast<const T*>(a.x) + row * dim;
        const T* residual = a.residual ? static_cast<const T*>(a.residual) + row * dim : nullptr;
        T* sums = a.residual ? static_cast<T*>(a.sum) + row * dim : nullptr;
        const T* v = residual ? sums : x; // written and read by the same thread
        float* slot = slots<float>(block, 0);
        block.each([&](int t) {
            float sum = 0;
            for (Index i = t * Width; i < dim; i += stride) {
                auto part = load<Width>(x + i);
                if (residual) {
                    const auto more = load<Width>(residual + i);
                    for (int j = 0; j < Width; ++j)
                        part.v[j] = narrowed<T>(widened(part.v[j]) + widened(more.v[j]));
                    store<Width>(sums + i, part);
                }
                for (int j = 0; j < Width; ++j)
                    sum += widened(part.v[j]);
            }
            slot[t] = sum;
        });
        const float mean = total(block, slot) / static_cast<float>(dim);
        block.each([&](int t) {
            float squares = 0;
            for (Index i = t * Width; i < dim; i += stride) {
                const auto part = load<Width>(v + i);
                for (int j = 0; j < Width; ++j)
                    squares += (widened(part.v[j]) - mean) * (widened(part.v[j]) - mean);
            }
            slot[t] = squares;
        });
        const float inverse = 1.0f / sqrtf(total(block, slot) / static_cast<float>(dim) + a.eps);
        block.each([&](int t) {
            if (t == 0)
                a.mean[row] = mean, a.inverse[row] = inverse;
            write(v, static_cast<T*>(a.out) + row * dim, t * Width, stride, mean, inverse);
        });
    }

private:
    FETTLE_HD void write(const T* v, T* y, Index from, Index stride, float mean, float inverse) const
    {
        const T *weight = static_cast<const T*>(a.weight), *bias = static_cast<const T*>(a.bias);
        for (Index i = from; i < a.dim; i += stride) {
            auto part = load<Width>(v + i);
            const auto w = load<Width>(weight + i), b = bias ? load<Width>(bias + i) : Pack<T, Width>{};
            for (int j = 0; j < Width; ++j)
                part.v[j] = narrowed<T>((widened(part.v[j]) - mean) * inverse * widened(w.v[j]) + widened(b.v[j]));
            store<Width>(y + i, part);
        }
    }
};

/// With u = (v - mean) / deviation and g = dy weight: dv = (g - mean(g) - u mean(g u)) / deviation + dSum.
template<class T, int Width> struct LayerBackward
{
    LayerNormArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const Index dim = a.dim, stride = Block::kThreads * Width;
        const T *v = static_cast<const T*>(a.x) + row * dim, *dy = static_cast<const T*>(a.dy) + row * dim;
        const T* weight = static_cast<const T*>(a.weight);
        const T* dSum = a.dSum ? static_cast<const T*>(a.dSum) + row * dim : nullptr;
        T* dx = static_cast<T*>(a.out) + row * dim;
        const float mean = a.mean[row], inverse = a.inverse[row];
        float *plain = slots<float>(block, 0), *along = slots<float>(block, 1);
        block.each([&](int t) {
            float sum = 0, product = 0;
            for (Index i = t * Width; i < dim; i += stride) {
                const auto d = load<Width>(dy + i), w = load<Width>(weight + i), p = load<Width>(v + i);
                for (int j = 0; j < Width; ++j) {
                    const float g = widened(d.v[j]) * widened(w.v[j]);
                    sum += g;
                    product += g * (widened(p.v[j]) - mean) * inverse;
                }
            }
            plain[t] = sum, along[t] = product;
        });
        const float shift = total(block, plain) / static_cast<float>(dim);
        const float pull = total(block, along) / static_cast<float>(dim);
        block.each([&](int t) {
            for (Index i = t * Width; i < dim; i += stride) {
                auto d = load<Width>(dy + i);
                const auto w = load<Width>(weight + i), p = load<Width>(v + i);
                const auto more = dSum ? load<Width>(dSum + i) : Pack<T, Width>{};
                for (int j = 0; j < Width; ++j) {
                    const float u = (widened(p.v[j]) - mean) * inverse;
                    const float own = (widened(d.v[j]) * widened(w.v[j]) - shift - u * pull) * inverse;
                    d.v[j] = narrowed<T>(own + widened(more.v[j]));
                }
                store<Width>(dx + i, d);
            }
        });
    }
};

/// d weight = sum over rows of dy u and d bias = sum of dy, one partial sum per group of rows and column.
template<class T> struct LayerWeightGradient
{
    LayerNormArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const Index group = index / a.dim, column = index % a.dim;
        const Index begin = group * kNormGroup, end = begin + kNormGroup < a.rows ? begin + kNormGroup : a.rows;
        float sum = 0, plain = 0;
        for (Index r = begin; r < end; ++r) {
            const float dy = widened(static_cast<const T*>(a.dy)[r * a.dim + column]);
            sum += dy * (widened(static_cast<const T*>(a.x)[r * a.dim + column]) - a.mean[r]) * a.inverse[r];
            plain += dy;
        }
        a.weightGrad[index] = sum;
        a.biasGrad[index] = plain;
    }
};

} // namespace fettle::tensor::cuda

#pragma once

#include "tensor/cuda/portable.h"

namespace fettle::tensor::cuda {

/// y = x / sqrt(mean(x^2) + eps) * weight; what stands before the weight is rounded as the readable
/// operation rounds it. Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
template<class T, int Width> struct RmsForward
{
    NormArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const T* x = static_cast<const T*>(a.x) + row * a.dim;
        const T* weight = static_cast<const T*>(a.weight);
        T* y = static_cast<T*>(a.out) + row * a.dim;
        const Index dim = a.dim, stride = Block::kThreads * Width;
        float* squares = slots<float>(block, 0);
        block.each([&](int t) {
            float sum = 0;
            for (Index i = t * Width; i < dim; i += stride) {
                const auto part = load<Width>(x + i);
                for (int j = 0; j < Width; ++j)
                    sum += widened(part.v[j]) * widened(part.v[j]);
            }
            squares[t] = sum;
        });
        const float mean = total(block, squares) / static_cast<float>(dim);
        const float inverse = 1.0f / sqrtf(mean + a.eps);
        block.each([&](int t) {
            if (t == 0)
                a.inverse[row] = inverse;
            for (Index i = t * Width; i < dim; i += stride) {
                auto part = load<Width>(x + i);
                const auto w = load<Width>(weight + i);
                for (int j = 0; j < Width; ++j) {
                    const T unit = narrowed<T>(widened(part.v[j]) * inverse);
                    part.v[j] = narrowed<T>(widened(unit) * widened(w.v[j]));
                }
                store<Width>(y + i, part);
            }
        });
    }
};

/// With u = x / deviation and g = dy weight: dx = (g - u mean(g u)) / deviation.
template<class T, int Width> struct RmsBackward
{
    NormArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const T* x = static_cast<const T*>(a.x) + row * a.dim;
        const T* dy = static_cast<const T*>(a.dy) + row * a.dim;
        const T* weight = static_cast<const T*>(a.weight);
        T* dx = static_cast<T*>(a.out) + row * a.dim;
        const Index dim = a.dim, stride = Block::kThreads * Width;
        const float inverse = a.inverse[row];
        float* along = slots<float>(block, 0);
        block.each([&](int t) {
            float sum = 0;
            for (Index i = t * Width; i < dim; i += stride) {
                const auto d = load<Width>(dy + i), w = load<Width>(weight + i), p = load<Width>(x + i);
                for (int j = 0; j < Width; ++j)
                    sum += widened(d.v[j]) * widened(w.v[j]) * widened(p.v[j]);
            }
            along[t] = sum;
        });
        const float pull = total(block, along) * inverse * inverse / static_cast<float>(dim);
        block.each([&](int t) {
            for (Index i = t * Width; i < dim; i += stride) {
                auto d = load<Width>(dy + i);
                const auto w = load<Width>(weight + i), p = load<Width>(x + i);
                for (int j = 0; j < Width; ++j)
                    d.v[j] = narrowed<T>((widened(d.v[j]) * widened(w.v[j]) - widened(p.v[j]) * pull) * inverse);
                store<Width>(dx + i, d);
            }
        });
    }
};

/// d weight = sum over rows of dy x / deviation, one partial sum per group of rows and column.
template<class T> struct RmsWeightGradient
{
    NormArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const Index group = index / a.dim, column = index % a.dim;
        const Index begin = group * kNormGroup, end = begin + kNormGroup < a.rows ? begin + kNormGroup : a.rows;
        float sum = 0;
        for (Index r = begin; r < end; ++r) {
            const auto at = r * a.dim + column;
            sum += widened(static_cast<const T*>(a.dy)[at]) * widened(static_cast<const T*>(a.x)[at]) * a.inverse[r];
        }
        a.weightGrad[index] = sum;
    }
};

} // namespace fettle::tensor::cuda

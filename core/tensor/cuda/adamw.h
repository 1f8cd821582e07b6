#pragma once

#include "tensor/cuda/portable.h"

namespace fettle::tensor::cuda {

/// One element of one tensor. Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay
/// Regularization", algorithm 2.
struct AdamwElement
{
    AdamwArgs a;

    FETTLE_HD void operator()(int tensor, Index i) const
    {
        const auto& each = a.tensors[tensor];
        const float g = each.g[i] * a.gradScale;
        const float m = a.beta1 * each.m[i] + (1.0f - a.beta1) * g;
        const float v = a.beta2 * each.v[i] + (1.0f - a.beta2) * g * g;
        each.m[i] = m;
        each.v[i] = v;
        each.p[i] = each.p[i] * each.keep - a.size * m / (sqrtf(v) * a.inverseRoot + a.epsilon);
    }
};

/// One slice of one tensor: neighbouring elements, summed in double.
struct SquaresSlice
{
    SquaresArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        const Index tensor = row / SquaresArgs::kSlices, slice = row % SquaresArgs::kSlices;
        const float* values = a.values[tensor];
        const Index count = a.counts[tensor], length = (count + SquaresArgs::kSlices - 1) / SquaresArgs::kSlices;
        const Index begin = slice * length, end = begin + length < count ? begin + length : count;
        double* sums = slots<double>(block, 0);
        block.each([&](int t) {
            double sum = 0;
            for (Index i = begin + t; i < end; i += Block::kThreads)
                sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
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

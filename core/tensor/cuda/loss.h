#pragma once

#include "tensor/cuda/portable.h"

#include <cfloat>

namespace fettle::tensor::cuda {

/// Largest value so far, the sum of exponentials relative to it, and where it was first seen.
struct RunningMax
{
    float top, sum;
    int best;

    FETTLE_HD void add(float x, int index)
    {
        if (x > top) {
            sum = sum * expf(top - x) + 1.0f;
            top = x, best = index;
        } else {
            sum += expf(x - top);
        }
    }
    FETTLE_HD void add(const RunningMax& other)
    {
        const bool theirs = other.top > top || (other.top == top && other.best < best);
        const float larger = theirs ? other.top : top;
        sum = sum * expf(top - larger) + other.sum * expf(other.top - larger);
        top = larger;
        if (theirs)
            best = other.best;
    }
};

/// nll = log(sum of exp) - logit of the label; d nll / d logits = softmax - onehot, in place.
/// A row whose loss is no number gives a gradient that is none.
/// Source of the running sum: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax".
template<class T, int Width> struct LossRow
{
    LossArgs a;

    template<class Block> FETTLE_HD void operator()(Block& block, Index row) const
    {
        T* logits = static_cast<T*>(a.logits) + row * a.vocab;
        const Index vocab = a.vocab, label = a.labels[row], stride = Block::kThreads * Width;
        auto* running = slots<RunningMax>(block, 0); // 12 bytes a thread, over two slots of 8
        float* target = slots<float>(block, 2);
        block.each([&](int t) {
            if (t == 0)
                *target = widened(logits[label]); // before it is overwritten
            RunningMax own{-FLT_MAX, 0, 0};
            for (Index i = t * Width; i < vocab; i += stride) {
                const auto part = load<Width>(logits + i);
                for (int j = 0; j < Width; ++j)
                    own.add(widened(part.v[j]), static_cast<int>(i) + j);
            }
            running[t] = own;
        });
        gather(block, [&](int one, int other) { running[one].add(running[other]); });
        const RunningMax all = running[0];
        const float nll = logf(all.sum) + (all.top - *target);
        block.wait();
        const bool number = nll - nll == 0;
        const float factor = number ? a.scale / all.sum : NAN;
        block.each([&](int t) {
            if (t == 0)
                a.nll[row] = nll, a.best[row] = all.best;
            for (Index i = t * Width; a.gradient && i < vocab; i += stride) {
                auto part = load<Width>(logits + i);
                for (int j = 0; j < Width; ++j) {
                    const float share = expf(widened(part.v[j]) - all.top) * factor;
                    part.v[j] = narrowed<T>(i + j == label ? share - a.scale : share);
                }
                store<Width>(logits + i, part);
            }
        });
    }
};

} // namespace fettle::tensor::cuda

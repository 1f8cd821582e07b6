#pragma once

#include "tensor/cuda/adamw.h"
#include "tensor/cuda/decode.h"
#include "tensor/cuda/elements.h"
#include "tensor/cuda/layer_norm.h"
#include "tensor/cuda/loss.h"
#include "tensor/cuda/norm.h"

#include <initializer_list>

namespace fettle::tensor::cuda {

/// True when every array (null: not there) can be read in accesses of 16 bytes, `count` values a row.
template<class T> bool wideFits(std::int64_t count, std::initializer_list<const void*> arrays)
{
    bool fits = count % static_cast<std::int64_t>(16 / sizeof(T)) == 0;
    for (const void* array : arrays)
        fits = fits && reinterpret_cast<std::uintptr_t>(array) % 16 == 0;
    return fits;
}

/// The table of kernels for one way to start them:
///   Launch::rows<Threads>(body, rows)         body(block, row), one block a row
///   Launch::elements(body, count)             body(index)
///   Launch::tensors(body, tensors, longest)   body(tensor, index), index below body.count(tensor)
template<class Launch> struct Make
{
    template<class T> static constexpr int kWide = 16 / static_cast<int>(sizeof(T));

    template<class Use> static int byNumber(Number number, Use use)
    {
        return number == Number::Float32 ? use(float{}) : use(Bf16{});
    }

    static int rmsForward(const NormArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            if (wideFits<T>(a.dim, {a.x, a.weight, a.out}))
                return Launch::template rows<128>(RmsForward<T, kWide<T>>{a}, a.rows);
            return Launch::template rows<128>(RmsForward<T, 1>{a}, a.rows);
        });
    }
    static int rmsBackward(const NormArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            const int failed = wideFits<T>(a.dim, {a.x, a.weight, a.dy, a.out})
                                   ? Launch::template rows<128>(RmsBackward<T, kWide<T>>{a}, a.rows)
                                   : Launch::template rows<128>(RmsBackward<T, 1>{a}, a.rows);
            if (failed != 0 || !a.weightGrad)
                return failed;
            const auto groups = (a.rows + kNormGroup - 1) / kNormGroup;
            return Launch::elements(RmsWeightGradient<T>{a}, groups * a.dim);
        });
    }
    static int layerForward(const LayerNormArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            if (wideFits<T>(a.dim, {a.x, a.residual, a.sum, a.weight, a.bias, a.out}))
                return Launch::template rows<128>(LayerForward<T, kWide<T>>{a}, a.rows);
            return Launch::template rows<128>(LayerForward<T, 1>{a}, a.rows);
        });
    }
    static int layerBackward(const LayerNormArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            const int failed = wideFits<T>(a.dim, {a.x, a.weight, a.dy, a.dSum, a.out})
                                   ? Launch::template rows<128>(LayerBackward<T, kWide<T>>{a}, a.rows)
                                   : Launch::template rows<128>(LayerBackward<T, 1>{a}, a.rows);
            if (failed != 0 || !a.weightGrad)
                return failed;
            const auto groups = (a.rows + kNormGroup - 1) / kNormGroup;
            return Launch::elements(LayerWeightGradient<T>{a}, groups * a.dim);
        });
    }
    static int rope(const RopeArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            return Launch::template rows<128>(RopeRow<decltype(type)>{a}, a.rows);
        });
    }
    static int gate(const GateArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            if (wideFits<T>(a.count, {a.gate, a.up, a.h}))
                return Launch::elements(Gate<T, kWide<T>>{a}, a.count / kWide<T>);
            return Launch::elements(Gate<T, 1>{a}, a.count);
        });
    }
    static int gateBackward(const GateArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            if (wideFits<T>(a.count, {a.gate, a.up, a.dh, a.dGate, a.dUp}))
                return Launch::elements(GateBackward<T, kWide<T>>{a}, a.count / kWide<T>);
            return Launch::elements(GateBackward<T, 1>{a}, a.count);
        });
    }
    static int dropout(const DropoutArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            return Launch::elements(DropoutFour<decltype(type)>{a}, a.rows * ((a.dim + 3) / 4));
        });
    }
    static int loss(const LossArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            if (wideFits<T>(a.vocab, {a.logits}))
                return Launch::template rows<256>(LossRow<T, kWide<T>>{a}, a.rows);
            return Launch::template rows<256>(LossRow<T, 1>{a}, a.rows);
        });
    }
    static int adamw(const AdamwArgs& a)
    {
        if (a.coded)
            return byNumber(a.number, [&](auto type) {
                using Slice = AdamwSlice<decltype(type)>;
                return Launch::template rows<static_cast<int>(Slice::kBlock)>(Slice{a}, a.used * Slice::kSlices);
            });
        return a.number == Number::Float32 ? overLongest(AdamwElement{a}) : overLongest(AdamwFour{a});
    }
    static int sumsOfSquares(const SquaresArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            return Launch::template rows<256>(SquaresSlice<decltype(type)>{a}, std::int64_t{a.used} * SquaresArgs::kSlices);
        });
    }

    static int decode(const DecodeArgs& a)
    {
        return byNumber(a.number, [&](auto type) {
            using T = decltype(type);
            const auto count = a.rows * a.columns;
            if (!a.fourBit && wideFits<T>(a.columns, {a.codes, a.out}))
                return Launch::elements(DecodeInt8<T, kWide<T>>{a}, count / kWide<T>);
            if (!a.fourBit)
                return Launch::elements(DecodeInt8<T, 1>{a}, count);
            if (wideFits<T>(count, {a.codes, a.out}))
                return Launch::elements(DecodeNf4<T, kWide<T>>{a}, count / kWide<T>);
            return Launch::elements(DecodeNf4<T, 1>{a}, count);
        });
    }

    template<class Body> static int overLongest(const Body& body)
    {
        std::int64_t longest = 0;
        for (int i = 0; i < body.a.used; ++i)
            longest = body.count(i) > longest ? body.count(i) : longest;
        return Launch::tensors(body, body.a.used, longest);
    }

    static KernelTable table()
    {
        return {kVersion, rmsForward,   rmsBackward, layerForward, layerBackward, rope,
                gate,     gateBackward, dropout,     loss,         adamw,         sumsOfSquares,
                decode,   Launch::errorText};
    }
};

} // namespace fettle::tensor::cuda

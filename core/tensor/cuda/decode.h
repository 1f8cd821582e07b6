#pragma once

#include "tensor/cuda/portable.h"

namespace fettle::tensor::cuda {

/// A signed code times the scale of 64 values of its row, as Int8Matrix::decode.
template<class T, int Width> struct DecodeInt8
{
    DecodeArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const Index at = index * Width, row = at / a.columns, column = at % a.columns;
        const float scale = a.scales[row * ((a.columns + 63) / 64) + column / 64];
        const auto codes = load<Width>(static_cast<const std::int8_t*>(a.codes) + at);
        Pack<T, Width> out;
        for (int j = 0; j < Width; ++j)
            out.v[j] = narrowed<T>(static_cast<float>(codes.v[j]) * scale);
        store<Width>(static_cast<T*>(a.out) + at, out);
    }
};

/// The value of a 4-bit code, the earlier of two in the high half of a byte, times the largest magnitude of its
/// 64 neighbours, which is a code in its turn: as Nf4Matrix::decode, bit for bit.
/// Source: Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", section 3.
template<class T, int Width> struct DecodeNf4
{
    DecodeArgs a;

    FETTLE_HD void operator()(Index index) const
    {
        const Index at = index * Width, block = at / 64;
        const float scale = timesPlus(a.maps[a.scaleCodes[block]], a.scales[block / 256], a.offset);
        const auto bytes = load<(Width + 1) / 2>(static_cast<const std::uint8_t*>(a.codes) + at / 2);
        Pack<T, Width> out;
        for (int j = 0; j < Width; ++j) {
            const int code = bytes.v[j / 2] >> ((at + j) % 2 == 0 ? 4 : 0) & 15;
            out.v[j] = narrowed<T>(a.maps[256 + code] * scale);
        }
        store<Width>(static_cast<T*>(a.out) + at, out);
    }
};

} // namespace fettle::tensor::cuda

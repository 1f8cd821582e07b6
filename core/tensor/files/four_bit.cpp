#include "tensor/files/four_bit.h"

#include <algorithm>
#include <cmath>

namespace fettle::tensor {

const std::array<float, 16> kNf4Values = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

namespace {

float largestOf(std::span<const float> values)
{
    float largest = 0;
    for (const float value : values)
        largest = std::max(largest, std::abs(value));
    return largest;
}

/// Values in the middle between neighbours: a value above the first i of them has the code i.
template<std::size_t Size>
std::array<float, Size - 1> midpointsOf(const std::array<float, Size>& map)
{
    std::array<float, Size - 1> middle;
    for (std::size_t i = 0; i + 1 < Size; ++i)
        middle[i] = (map[i] + map[i + 1]) / 2;
    return middle;
}

} // namespace

namespace {

/// In each of seven decades below 1 equal cells, twice as many from one decade to the next; the values are
/// their middles, and 0 and 1. Signed maps have half as many cells and each value twice.
std::array<float, 256> makeDynamicMap(bool isSigned)
{
    std::array<float, 256> values{};
    std::size_t next = 0;
    for (int i = 0; i < 7; ++i) {
        const int cells = 1 << (isSigned ? i : i + 1);
        const double step = (1.0f - 0.1f) / static_cast<float>(cells);
        const auto border = [&](int cell) { // as torch.linspace: from both ends, rounded once
            return static_cast<float>(cell < (cells + 1) / 2 ? 0.1f + step * cell
                                                             : 1 - step * (cells - cell));
        };
        for (int cell = 0; cell < cells; ++cell) {
            const float middle = (border(cell) + border(cell + 1)) / 2;
            const auto value = static_cast<float>(std::pow(10.0, i - 6)) * middle;
            values[next++] = value;
            if (isSigned)
                values[next++] = -value;
        }
    }
    values[next++] = 0;
    values[next++] = 1;
    std::ranges::sort(values);
    return values;
}

} // namespace

const std::array<float, 256>& dynamicMap(bool isSigned)
{
    static const std::array<float, 256> maps[] = {makeDynamicMap(false), makeDynamicMap(true)};
    return maps[isSigned ? 1 : 0];
}

void encodeNf4(std::span<const float> values, std::uint8_t* codes, float* absmax)
{
    static const auto middle = midpointsOf(kNf4Values);
    for (std::size_t from = 0, block = 0; from < values.size(); from += kFourBitBlock, ++block) {
        const auto some =
            values.subspan(from, std::min<std::size_t>(kFourBitBlock, values.size() - from));
        const bool whole = some.size() == kFourBitBlock;
        const float largest = largestOf(some), divisor = std::max(largest, 1e-38f);
        absmax[block] = whole ? largest : divisor;
        const float inverse = 1.0f / divisor;
        float scaled[kFourBitBlock] = {};
        for (std::size_t i = 0; i < some.size(); ++i)
            scaled[i] = whole ? some[i] * inverse : some[i] / divisor;
        std::int32_t code[kFourBitBlock] = {};
        for (const float border : middle) {
            for (std::size_t i = 0; i < kFourBitBlock; ++i)
                code[i] += scaled[i] > border;
        }
        for (std::size_t i = 0; i < some.size(); i += 2)
            codes[(from + i) / 2] = static_cast<std::uint8_t>(code[i] << 4 | code[i + 1]);
    }
}

void decodeFourBit(const std::uint8_t* codes, std::span<const float, 16> map, const float* absmax,
                   std::int64_t blockSize, std::int64_t first, std::int64_t count, float* values)
{
    for (std::int64_t i = first; i < first + count; ++i) {
        const int shift = i % 2 == 0 ? 4 : 0;
        *values++ = map[codes[i / 2] >> shift & 15] * absmax[i / blockSize];
    }
}

void decodeNested(const NestedScales& scales, std::int64_t first, std::int64_t count, float* out)
{
    const auto end = first + count;
    for (auto i = first; i < end;) {
        const auto block = i / scales.blockSize;
        const float absmax = scales.absmax[block];
        // Rounded twice, as bitsandbytes does: this file is compiled without fused multiply-add.
        for (const auto to = std::min(end, (block + 1) * scales.blockSize); i < to; ++i)
            *out++ = scales.map[scales.codes[i]] * absmax + scales.offset;
    }
}

void encodeNested(std::span<const float> scales, float offset, std::uint8_t* codes, float* absmax)
{
    static const auto middle = midpointsOf(dynamicMap());
    for (std::size_t from = 0; from < scales.size(); from += kNestedBlock) {
        const auto to = std::min<std::size_t>(scales.size(), from + kNestedBlock);
        float largest = 0;
        for (auto i = from; i < to; ++i)
            largest = std::max(largest, std::abs(scales[i] - offset));
        absmax[from / kNestedBlock] = largest;
        const float inverse = 1.0f / std::max(largest, 1e-38f);
        for (auto i = from; i < to; ++i) {
            const float scaled = (scales[i] - offset) * inverse;
            codes[i] = static_cast<std::uint8_t>(std::ranges::lower_bound(middle, scaled) -
                                                 middle.begin());
        }
    }
}

} // namespace fettle::tensor

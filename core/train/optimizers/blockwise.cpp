#include "train/optimizers/blockwise.h"

#include "tensor/files/four_bit.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <cmath>

namespace fettle::train {

namespace {

struct Map
{
    std::array<float, 256> values;
    std::array<float, 256> middles; ///< between a value and the next; the last is never passed
};

Map makeMap(bool isSigned)
{
    Map map{tensor::dynamicMap(isSigned), {}};
    for (std::size_t i = 0; i < 255; ++i)
        map.middles[i] = (map.values[i] + map.values[i + 1]) / 2;
    map.middles[255] = INFINITY;
    return map;
}

const Map& mapOf(bool isSigned)
{
    static const Map both[] = {makeMap(false), makeMap(true)};
    return both[isSigned ? 1 : 0];
}

/// How many middles lie below x: the code of the nearest value.
std::uint8_t nearest(const Map& map, float x)
{
    unsigned code = 0;
    for (unsigned half = 128; half > 0; half /= 2)
        code += x > map.middles[code + half - 1] ? half : 0;
    return static_cast<std::uint8_t>(code);
}

} // namespace

BlockwiseMoment::BlockwiseMoment(std::int64_t count, bool isSigned)
    : m_signed(isSigned)
{
    m_codes = at::full({count}, nearest(mapOf(isSigned), 0), at::TensorOptions().dtype(at::kByte));
    m_scales = at::zeros({(count + kBlock - 1) / kBlock}, at::TensorOptions().dtype(at::kFloat));
}

std::int64_t BlockwiseMoment::lengthOf(std::int64_t block) const
{
    return std::min(kBlock, m_codes.size(0) - block * kBlock);
}

void BlockwiseMoment::decode(std::int64_t block, float* values) const
{
    const auto& map = mapOf(m_signed).values;
    const auto* codes = m_codes.const_data_ptr<std::uint8_t>() + block * kBlock;
    const float scale = m_scales.const_data_ptr<float>()[block];
    for (std::int64_t i = 0; i < lengthOf(block); ++i)
        values[i] = map[codes[i]] * scale;
}

void BlockwiseMoment::encode(std::int64_t block, const float* values)
{
    const auto& map = mapOf(m_signed);
    const auto length = lengthOf(block);
    float largest = 0;
    for (std::int64_t i = 0; i < length; ++i)
        largest = std::max(largest, std::abs(values[i]));
    m_scales.data_ptr<float>()[block] = largest;
    auto* codes = m_codes.data_ptr<std::uint8_t>() + block * kBlock;
    const float inverse = largest > 0 ? 1 / largest : 0;
    for (std::int64_t i = 0; i < length; ++i)
        codes[i] = nearest(map, values[i] * inverse);
}

} // namespace fettle::train

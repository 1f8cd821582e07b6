#include "train/optimizers/blockwise.h"

#include "tensor/files/four_bit.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fettle::train {

namespace {

/// The magnitudes of a map, 0 first, and a table that finds the nearest one: it says which belongs to the
/// lowest float of those with the same exponent and seven bits behind the point, between which at most one
/// middle of two neighbours lies.
struct Map
{
    static constexpr std::uint32_t kLowest = 0x33800000 >> 16; ///< 2^-24, below the first middle
    static constexpr std::uint32_t kSlots = (0x3F800000 >> 16) - kLowest + 1;

    explicit Map(bool isSigned);
    std::uint8_t nearest(float x) const;

    const std::array<float, 256>& values;
    const int zero; ///< code of 0
    std::vector<float> middles; ///< between a magnitude and the next; the last is never passed
    std::array<std::uint8_t, kSlots> start{};
};

Map::Map(bool isSigned)
    : values(tensor::dynamicMap(isSigned))
    , zero(isSigned ? 127 : 0)
{
    for (std::size_t i = static_cast<std::size_t>(zero); i + 1 < values.size(); ++i)
        middles.push_back((values[i] + values[i + 1]) / 2);
    middles.push_back(INFINITY);
    for (std::uint32_t slot = 1; slot < kSlots; ++slot) {
        const auto lowest = std::bit_cast<float>((kLowest + slot) << 16);
        start[slot] = static_cast<std::uint8_t>(std::ranges::lower_bound(middles, lowest) - middles.begin());
    }
}

/// The code of the value nearest to x in [-1, 1].
std::uint8_t Map::nearest(float x) const
{
    const float size = std::abs(x);
    const auto high = std::bit_cast<std::uint32_t>(size) >> 16;
    int at = start[high > kLowest ? std::min(high - kLowest, kSlots - 1) : 0];
    at += size > middles[static_cast<std::size_t>(at)];
    // Of the largest magnitude there is no negative one.
    return static_cast<std::uint8_t>(x < 0 ? zero - std::min(at, zero) : zero + at);
}

const Map& mapOf(bool isSigned)
{
    static const Map both[] = {Map(false), Map(true)};
    return both[isSigned ? 1 : 0];
}

} // namespace

BlockwiseMoment::BlockwiseMoment(std::int64_t count, bool isSigned, c10::Device device)
    : m_signed(isSigned)
{
    m_codes = at::full({count}, mapOf(isSigned).zero, at::TensorOptions(device).dtype(at::kByte));
    m_scales = at::zeros({(count + kBlock - 1) / kBlock}, at::TensorOptions(device).dtype(at::kFloat));
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
        codes[i] = map.nearest(values[i] * inverse);
}

} // namespace fettle::train

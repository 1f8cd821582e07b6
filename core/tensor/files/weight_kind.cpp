#include "tensor/files/weight_kind.h"

#include "tensor/files/four_bit.h"

#include <algorithm>
#include <utility>

namespace fettle::tensor {

namespace {

using Index = std::int64_t;

constexpr std::pair<WeightKind, std::string_view> kNames[] = {
    {WeightKind::Float32, "float32"},
    {WeightKind::Stored16, "16 bits as stored"},
    {WeightKind::Int8, "int8"},
    {WeightKind::Nf4, "nf4"}};

Index over(Index count, Index unit) { return (count + unit - 1) / unit; }

} // namespace

std::string_view nameOf(WeightKind kind)
{
    return std::ranges::find(kNames, kind, &std::pair<WeightKind, std::string_view>::first)->second;
}

std::optional<WeightKind> weightKindFrom(std::string_view name)
{
    for (const auto& [kind, known] : kNames) {
        if (known == name)
            return kind;
    }
    return std::nullopt;
}

std::uint64_t weightBytes(WeightKind kind, Index rows, Index columns)
{
    const auto blocks = over(rows * columns, kFourBitBlock);
    switch (kind) {
    case WeightKind::Stored16:
        return static_cast<std::uint64_t>(rows * columns) * 2;
    case WeightKind::Int8:
        return static_cast<std::uint64_t>(rows * (columns + 4 * over(columns, kInt8Block)));
    case WeightKind::Nf4:
        return static_cast<std::uint64_t>(over(rows * columns, 2) + blocks +
                                          4 * over(blocks, kNestedBlock) + 4);
    case WeightKind::Float32:
        break;
    }
    return static_cast<std::uint64_t>(rows * columns) * sizeof(float);
}

} // namespace fettle::tensor

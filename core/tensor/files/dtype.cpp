#include "tensor/files/dtype.h"

#include "base/checked.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fettle::tensor {

namespace {

struct Row
{
    std::string_view name;
    std::uint64_t bits;
    bool loadable;
};

/// One row per DType, in its order.
constexpr std::array<Row, 22> kRows{{
    {"BOOL", 8, true},         {"F4", 4, false},          {"F6_E2M3", 6, false},
    {"F6_E3M2", 6, false},     {"U8", 8, true},           {"I8", 8, true},
    {"F8_E5M2", 8, true},      {"F8_E4M3", 8, true},      {"F8_E8M0", 8, false},
    {"F8_E4M3FNUZ", 8, false}, {"F8_E5M2FNUZ", 8, false}, {"I16", 16, true},
    {"U16", 16, false},        {"F16", 16, true},         {"BF16", 16, true},
    {"I32", 32, true},         {"U32", 32, false},        {"F32", 32, true},
    {"C64", 64, false},        {"F64", 64, true},         {"I64", 64, true},
    {"U64", 64, false},
}};

const Row& rowOf(DType type) { return kRows[static_cast<std::size_t>(type)]; }

} // namespace

std::string_view nameOf(DType type) { return rowOf(type).name; }
std::uint64_t bitsOf(DType type) { return rowOf(type).bits; }
bool isLoadable(DType type) { return rowOf(type).loadable; }

std::optional<DType> dtypeOf(std::string_view name)
{
    for (std::size_t i = 0; i < kRows.size(); ++i) {
        if (kRows[i].name == name)
            return static_cast<DType>(i);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> byteCount(DType type, const std::vector<std::int64_t>& shape)
{
    Checked bits = bitsOf(type);
    for (const std::int64_t size : shape) {
        if (size < 0)
            return std::nullopt;
        bits *= Checked(static_cast<std::uint64_t>(size));
    }
    if (!bits.ok() || bits.value() % 8 != 0)
        return std::nullopt;
    return bits.value() / 8;
}

std::string shapeText(const std::vector<std::int64_t>& shape)
{
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

} // namespace fettle::tensor

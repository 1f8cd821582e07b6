#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::tensor {

/// Element types of the safetensors format, in the order that its reference library sorts by.
enum class DType
{
    Bool,
    F4,
    F6E2M3,
    F6E3M2,
    U8,
    I8,
    F8E5M2,
    F8E4M3,
    F8E8M0,
    F8E4M3Fnuz,
    F8E5M2Fnuz,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    C64,
    F64,
    I64,
    U64
};

/// Name as in files: "BF16".
std::string_view nameOf(DType type);
std::optional<DType> dtypeOf(std::string_view name);
/// Bits of one element; 4 and 6 are possible.
std::uint64_t bitsOf(DType type);
/// True when this program can turn the type into numbers.
bool isLoadable(DType type);

/// Bytes of a tensor; absent when the product overflows or is not a whole number of bytes.
std::optional<std::uint64_t> byteCount(DType type, const std::vector<std::int64_t>& shape);

/// "[2, 16]" for messages.
std::string shapeText(const std::vector<std::int64_t>& shape);

} // namespace fettle::tensor

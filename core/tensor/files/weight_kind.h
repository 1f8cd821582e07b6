#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fettle::tensor {

/// How the numbers of frozen weights are held.
enum class WeightKind
{
    Float32,
    Int8, ///< 8-bit codes with a scale for each 64 values of a row
    Nf4   ///< 4-bit codes as of bitsandbytes, with double quantisation
};

/// "float32", "int8" or "nf4".
std::string_view nameOf(WeightKind kind);
std::optional<WeightKind> weightKindFrom(std::string_view name);
/// Values of a row that share a scale in 8 bits.
constexpr std::int64_t kInt8Block = 64;
/// Bytes of a matrix [rows, columns] that is held so.
std::uint64_t weightBytes(WeightKind kind, std::int64_t rows, std::int64_t columns);

} // namespace fettle::tensor

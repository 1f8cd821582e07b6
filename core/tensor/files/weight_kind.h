#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fettle::tensor {

/// How the numbers of frozen weights are held; all are computed with in float32.
enum class WeightKind
{
    Float32,
    Stored16, ///< matrices that a file holds in bfloat16 or float16, as they are; exact. Others in
              ///< float32
    Int8,     ///< 8-bit codes with a scale for each 64 values of a row
    Nf4       ///< 4-bit codes as of bitsandbytes, with double quantisation
};

/// "float32", "16 bits as stored", "int8" or "nf4".
std::string_view nameOf(WeightKind kind);
/// Rounded once more than the file: int8 or nf4.
constexpr bool hasFewBits(WeightKind kind)
{
    return kind == WeightKind::Int8 || kind == WeightKind::Nf4;
}
std::optional<WeightKind> weightKindFrom(std::string_view name);
/// Values of a row that share a scale in 8 bits.
constexpr std::int64_t kInt8Block = 64;
/// Bytes of a matrix [rows, columns] that is held so.
std::uint64_t weightBytes(WeightKind kind, std::int64_t rows, std::int64_t columns);

} // namespace fettle::tensor

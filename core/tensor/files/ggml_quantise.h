#pragma once

#include "tensor/files/ggml_types.h"

#include <vector>

namespace fettle::tensor {

/// Turns `count` values into blocks of `type` (F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K,
/// Q5_K, Q6_K). The bytes are those of the format's reference quantisers on every machine.
/// `out` has room for storedBytes(type, count).
/// Errors: Unsupported for another type; InvalidInput when the count fills no whole blocks, when a
/// value is not finite, or is too large for the half-precision scales of the type.
Result<void> quantise(GgmlType type, const float* values, std::uint64_t count, std::byte* out);

/// True when quantise() knows the type.
bool isWritable(GgmlType type);

/// Bytes of `count` values; `count` is a multiple of the type's block.
std::uint64_t storedBytes(GgmlType type, std::uint64_t count);

/// One way of carrying out the quantisers; all give the same bytes.
struct QuantKernels
{
    const char* name;
    std::uint32_t (*largest)(const float* values, std::uint64_t count); ///< bits of the largest |x|
    void (*f16)(const float* values, std::uint8_t* out, std::uint64_t count);
    void (*bf16)(const float* values, std::uint8_t* out, std::uint64_t count);
    /// The rest take a number of blocks.
    void (*q4_0)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q4_1)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q5_0)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q5_1)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q8_0)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q4_k)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q5_k)(const float* values, std::uint8_t* out, std::uint64_t blocks);
    void (*q6_k)(const float* values, std::uint8_t* out, std::uint64_t blocks);
};

/// Those that this machine can run, the fastest first.
std::vector<const QuantKernels*> quantKernels();

} // namespace fettle::tensor

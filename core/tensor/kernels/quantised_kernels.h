#pragma once

#include "tensor/files/four_bit.h"
#include "tensor/files/weight_kind.h"
#include "tensor/kernels/bfloat16.h"

#include <cstdint>

namespace fettle::tensor {

/// Values that share a scale, in both kinds.
constexpr std::int64_t kCodeBlock = kInt8Block;
static_assert(kCodeBlock == kFourBitBlock);

/// Rows of a left side up to which the kernels below read codes at each row; more are served from
/// rows that were decoded once.
constexpr std::int64_t kDirectRows = 8;

/// Kernels that read weights in fewer bits than 32, for the same instruction sets as CpuKernels and
/// serial as these. The products are, bit for bit, those of CpuKernels::fewRows on the decoded
/// rows.
struct QuantisedKernels
{
    const char* name; ///< as of CpuKernels

    /// w [count] = the values.
    void (*decodeBfloat16)(const Bfloat16* values, float* w, std::int64_t count);
    void (*decodeFloat16)(const Float16* values, float* w, std::int64_t count);
    /// y [m, n] = x [m, k] w [n, k]^T.
    void (*fewRowsBfloat16)(const float* x, const Bfloat16* w, float* y, std::int64_t m,
                            std::int64_t n, std::int64_t k, std::int64_t yStride);
    void (*fewRowsFloat16)(const float* x, const Float16* w, float* y, std::int64_t m,
                           std::int64_t n, std::int64_t k, std::int64_t yStride);
    /// w [rows, k] = codes * scales; scales [rows, ceil(k / 64)].
    void (*decodeInt8)(const std::int8_t* codes, const float* scales, float* w, std::int64_t rows,
                       std::int64_t k);
    /// y [m, n] = x [m, k] w [n, k]^T for at most kDirectRows rows x.
    void (*fewRowsInt8)(const float* x, const std::int8_t* codes, const float* scales, float* y,
                        std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t yStride);
    /// Whole blocks of 64 values: two codes in a byte, the earlier one in the high half; a scale
    /// for each block.
    void (*decodeNf4)(const std::uint8_t* codes, const float* scales, float* w,
                      std::int64_t blocks);
    /// As fewRowsInt8, for k that is a multiple of 64.
    void (*fewRowsNf4)(const float* x, const std::uint8_t* codes, const float* scales, float* y,
                       std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t yStride);
};

/// The variant that goes with cpuKernels().
const QuantisedKernels& quantisedKernels();
/// The variant of that name, or null when this machine cannot run it (tests compare variants).
const QuantisedKernels* quantisedKernelsNamed(const char* name);

} // namespace fettle::tensor

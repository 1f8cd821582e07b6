#pragma once

#include <ATen/core/Tensor.h>

namespace fettle::train {

/// A moment of the optimizer in 8 bits: codes of tensor::dynamicMap() and one largest magnitude for every
/// kBlock values. Source: Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization",
/// section 2.
class BlockwiseMoment
{
public:
    static constexpr std::int64_t kBlock = 256;

    /// All zero. `isSigned`: false for moments that are never negative.
    BlockwiseMoment(std::int64_t count, bool isSigned, c10::Device device = c10::kCPU);

    std::int64_t blocks() const { return m_scales.size(0); }
    /// Values of one block (the last may be short) -> or from kBlock floats, on the processor. Different
    /// blocks may be used by different threads.
    void decode(std::int64_t block, float* values) const;
    void encode(std::int64_t block, const float* values);

    const at::Tensor& codes() const { return m_codes; }   ///< uint8 [count]
    const at::Tensor& scales() const { return m_scales; } ///< float32 [blocks]

private:
    std::int64_t lengthOf(std::int64_t block) const;

    bool m_signed;
    at::Tensor m_codes, m_scales;
};

} // namespace fettle::train

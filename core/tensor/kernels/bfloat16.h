#pragma once

#include <cstdint>

namespace fettle::tensor {

/// Values of 16 bits as files hold them: the upper half of a float32 value, and IEEE 754's half
/// precision.
struct Bfloat16
{
    std::uint16_t bits;
};
struct Float16
{
    std::uint16_t bits;
};

} // namespace fettle::tensor

#pragma once

#include "base/rng.h"

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// Finite float32 values of any shape in bfloat16, each one of the two neighbours of what it was: element i
/// takes 16 bits of the word i % 4 of rng.block(step, i / 4), and the mean over all bits is the value itself.
/// Small changes of a weight then count on average, where rounding to the nearest would lose them.
/// Source: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision", section 3.
at::Tensor roundedAtRandom(const at::Tensor& wide, const Rng& rng, std::uint64_t step);

} // namespace fettle::tensor

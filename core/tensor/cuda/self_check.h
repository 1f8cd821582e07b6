#pragma once

#include <c10/core/Device.h>
#include <string>
#include <vector>

namespace fettle::tensor::cuda {

/// Carries out every kernel in use on a small input of `device`, forward and backward, in float32 and
/// bfloat16, and compares with LibTorch's operations on the processor in float64. -> the names of those
/// whose results part, each once.
std::vector<std::string> partingKernels(c10::Device device);

/// The same for LibTorch's variable-length attention on the graphics card.
bool flashAgrees(c10::Device device);

} // namespace fettle::tensor::cuda

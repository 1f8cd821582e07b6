#pragma once

#include <c10/core/Device.h>
#include <string>

namespace fettle::tensor::cuda {

/// Puts libfettle_cuda.so, which lies beside the program or where the loader looks, and LibTorch's
/// variable-length attention into use, each only when its results are those of the processor. -> what
/// is in use and why something is not, for people: "with own kernels and packed attention". Never fails: the
/// readable operations serve in place of what is missing.
std::string useFastOperations(c10::Device device);

} // namespace fettle::tensor::cuda

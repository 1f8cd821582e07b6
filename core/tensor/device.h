#pragma once

#include "base/result.h"

#include <c10/core/Device.h>
#include <string>

namespace fettle::tensor {

/// What was found about CUDA on this machine. Loading happens once, at the first call, on the
/// calling thread: call it first on a worker thread, before anything asks LibTorch about CUDA.
struct CudaState
{
    bool usable = false;
    std::string name;     ///< of the first device, with its memory and what computes on it
    std::string missing;  ///< what is missing, one sentence
    std::string remedy;   ///< how to get it
};
const CudaState& loadCuda();

/// "auto", "cpu" or "cuda" -> device. Errors: Unsupported with what is missing.
Result<c10::Device> chooseDevice(const std::string& wish);

/// Sets the number of compute threads of this thread; call first on main and on each worker. False,
/// and nothing changes, where so many cannot be started (see roomForThreads()).
bool useComputeThreads(int threads);
/// Physical cores that this process may use.
int availableCores();

} // namespace fettle::tensor

#pragma once

#include "base/result.h"

#include <c10/core/Device.h>
#include <cstdint>
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

/// Bytes of the first card. Zeros without one that is usable.
struct CudaMemory
{
    std::uint64_t whole = 0;
    std::uint64_t available = 0; ///< free, or kept back by LibTorch and unused
    std::uint64_t used = 0;      ///< by tensors
    std::uint64_t mostUsed = 0;  ///< since measureCudaPeak()
};
CudaMemory cudaMemory();
void measureCudaPeak();

/// "auto", "cpu" or "cuda" -> device. Errors: Unsupported with what is missing.
Result<c10::Device> chooseDevice(const std::string& wish);

/// Sets the number of compute threads of this thread; call first on main and on each worker. False,
/// and nothing changes, where so many cannot be started (see roomForThreads()).
bool useComputeThreads(int threads);
/// Physical cores that this process may use.
int availableCores();

} // namespace fettle::tensor

// The launch around the arithmetic of the headers; no LibTorch here.

#include "tensor/cuda/make_table.h"

#include <cuda_runtime.h>

namespace fettle::tensor::cuda {

namespace {

template<int Threads> struct DeviceBlock
{
    static constexpr int kThreads = Threads;
    double* memory;

    __device__ void wait() { __syncthreads(); }
    template<class F> __device__ void each(F f)
    {
        f(static_cast<int>(threadIdx.x));
        __syncthreads();
    }
};

template<int Threads, class Body> __global__ void __launch_bounds__(Threads) overRows(const __grid_constant__ Body body)
{
    __shared__ double memory[kSlots * Threads];
    DeviceBlock<Threads> block{memory};
    body(block, static_cast<Index>(blockIdx.x));
}

template<class Body> __global__ void __launch_bounds__(256) overElements(const Body body, Index count)
{
    const Index step = Index{gridDim.x} * blockDim.x;
    for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        body(i);
}

template<class Body> __global__ void __launch_bounds__(256) overTensors(const __grid_constant__ Body body)
{
    const Index count = body.count(static_cast<int>(blockIdx.y)), step = Index{gridDim.x} * blockDim.x;
    for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        body(static_cast<int>(blockIdx.y), i);
}

struct OnDevice
{
    static constexpr Index kMostBlocks = 4096; ///< enough to fill the largest cards several times

    static unsigned blocks(Index count)
    {
        const Index needed = (count + 255) / 256;
        return static_cast<unsigned>(needed < kMostBlocks ? needed : kMostBlocks);
    }
    template<int Threads, class Body> static int rows(const Body& body, Index rows)
    {
        if (rows > 0)
            overRows<Threads><<<static_cast<unsigned>(rows), Threads>>>(body);
        return static_cast<int>(cudaGetLastError());
    }
    template<class Body> static int elements(const Body& body, Index count)
    {
        if (count > 0)
            overElements<<<blocks(count), 256>>>(body, count);
        return static_cast<int>(cudaGetLastError());
    }
    template<class Body> static int tensors(const Body& body, int tensors, Index longest)
    {
        if (tensors > 0 && longest > 0)
            overTensors<<<dim3(blocks(longest), static_cast<unsigned>(tensors)), 256>>>(body);
        return static_cast<int>(cudaGetLastError());
    }
    static const char* errorText(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }
};

} // namespace

} // namespace fettle::tensor::cuda

extern "C" __attribute__((visibility("default"))) const fettle::tensor::cuda::KernelTable* fettle_cuda_kernels()
{
    using namespace fettle::tensor::cuda;
    static const KernelTable table = Make<OnDevice>::table();
    return &table;
}

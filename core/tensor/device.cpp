#include "tensor/device.h"

#include "base/text.h"
#include "base/threads.h"
#include "tensor/cuda/load_kernels.h"
#include "tensor/torch_pch.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>
#include <sched.h>

namespace fettle::tensor {

namespace {

bool hasDriver()
{
    std::error_code ec;
    return std::filesystem::exists("/proc/driver/nvidia/version", ec) || std::filesystem::exists("/dev/nvidiactl", ec)
           || std::filesystem::exists("/dev/dxg", ec);
}

/// "NVIDIA H200, 141 GB" by the driver itself, which LibTorch has loaded.
std::string nameOfDevice()
{
    using Name = int (*)(char*, int, int);
    using Total = int (*)(std::size_t*, int);
    void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    const auto name = driver ? reinterpret_cast<Name>(dlsym(driver, "cuDeviceGetName")) : nullptr;
    const auto total = driver ? reinterpret_cast<Total>(dlsym(driver, "cuDeviceTotalMem_v2")) : nullptr;
    char text[256] = "";
    std::size_t bytes = 0;
    if (!name || !total || name(text, sizeof(text), 0) != 0 || total(&bytes, 0) != 0)
        return "NVIDIA GPU";
    return fmt::format("{}, {}", text, humanBytes(bytes));
}

/// A run gives the same numbers each time, as on the processor: what LibTorch needs for it.
void computeReproducibly()
{
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
}

CudaState findCuda()
{
    if (!hasDriver())
        return {false, {}, "no NVIDIA driver was found on this machine",
                "With an NVIDIA card: install the driver (Debian: nvidia-driver) and restart; without one, small "
                "models train on the processor"};
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0); // products that repeat; read when cuBLAS starts
    if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
        const std::string text = dlerror();
        const auto library = text.substr(0, text.find(':'));
        return {false, {}, fmt::format("the CUDA libraries could not be loaded ({} is missing)", library),
                "Install the CUDA 13 wheels beside LibTorch: packaging/setup.sh --cuda"};
    }
    if (!at::hasCUDA())
        return {false, {}, "the CUDA library was loaded but found no usable device",
                "Update the NVIDIA driver to one for CUDA 13"};
    computeReproducibly();
    const auto operations = cuda::useFastOperations(c10::Device(c10::kCUDA, 0));
    return {true, fmt::format("{}, {}", nameOfDevice(), operations), {}, {}};
}

} // namespace

const CudaState& loadCuda()
{
    static const CudaState state = findCuda();
    return state;
}

namespace {

/// Of the card, made ready to be asked.
c10::DeviceAllocator& cudaAllocator()
{
    at::globalContext().lazyInitDevice(c10::kCUDA);
    return *c10::getDeviceAllocator(c10::kCUDA);
}

} // namespace

CudaMemory cudaMemory()
{
    if (!loadCuda().usable)
        return {};
    auto& allocator = cudaAllocator();
    const auto [free, whole] = allocator.getMemoryInfo(0);
    const auto all = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = allocator.getDeviceStats(0);
    const auto bytes = [](std::int64_t count) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, count)); };
    const auto used = stats.allocated_bytes[all].current;
    return {whole, free + bytes(stats.reserved_bytes[all].current - used), bytes(used), bytes(stats.allocated_bytes[all].peak)};
}

void measureCudaPeak()
{
    if (loadCuda().usable)
        cudaAllocator().resetPeakStats(0);
}

Result<c10::Device> chooseDevice(const std::string& wish)
{
    if (wish == "cpu")
        return c10::Device(c10::kCPU);
    const auto& cuda = loadCuda();
    if (cuda.usable)
        return c10::Device(c10::kCUDA, 0);
    if (wish == "cuda")
        return Error{ErrorCode::Unsupported, cuda.missing, "setting training.device", cuda.remedy};
    return c10::Device(c10::kCPU);
}

bool useComputeThreads(int threads)
{
    if (threads > 1 && !roomForThreads(2 * (threads - 1))) // LibTorch's and those of OpenMP
        return false;
    at::set_num_threads(threads);
    return true;
}

int availableCores()
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return std::max(1, CPU_COUNT(&set));
}

} // namespace fettle::tensor

#include "tensor/cuda/load_kernels.h"

#include "base/log.h"
#include "tensor/attention_op.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/cuda/self_check.h"
#include "tensor/torch_pch.h"

#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fettle::tensor::cuda {

namespace {

constexpr const char* kLibrary = "libfettle_cuda.so";

/// The table, or null with the reason.
const KernelTable* openTable(std::string& reason)
{
    std::error_code ec;
    const auto beside = std::filesystem::read_symlink("/proc/self/exe", ec).parent_path() / kLibrary;
    void* library = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
        library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        reason = fmt::format("{} was not found", kLibrary);
        return nullptr;
    }
    using Entry = const KernelTable* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(library, kEntry));
    const auto* table = entry ? entry() : nullptr;
    if (table && table->version == kVersion)
        return table;
    reason = fmt::format("{} belongs to another version of the program", kLibrary);
    return nullptr;
}

/// "" when every kernel is in use, else why none is.
std::string useKernels(c10::Device device)
{
    std::string reason;
    const auto* table = openTable(reason);
    if (!table)
        return reason;
    try {
        Installed installed(*table, device.type());
        const auto parting = partingKernels(device);
        if (!parting.empty())
            return fmt::format("its self-check failed ({})", fmt::join(parting, ", "));
        installed.keep();
        return {};
    } catch (const std::exception& problem) {
        logLine(LogLevel::Warning, "cuda", problem.what());
        return "its self-check could not be carried out";
    }
}

bool useFlash(c10::Device device)
{
    try {
        const bool agrees = flashAgrees(device);
        allowFlashAttention(agrees);
        return agrees;
    } catch (const std::exception& problem) { // cards before sm_80
        logLine(LogLevel::Warning, "cuda", problem.what());
        return false;
    }
}

} // namespace

std::string useFastOperations(c10::Device device)
{
    const auto missing = useKernels(device);
    const auto attention = useFlash(device) ? "packed attention" : "plain attention";
    return missing.empty() ? fmt::format("with own kernels and {}", attention)
                           : fmt::format("with LibTorch's operations and {}; own kernels are not used: {}", attention, missing);
}

} // namespace fettle::tensor::cuda

#include "tensor/kernels/cpu_kernels.h"

#include <cstdlib>
#include <cstring>

namespace fettle::tensor {

namespace kernels_baseline {
extern const CpuKernels table;
}
namespace kernels_avx2 {
extern const CpuKernels table;
}
namespace kernels_avx512 {
extern const CpuKernels table;
}

namespace {

bool hasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool hasAvx512()
{
    return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
           && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

} // namespace

namespace {

const CpuKernels& chosen()
{
    const char* wanted = std::getenv("FETTLE_KERNELS");
    if (const auto* named = wanted ? cpuKernelsNamed(wanted) : nullptr)
        return *named;
    return hasAvx512() ? kernels_avx512::table : hasAvx2() ? kernels_avx2::table : kernels_baseline::table;
}

} // namespace

const CpuKernels& cpuKernels()
{
    static const CpuKernels& best = chosen();
    return best;
}

const CpuKernels* cpuKernelsNamed(const char* name)
{
    if (std::strcmp(name, kernels_baseline::table.name) == 0)
        return &kernels_baseline::table;
    if (std::strcmp(name, kernels_avx2::table.name) == 0)
        return hasAvx2() ? &kernels_avx2::table : nullptr;
    if (std::strcmp(name, kernels_avx512::table.name) == 0)
        return hasAvx512() ? &kernels_avx512::table : nullptr;
    return nullptr;
}

} // namespace fettle::tensor

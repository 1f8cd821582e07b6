#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/quantised_kernels.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace fettle::tensor {

namespace kernels_baseline {
extern const CpuKernels table;
extern const QuantisedKernels quantisedTable;
}
namespace kernels_avx2 {
extern const CpuKernels table;
extern const QuantisedKernels quantisedTable;
}
namespace kernels_avx512 {
extern const CpuKernels table;
extern const QuantisedKernels quantisedTable;
}

namespace {

bool hasAvx2()
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}
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

const QuantisedKernels& quantisedKernels()
{
    static const QuantisedKernels& best = *quantisedKernelsNamed(cpuKernels().name);
    return best;
}

const QuantisedKernels* quantisedKernelsNamed(const char* name)
{
    for (const auto* each : {&kernels_baseline::quantisedTable, &kernels_avx2::quantisedTable,
                             &kernels_avx512::quantisedTable}) {
        if (std::strcmp(name, each->name) == 0)
            return cpuKernelsNamed(name) ? each : nullptr;
    }
    return nullptr;
}

} // namespace fettle::tensor

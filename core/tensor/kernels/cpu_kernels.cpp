#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/quantised_kernels.h"
#include "tensor/kernels/tile_kernels.h"

#include <cpuid.h>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <sys/syscall.h>
#include <unistd.h>

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
namespace kernels_amx {
extern const TileKernels table;
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

/// Whether the processor has tiles and the system keeps them for our threads; the system has to be asked first.
bool hasAmx()
{
    constexpr unsigned kTiles = 1u << 24 | 1u << 22, kBfloat16 = 1u << 5; // AMX-TILE and AMX-BF16, AVX512_BF16
    constexpr long kAskFor = 0x1023, kTileData = 18;                     // ARCH_REQ_XCOMP_PERM
    static const bool has = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        if (!hasAvx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kTiles) != kTiles)
            return false;
        return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & kBfloat16) &&
               syscall(SYS_arch_prctl, kAskFor, kTileData) == 0;
    }();
    return has;
}

/// Those for AVX-512, and tiles.
const CpuKernels& amxTable()
{
    static const CpuKernels table = [] {
        auto own = kernels_avx512::table;
        own.name = "AMX", own.tiles = &kernels_amx::table;
        return own;
    }();
    return table;
}

const CpuKernels& chosen()
{
    const char* wanted = std::getenv("FETTLE_KERNELS");
    if (const auto* named = wanted ? cpuKernelsNamed(wanted) : nullptr)
        return *named;
    return hasAmx() ? amxTable() : hasAvx512() ? kernels_avx512::table : hasAvx2() ? kernels_avx2::table
                                                                                  : kernels_baseline::table;
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
    if (std::strcmp(name, amxTable().name) == 0)
        return hasAmx() ? &amxTable() : nullptr;
    return nullptr;
}

const QuantisedKernels& quantisedKernels()
{
    static const QuantisedKernels& best = *quantisedKernelsNamed(cpuKernels().name);
    return best;
}

const QuantisedKernels* quantisedKernelsNamed(const char* name)
{
    if (std::strcmp(name, amxTable().name) == 0)
        return hasAmx() ? &kernels_avx512::quantisedTable : nullptr;
    for (const auto* each : {&kernels_baseline::quantisedTable, &kernels_avx2::quantisedTable,
                             &kernels_avx512::quantisedTable}) {
        if (std::strcmp(name, each->name) == 0)
            return cpuKernelsNamed(name) ? each : nullptr;
    }
    return nullptr;
}

} // namespace fettle::tensor

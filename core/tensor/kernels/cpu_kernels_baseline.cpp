#define FETTLE_KERNEL_NAMESPACE kernels_baseline
#define FETTLE_KERNEL_NAME "baseline"
#include "tensor/kernels/cpu_kernels.inl"

#define FETTLE_KERNEL_NAMESPACE kernels_avx2
#define FETTLE_KERNEL_NAME "AVX2"
#include "tensor/kernels/cpu_kernels.inl"

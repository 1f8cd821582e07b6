#define FETTLE_KERNEL_NAMESPACE kernels_avx512
#define FETTLE_KERNEL_NAME "AVX-512"
#include "tensor/kernels/cpu_kernels.inl"

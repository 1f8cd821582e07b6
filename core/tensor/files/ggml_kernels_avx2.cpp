#if defined(__x86_64__)
#define FETTLE_QUANT_NAMESPACE quant_avx2
#define FETTLE_QUANT_NAME "AVX2"
#include "tensor/files/ggml_kernels.inl"
#endif

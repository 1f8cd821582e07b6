#define FETTLE_QUANT_NAMESPACE quant_baseline
#define FETTLE_QUANT_NAME "baseline"
#include "tensor/files/ggml_kernels.inl"

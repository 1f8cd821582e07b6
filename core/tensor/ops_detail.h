#pragma once

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// True when our float32 CPU kernels may be used for this tensor on this thread.
bool useKernels(const at::Tensor& x);

/// True while a ReferenceOps lives on this thread.
bool referenceForced();

} // namespace fettle::tensor

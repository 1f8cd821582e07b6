#pragma once

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// A tensor of the host on `device`. On a graphics card the copy is queued and nobody waits, neither
/// for it nor for what is queued before it.
at::Tensor onDevice(const at::Tensor& host, c10::Device device);

} // namespace fettle::tensor

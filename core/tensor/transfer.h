#pragma once

#include <ATen/core/Tensor.h>
#include <vector>

namespace fettle::tensor {

/// A tensor of the host on `device`. On a graphics card the copy is queued and nobody waits, neither
/// for it nor for what is queued before it.
at::Tensor onDevice(const at::Tensor& host, c10::Device device);

/// Numbers (scalars of any type) that lie on one device, on the host: nobody waits more than once for
/// all of them. 0 in place of an undefined one.
std::vector<double> readTogether(const std::vector<at::Tensor>& numbers);

} // namespace fettle::tensor

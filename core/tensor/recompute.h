#pragma once

#include <ATen/core/Tensor.h>
#include <functional>

namespace fettle::tensor {

/// work(x) of whose inner values autograd keeps none: the backward pass carries the work out again, so it has
/// to give the same values twice. Tensors that it reads beside x get their gradients by accumulation: ask for
/// them with backward(), not with grad(). Without gradients, plain work(x).
/// Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 3.
at::Tensor recomputed(std::function<at::Tensor(const at::Tensor&)> work, const at::Tensor& x);

} // namespace fettle::tensor

#pragma once

#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// Whether the processor has tiles that multiply rows x.
bool byTiles(const at::Tensor& x);

/// x [T, k] w^T -> y [T, n] for w [n, k], a frozen matrix or one of float32 with any strides; a part of it is packed at
/// a time. Only where byTiles(); bit for bit the same whatever holds the values. No gradient.
void tileProduct(const at::Tensor& x, const QuantisedMatrix& w, at::Tensor& y);
void tileProduct(const at::Tensor& x, const at::Tensor& w, at::Tensor& y);
/// The same for dy [T, n] w -> dx [T, k].
void tileProductBack(const at::Tensor& dy, const QuantisedMatrix& w, at::Tensor& dx);
void tileProductBack(const at::Tensor& dy, const at::Tensor& w, at::Tensor& dx);

} // namespace fettle::tensor

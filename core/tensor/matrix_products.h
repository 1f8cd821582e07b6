#pragma once

#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// Whether the processor has tiles that multiply rows x.
bool byTiles(const at::Tensor& x);

/// x [T, k] w^T -> y [T, n], and dy [T, n] w -> dx [T, k], by tiles, for a frozen w [n, k] of which a part is packed at a
/// time; bit for bit those of its values in float32. Only where byTiles(). No gradient.
void tileProduct(const at::Tensor& x, const QuantisedMatrix& w, at::Tensor& y);
void tileProductBack(const at::Tensor& dy, const QuantisedMatrix& w, at::Tensor& dx);

/// The same for a tensor w with any strides: by tiles where there are some, else by LibTorch. No gradient.
void product(const at::Tensor& x, const at::Tensor& w, at::Tensor& y);
void productBack(const at::Tensor& dy, const at::Tensor& w, at::Tensor& dx);

} // namespace fettle::tensor

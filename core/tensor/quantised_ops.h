#pragma once

#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// A matrix [rows, columns] of any float type, quantised on the processor; its codes lie on `device`. `kind`
/// is Int8 or Nf4.
QuantisedPtr quantised(WeightKind kind, const at::Tensor& matrix, c10::Device device = c10::kCPU);

/// The values [rows, columns] in float32, where the codes lie.
at::Tensor decoded(const QuantisedMatrix& matrix);
/// Rows `ids` [n] of the matrix, [n, columns].
at::Tensor decodedRows(const QuantisedMatrix& matrix, const std::vector<std::int64_t>& ids);

/// x [T, columns] matrix^T -> y [T, rows] and dy [T, rows] matrix -> dx [T, columns], decoding a
/// part of the matrix at a time. No gradient.
void product(const at::Tensor& x, const QuantisedMatrix& matrix, at::Tensor& y);
void productBack(const at::Tensor& dy, const QuantisedMatrix& matrix, at::Tensor& dx);

/// x [T, columns] matrix^T + bias -> [T, rows]. The matrix is frozen: the graph keeps it as it is
/// and decodes it again for the gradient of x, which is bit for bit that of the decoded matrix. An
/// undefined bias means none. Few rows without a gradient read the codes directly.
at::Tensor linear(const at::Tensor& x, const QuantisedPtr& matrix, const at::Tensor& bias);
/// The same with a matrix of any float type, which may train.
at::Tensor linear(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias);

} // namespace fettle::tensor

#pragma once

#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>

namespace fettle::tensor {

/// A matrix in 8 or 4 bits whose codes lie on a device, where each use decodes them anew: LibTorch's
/// allocator gives the decoded values the memory of those before them.
class DeviceMatrix final : public QuantisedMatrix
{
public:
    /// The codes and scales of a matrix on the processor.
    DeviceMatrix(const Int8Matrix& host, c10::Device device);
    DeviceMatrix(const Nf4Matrix& host, c10::Device device);

    WeightKind kind() const override { return m_kind; }
    /// All values [rows, columns] on the device in `type`: those of the processor's matrix, rounded once.
    at::Tensor values(at::ScalarType type) const;
    /// To the host, which waits.
    void decode(std::int64_t first, std::int64_t count, float* values) const override;

private:
    DeviceMatrix(WeightKind kind, const QuantisedMatrix& host, const MatrixParts& parts, c10::Device device);
    std::int64_t mostDirectRows() const override { return 0; }
    void directRows(const float*, std::int64_t, std::int64_t, std::int64_t, float*, std::int64_t) const override;
    at::Tensor readableValues() const;

    WeightKind m_kind;
    at::Tensor m_codes, m_scales, m_scaleCodes; ///< as MatrixParts has them
    at::Tensor m_maps; ///< nf4: [256 + 16] what codes of scales and of values stand for
    float m_offset;
};

/// The matrix as one on a device; null when it is none.
const DeviceMatrix* asDeviceMatrix(const QuantisedMatrix& matrix);

} // namespace fettle::tensor

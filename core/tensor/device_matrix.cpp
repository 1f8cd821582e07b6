#include "tensor/device_matrix.h"

#include "tensor/cuda/cuda_ops.h"
#include "tensor/files/four_bit.h"
#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;

namespace {

/// A copy of `count` values on `device`.
Tensor copied(const void* values, std::int64_t count, at::ScalarType type, c10::Device device)
{
    return at::from_blob(const_cast<void*>(values), {count}, at::TensorOptions().dtype(type))
        .to(device, type, /*non_blocking=*/false, /*copy=*/true);
}

Tensor mapsOfNf4(c10::Device device)
{
    std::vector<float> maps(dynamicMap().begin(), dynamicMap().end());
    maps.insert(maps.end(), kNf4Values.begin(), kNf4Values.end());
    return copied(maps.data(), static_cast<std::int64_t>(maps.size()), at::kFloat, device);
}

/// Each value `times` times, cut to `count`, along the last axis.
Tensor spread(const Tensor& values, std::int64_t times, std::int64_t count)
{
    return values.repeat_interleave(times, -1).narrow(-1, 0, count);
}

} // namespace

DeviceMatrix::DeviceMatrix(WeightKind kind, const QuantisedMatrix& host, const MatrixParts& parts, c10::Device device)
    : QuantisedMatrix(host.rows(), host.columns())
    , m_kind(kind)
    , m_codes(copied(parts.codes, parts.codeBytes, kind == WeightKind::Int8 ? at::kChar : at::kByte, device))
    , m_scales(copied(parts.scales, parts.scaleCount, at::kFloat, device))
    , m_offset(parts.offset)
{
    if (kind != WeightKind::Nf4)
        return;
    m_scaleCodes = copied(parts.scaleCodes, parts.scaleCodeCount, at::kByte, device);
    m_maps = mapsOfNf4(device);
}

DeviceMatrix::DeviceMatrix(const Int8Matrix& host, c10::Device device)
    : DeviceMatrix(WeightKind::Int8, host, host.parts(), device)
{
}

DeviceMatrix::DeviceMatrix(const Nf4Matrix& host, c10::Device device)
    : DeviceMatrix(WeightKind::Nf4, host, host.parts(), device)
{
}

Tensor DeviceMatrix::values(at::ScalarType type) const
{
    const Tensor out = at::empty({rows(), columns()}, m_codes.options().dtype(type));
    const auto* kernels = cuda::kernelsFor(out);
    if (!kernels)
        return readableValues().to(type);
    cuda::DecodeArgs args{};
    args.number = cuda::numberOf(out), args.fourBit = m_kind == WeightKind::Nf4;
    args.codes = m_codes.const_data_ptr(), args.scales = m_scales.const_data_ptr<float>();
    if (args.fourBit)
        args.scaleCodes = m_scaleCodes.const_data_ptr<std::uint8_t>(), args.maps = m_maps.const_data_ptr<float>();
    args.offset = m_offset, args.out = out.data_ptr(), args.rows = rows(), args.columns = columns();
    cuda::launched(*kernels, kernels->decode(args));
    return out;
}

/// In float32, by LibTorch's operations.
Tensor DeviceMatrix::readableValues() const
{
    const auto count = rows() * columns();
    if (m_kind == WeightKind::Int8)
        return m_codes.view({rows(), columns()}).to(at::kFloat) * spread(m_scales.view({rows(), -1}), kInt8Block, columns());
    const auto maxima = m_maps.index_select(0, m_scaleCodes.to(at::kLong)) *
                            spread(m_scales, kNestedBlock, m_scaleCodes.size(0)) +
                        m_offset;
    const auto codes = at::stack({m_codes.bitwise_right_shift(4), m_codes.bitwise_and(15)}, 1).flatten().narrow(0, 0, count);
    const auto units = m_maps.index_select(0, codes.to(at::kLong) + 256);
    return (units * spread(maxima, kFourBitBlock, count)).view({rows(), columns()});
}

void DeviceMatrix::decode(std::int64_t first, std::int64_t count, float* values) const
{
    const auto host = this->values(at::kFloat).narrow(0, first, count).cpu();
    std::copy_n(host.const_data_ptr<float>(), host.numel(), values);
}

void DeviceMatrix::directRows(const float*, std::int64_t, std::int64_t, std::int64_t, float*, std::int64_t) const
{
    throw std::logic_error("a matrix on a device is decoded first");
}

const DeviceMatrix* asDeviceMatrix(const QuantisedMatrix& matrix) { return dynamic_cast<const DeviceMatrix*>(&matrix); }

} // namespace fettle::tensor

#pragma once

#include "tensor/cuda/kernel_table.h"
#include "tensor/ops.h"

#include <c10/core/Device.h>

namespace fettle::tensor::cuda {

/// The kernels of libfettle_cuda.so where they may be used for this tensor on this thread: it lies on
/// their device in float32 or bfloat16, and nobody forces the readable operations. Else null.
const KernelTable* kernelsFor(const at::Tensor& x);

/// Puts a table into use for tensors of one kind of device (load_kernels.cpp; tests), until the object is
/// gone or for good.
class Installed
{
public:
    Installed(const KernelTable& table, c10::DeviceType device);
    ~Installed();
    void keep() { m_keep = true; }

private:
    bool m_keep = false;
};

Number numberOf(const at::Tensor& x);

/// What codes of an optimizer's moments stand for, for AdamwArgs::maps: [2, 256] float32.
at::Tensor codeMaps(c10::Device device);

/// Throws what the library says of a launch that failed.
void launched(const KernelTable& kernels, int error);

/// As the functions of the same names in ops.h, for tensors for which there are kernels.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);
at::Tensor rope(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);
NormedSum layerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps);
/// curve(gate) * up, or curve(gate) where `up` is undefined.
at::Tensor gated(Curve curve, const at::Tensor& gate, const at::Tensor& up);
at::Tensor dropout(const at::Tensor& x, double p, const MaskSource& source);

/// Losses of rows of logits [n, vocab], which become their gradient times `scale` when `gradient`.
/// labels [n] and best [n] long, nll [n] float32, all on the device.
void lossOfRows(const at::Tensor& logits, const at::Tensor& labels, double scale, bool gradient, const at::Tensor& nll,
                const at::Tensor& best);

} // namespace fettle::tensor::cuda

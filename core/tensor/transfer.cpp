#include "tensor/transfer.h"

#include "tensor/torch_pch.h"

namespace fettle::tensor {

at::Tensor onDevice(const at::Tensor& host, c10::Device device)
{
    // A copy from ordinary memory would wait for the queue to run empty.
    return device.is_cpu() ? host : host.pin_memory().to(device, /*non_blocking=*/true);
}

} // namespace fettle::tensor

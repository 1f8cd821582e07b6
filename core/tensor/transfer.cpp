#include "tensor/transfer.h"

#include "tensor/torch_pch.h"

namespace fettle::tensor {

at::Tensor onDevice(const at::Tensor& host, c10::Device device)
{
    // A copy from ordinary memory would wait for the queue to run empty.
    return device.is_cpu() ? host : host.pin_memory().to(device, /*non_blocking=*/true);
}

std::vector<double> readTogether(const std::vector<at::Tensor>& numbers)
{
    std::vector<at::Tensor> there;
    for (const auto& number : numbers) {
        if (number.defined())
            there.push_back(number.to(at::kDouble));
    }
    std::vector<double> values(numbers.size(), 0.0);
    if (there.empty())
        return values;
    const auto all = at::stack(there).cpu();
    const double* next = all.const_data_ptr<double>();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (numbers[i].defined())
            values[i] = *next++;
    }
    return values;
}

} // namespace fettle::tensor

#pragma once

#include "base/rng.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/kernels/cpu_kernels.h"

namespace fettle::train {

/// Steps of tensors on a device, many of one kind in one launch.
class DeviceSteps
{
public:
    /// `step`: number of the optimizer step, for the noise of `rng`; maps: see tensor::cuda::codeMaps().
    DeviceSteps(const Rng& rng, std::int64_t step, const at::Tensor& maps)
    {
        for (auto& args : m_args) {
            args.key0 = rng.key()[0], args.key1 = rng.key()[1], args.step = static_cast<std::uint64_t>(step);
            args.maps = maps.defined() ? maps.const_data_ptr<float>() : nullptr;
        }
    }

    void add(const tensor::cuda::KernelTable& kernels, tensor::cuda::Number number, const tensor::cuda::AdamwTensor& each,
             const tensor::AdamwStep& step)
    {
        m_kernels = &kernels;
        const bool coded = each.mCodes != nullptr;
        auto& args = m_args[(number == tensor::cuda::Number::BFloat16 ? 2 : 0) + (coded ? 1 : 0)];
        args.number = number, args.coded = coded;
        args.beta1 = step.beta1, args.beta2 = step.beta2, args.epsilon = step.epsilon;
        args.size = step.learningRate / step.correction1, args.inverseRoot = 1.0f / step.rootCorrection2;
        args.gradScale = step.gradScale;
        args.tensors[args.used++] = each;
        if (args.used == tensor::cuda::AdamwArgs::kTensors)
            start(args);
    }
    /// Those that are left. What they read must live until then.
    void finish()
    {
        for (auto& args : m_args)
            start(args);
    }

private:
    void start(tensor::cuda::AdamwArgs& args)
    {
        if (args.used > 0)
            tensor::cuda::launched(*m_kernels, m_kernels->adamw(args));
        args.used = 0;
    }

    const tensor::cuda::KernelTable* m_kernels = nullptr;
    tensor::cuda::AdamwArgs m_args[4] = {};
};

} // namespace fettle::train

#include "train/optimizers/adamw.h"

#include "tensor/kernels/cpu_kernels.h"
#include "tensor/torch_pch.h"

#include <cmath>

namespace fettle::train {

using at::Tensor;

namespace {

constexpr std::int64_t kBlock = 1 << 16;  // elements per task; fixed, so sums do not depend on threads

bool onCpu(const Tensor& t) { return t.device().is_cpu() && t.scalar_type() == at::kFloat; }

double sumOfSquares(const Tensor& grad)
{
    if (!onCpu(grad))
        return grad.to(at::kDouble).pow(2).sum().item<double>();
    const Tensor flat = grad.contiguous();
    const float* p = flat.const_data_ptr<float>();
    const auto count = flat.numel(), blocks = (count + kBlock - 1) / kBlock;
    std::vector<double> sums(static_cast<std::size_t>(blocks));
    at::parallel_for(0, blocks, 1, [&](std::int64_t from, std::int64_t to) {
        for (auto b = from; b < to; ++b)
            sums[static_cast<std::size_t>(b)] = tensor::cpuKernels().sumOfSquares(p + b * kBlock,
                                                                                  std::min(kBlock, count - b * kBlock));
    });
    double total = 0;
    for (const double sum : sums)
        total += sum;
    return total;
}

} // namespace

Adamw::Adamw(std::vector<methods::TrainableTensor> tensors, AdamwSettings settings)
    : m_tensors(std::move(tensors)), m_settings(settings)
{
    for (const auto& each : m_tensors) {
        m_first.push_back(at::zeros_like(each.value).set_requires_grad(false));
        m_second.push_back(at::zeros_like(each.value).set_requires_grad(false));
    }
}

double Adamw::gradNorm() const
{
    double total = 0;
    for (const auto& each : m_tensors) {
        if (each.value.grad().defined())
            total += sumOfSquares(each.value.grad());
    }
    return std::sqrt(total);
}

void Adamw::zeroGrad()
{
    for (auto& each : m_tensors)
        each.value.mutable_grad().reset();
}

void Adamw::step(double learningRate, double gradScale)
{
    const at::NoGradGuard noGrad;
    ++m_steps;
    const double c1 = 1 - std::pow(m_settings.beta1, m_steps), c2 = 1 - std::pow(m_settings.beta2, m_steps);
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        auto& each = m_tensors[i];
        if (!each.value.grad().defined())
            continue;
        const double decay = each.decays ? m_settings.weightDecay : 0;
        const Tensor grad = each.value.grad().contiguous();
        Tensor &m = m_first[i], &v = m_second[i];
        if (onCpu(each.value)) {
            const tensor::AdamwStep s{static_cast<float>(learningRate),       static_cast<float>(m_settings.beta1),
                                      static_cast<float>(m_settings.beta2),   static_cast<float>(m_settings.epsilon),
                                      static_cast<float>(decay),              static_cast<float>(c1),
                                      static_cast<float>(std::sqrt(c2)),      static_cast<float>(gradScale)};
            float *p = each.value.data_ptr<float>(), *mp = m.data_ptr<float>(), *vp = v.data_ptr<float>();
            const float* gp = grad.const_data_ptr<float>();
            at::parallel_for(0, grad.numel(), kBlock, [&](std::int64_t from, std::int64_t to) {
                tensor::cpuKernels().adamw(p + from, gp + from, mp + from, vp + from, to - from, s);
            });
        } else {
            const Tensor g = grad * gradScale;
            m.mul_(m_settings.beta1).add_(g, 1 - m_settings.beta1);
            v.mul_(m_settings.beta2).addcmul_(g, g, 1 - m_settings.beta2);
            each.value.mul_(1 - learningRate * decay);
            each.value.addcdiv_(m, v.sqrt().div_(std::sqrt(c2)).add_(m_settings.epsilon), -learningRate / c1);
        }
    }
    zeroGrad();
}

std::map<std::string, Tensor> Adamw::state() const
{
    std::map<std::string, Tensor> out;
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        out["exp_avg." + m_tensors[i].name] = m_first[i];
        out["exp_avg_sq." + m_tensors[i].name] = m_second[i];
    }
    return out;
}

Result<void> Adamw::load(const std::map<std::string, Tensor>& state, std::int64_t steps)
{
    const at::NoGradGuard noGrad;
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        for (const auto& [prefix, moments] : {std::pair{"exp_avg.", &m_first}, std::pair{"exp_avg_sq.", &m_second}}) {
            const auto found = state.find(prefix + m_tensors[i].name);
            if (found == state.end() || found->second.sizes() != (*moments)[i].sizes())
                return Error{ErrorCode::InvalidInput, "the optimizer state of " + m_tensors[i].name + " is missing",
                             "optimizer.safetensors", "Continue from another save point"};
            (*moments)[i].copy_(found->second);
        }
    }
    m_steps = steps;
    return {};
}

} // namespace fettle::train

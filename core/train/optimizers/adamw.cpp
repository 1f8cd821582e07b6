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

void stepWhole(float* p, const float* g, float* m, float* v, std::int64_t count, const tensor::AdamwStep& step)
{
    at::parallel_for(0, count, kBlock, [&](std::int64_t from, std::int64_t to) {
        tensor::cpuKernels().adamw(p + from, g + from, m + from, v + from, to - from, step);
    });
}

/// Block by block: moments to 32 bits, the step, moments back to codes.
void stepInEightBits(float* p, const float* g, BlockwiseMoment& first, BlockwiseMoment& second, std::int64_t count,
                     const tensor::AdamwStep& step)
{
    constexpr auto kOwn = BlockwiseMoment::kBlock;
    at::parallel_for(0, first.blocks(), kBlock / kOwn, [&](std::int64_t from, std::int64_t to) {
        std::array<float, kOwn> m, v;
        for (auto block = from; block < to; ++block) {
            const auto begin = block * kOwn;
            first.decode(block, m.data());
            second.decode(block, v.data());
            tensor::cpuKernels().adamw(p + begin, g + begin, m.data(), v.data(), std::min(kOwn, count - begin), step);
            first.encode(block, m.data());
            second.encode(block, v.data());
        }
    });
}

} // namespace

bool keepsEightBits(const methods::TrainableTensor& tensor)
{
    constexpr std::int64_t kSmall = 4096;
    return tensor.value.numel() >= kSmall && !tensor.table && onCpu(tensor.value);
}

Adamw::Adamw(std::vector<methods::TrainableTensor> tensors, AdamwSettings settings)
    : m_tensors(std::move(tensors)), m_settings(settings)
{
    for (const auto& each : m_tensors) {
        auto& moments = m_moments.emplace_back();
        if (settings.eightBits && keepsEightBits(each)) {
            moments.firstCodes.emplace(each.value.numel(), true);
            moments.secondCodes.emplace(each.value.numel(), false);
        } else {
            moments.first = at::zeros_like(each.value).set_requires_grad(false);
            moments.second = at::zeros_like(each.value).set_requires_grad(false);
        }
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
        auto& moments = m_moments[i];
        if (onCpu(each.value)) {
            const tensor::AdamwStep s{static_cast<float>(learningRate),       static_cast<float>(m_settings.beta1),
                                      static_cast<float>(m_settings.beta2),   static_cast<float>(m_settings.epsilon),
                                      static_cast<float>(decay),              static_cast<float>(c1),
                                      static_cast<float>(std::sqrt(c2)),      static_cast<float>(gradScale)};
            float* p = each.value.data_ptr<float>();
            const float* g = grad.const_data_ptr<float>();
            if (moments.firstCodes)
                stepInEightBits(p, g, *moments.firstCodes, *moments.secondCodes, grad.numel(), s);
            else
                stepWhole(p, g, moments.first.data_ptr<float>(), moments.second.data_ptr<float>(), grad.numel(), s);
        } else {
            Tensor &m = moments.first, &v = moments.second;
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
        const auto& name = m_tensors[i].name;
        const auto& moments = m_moments[i];
        if (!moments.firstCodes) {
            out["exp_avg." + name] = moments.first;
            out["exp_avg_sq." + name] = moments.second;
            continue;
        }
        out["exp_avg." + name] = moments.firstCodes->codes();
        out["exp_avg_sq." + name] = moments.secondCodes->codes();
        out["exp_avg_absmax." + name] = moments.firstCodes->scales();
        out["exp_avg_sq_absmax." + name] = moments.secondCodes->scales();
    }
    return out;
}

Result<void> Adamw::load(const std::map<std::string, Tensor>& state, std::int64_t steps)
{
    const at::NoGradGuard noGrad;
    for (auto& [name, own] : this->state()) {
        const auto found = state.find(name);
        if (found == state.end() || found->second.sizes() != own.sizes() || found->second.scalar_type() != own.scalar_type())
            return Error{ErrorCode::InvalidInput, "the optimizer state " + name + " is missing or of another kind",
                         "optimizer.safetensors", "Continue from another save point"};
        own.copy_(found->second);
    }
    m_steps = steps;
    return {};
}

} // namespace fettle::train

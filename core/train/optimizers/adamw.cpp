#include "train/optimizers/adamw.h"

#include "tensor/rounding.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"
#include "train/optimizers/device_steps.h"

#include <cmath>

namespace fettle::train {

using at::Tensor;

namespace {

constexpr std::int64_t kBlock = 1 << 16;  // elements per task; fixed, so sums do not depend on threads

bool onCpu(const Tensor& t) { return t.device().is_cpu() && t.scalar_type() == at::kFloat; }

/// Of one tensor on the processor.
double sumOfSquares(const Tensor& grad)
{
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

/// Of all tensors, left where they are: a scalar in double.
Tensor sumOfSquaresThere(const std::vector<Tensor>& grads)
{
    const auto* kernels = tensor::cuda::kernelsFor(grads[0]);
    if (!kernels) {
        std::vector<Tensor> sums;
        for (const auto& grad : grads)
            sums.push_back(grad.to(at::kDouble).pow(2).sum());
        return at::stack(sums).sum();
    }
    using Args = tensor::cuda::SquaresArgs;
    const auto count = static_cast<std::int64_t>(grads.size());
    const auto number = tensor::cuda::numberOf(grads[0]);
    const Tensor sums = at::empty({count, Args::kSlices}, grads[0].options().dtype(at::kDouble).requires_grad(false));
    for (std::int64_t begin = 0; begin < count; begin += Args::kTensors) {
        Args args{};
        args.number = number;
        for (auto i = begin; i < std::min<std::int64_t>(count, begin + Args::kTensors); ++i, ++args.used) {
            args.values[args.used] = grads[static_cast<std::size_t>(i)].const_data_ptr();
            args.counts[args.used] = grads[static_cast<std::size_t>(i)].numel();
        }
        args.sums = sums.data_ptr<double>() + begin * Args::kSlices;
        tensor::cuda::launched(*kernels, kernels->sumsOfSquares(args));
    }
    return sums.sum();
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

bool keepsEightBits(const methods::TrainableTensor& each)
{
    constexpr std::int64_t kSmall = 4096;
    const auto& value = each.value;
    return value.numel() >= kSmall && value.is_contiguous() && !each.table && (onCpu(value) || tensor::cuda::kernelsFor(value));
}

Adamw::Adamw(std::vector<methods::TrainableTensor> tensors, AdamwSettings settings)
    : m_tensors(std::move(tensors)), m_settings(settings), m_rounding(settings.seed, "weight rounding")
{
    for (const auto& each : m_tensors) {
        auto& moments = m_moments.emplace_back();
        if (settings.eightBits && keepsEightBits(each)) {
            const auto device = each.value.device();
            moments.firstCodes.emplace(each.value.numel(), true, device);
            moments.secondCodes.emplace(each.value.numel(), false, device);
            if (!m_maps.defined() && tensor::cuda::kernelsFor(each.value))
                m_maps = tensor::cuda::codeMaps(device);
        } else {
            const auto type = each.value.scalar_type();
            const auto options = each.value.options().dtype(type == at::kBFloat16 ? at::kFloat : type).requires_grad(false);
            moments.first = at::zeros_like(each.value, options);
            moments.second = at::zeros_like(each.value, options);
        }
    }
}

Adamw::Squares Adamw::gradSquares() const
{
    Squares squares;
    std::vector<Tensor> elsewhere;
    for (const auto& each : m_tensors) {
        const Tensor& grad = each.value.grad();
        if (grad.defined() && onCpu(grad) && !tensor::cuda::kernelsFor(grad))
            squares.here += sumOfSquares(grad);
        else if (grad.defined())
            elsewhere.push_back(grad.contiguous());
    }
    if (!elsewhere.empty())
        squares.there = sumOfSquaresThere(elsewhere);
    return squares;
}

double Adamw::gradNorm() const
{
    const auto squares = gradSquares();
    return std::sqrt(squares.here + tensor::readTogether({squares.there})[0]);
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
    DeviceSteps there(m_rounding, m_steps, m_maps);
    std::vector<Tensor> grads; // live until what uses them is started
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        auto& each = m_tensors[i];
        if (!each.value.grad().defined())
            continue;
        const double decay = each.decays ? m_settings.weightDecay : 0;
        const Tensor grad = grads.emplace_back(each.value.grad().contiguous());
        auto& moments = m_moments[i];
        const tensor::AdamwStep s{static_cast<float>(learningRate),       static_cast<float>(m_settings.beta1),
                                  static_cast<float>(m_settings.beta2),   static_cast<float>(m_settings.epsilon),
                                  static_cast<float>(decay),              static_cast<float>(c1),
                                  static_cast<float>(std::sqrt(c2)),      static_cast<float>(gradScale)};
        const auto* kernels = tensor::cuda::kernelsFor(each.value);
        if (kernels && each.value.is_contiguous() && grad.scalar_type() == each.value.scalar_type()) {
            there.add(*kernels, tensor::cuda::numberOf(each.value), partsOf(i, grad, 1.0f - s.learningRate * s.weightDecay), s);
        } else if (onCpu(each.value)) {
            float* p = each.value.data_ptr<float>();
            const float* g = grad.const_data_ptr<float>();
            if (moments.firstCodes)
                stepInEightBits(p, g, *moments.firstCodes, *moments.secondCodes, grad.numel(), s);
            else
                stepWhole(p, g, moments.first.data_ptr<float>(), moments.second.data_ptr<float>(), grad.numel(), s);
        } else {
            Tensor &m = moments.first, &v = moments.second;
            const bool half = each.value.scalar_type() == at::kBFloat16;
            Tensor wide = half ? each.value.to(at::kFloat) : each.value;
            const Tensor g = grad.to(wide.scalar_type()) * gradScale;
            m.mul_(m_settings.beta1).add_(g, 1 - m_settings.beta1);
            v.mul_(m_settings.beta2).addcmul_(g, g, 1 - m_settings.beta2);
            wide.mul_(1 - learningRate * decay);
            wide.addcdiv_(m, v.sqrt().div_(std::sqrt(c2)).add_(m_settings.epsilon), -learningRate / c1);
            if (half)
                each.value.copy_(tensor::roundedAtRandom(wide, m_rounding, static_cast<std::uint64_t>(m_steps) << 20 | i));
        }
    }
    there.finish();
    zeroGrad();
}

/// What a kernel needs of tensor i.
tensor::cuda::AdamwTensor Adamw::partsOf(std::size_t i, const Tensor& grad, float keep)
{
    auto& moments = m_moments[i];
    tensor::cuda::AdamwTensor parts{};
    parts.p = m_tensors[i].value.data_ptr(), parts.g = grad.const_data_ptr();
    parts.count = grad.numel(), parts.keep = keep, parts.site = static_cast<std::uint32_t>(i);
    if (moments.firstCodes) {
        const auto &first = *moments.firstCodes, &second = *moments.secondCodes;
        parts.m = first.scales().data_ptr<float>(), parts.v = second.scales().data_ptr<float>();
        parts.mCodes = first.codes().data_ptr<std::uint8_t>(), parts.vCodes = second.codes().data_ptr<std::uint8_t>();
    } else {
        parts.m = moments.first.data_ptr<float>(), parts.v = moments.second.data_ptr<float>();
    }
    return parts;
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

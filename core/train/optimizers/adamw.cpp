#include "train/optimizers/adamw.h"

#include "tensor/cuda/cuda_ops.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

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
    const Tensor sums = at::empty({count, Args::kSlices}, grads[0].options().dtype(at::kDouble).requires_grad(false));
    for (std::int64_t begin = 0; begin < count; begin += Args::kTensors) {
        Args args{};
        for (auto i = begin; i < std::min<std::int64_t>(count, begin + Args::kTensors); ++i, ++args.used) {
            args.values[args.used] = grads[static_cast<std::size_t>(i)].const_data_ptr<float>();
            args.counts[args.used] = grads[static_cast<std::size_t>(i)].numel();
        }
        args.sums = sums.data_ptr<double>() + begin * Args::kSlices;
        tensor::cuda::launched(*kernels, kernels->sumsOfSquares(args));
    }
    return sums.sum();
}

/// Steps of tensors on a graphics card, many in one launch.
class Launches
{
public:
    void add(const tensor::cuda::KernelTable& kernels, const tensor::cuda::AdamwTensor& each, const tensor::AdamwStep& step)
    {
        m_kernels = &kernels;
        m_args.beta1 = step.beta1, m_args.beta2 = step.beta2, m_args.epsilon = step.epsilon;
        m_args.size = step.learningRate / step.correction1, m_args.inverseRoot = 1.0f / step.rootCorrection2;
        m_args.gradScale = step.gradScale;
        m_args.tensors[m_args.used++] = each;
        if (m_args.used == tensor::cuda::AdamwArgs::kTensors)
            start();
    }
    void start()
    {
        if (m_args.used > 0)
            tensor::cuda::launched(*m_kernels, m_kernels->adamw(m_args));
        m_args.used = 0;
    }

private:
    const tensor::cuda::KernelTable* m_kernels = nullptr;
    tensor::cuda::AdamwArgs m_args{};
};

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
    Launches launches;
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
        if (kernels && each.value.scalar_type() == at::kFloat && each.value.is_contiguous() && !moments.firstCodes) {
            launches.add(*kernels, {each.value.data_ptr<float>(), moments.first.data_ptr<float>(), moments.second.data_ptr<float>(),
                                    grad.const_data_ptr<float>(), grad.numel(), 1.0f - s.learningRate * s.weightDecay}, s);
        } else if (onCpu(each.value)) {
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
    launches.start();
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

#include "train/optimizers/adamw.h"

#include "tensor/rounding.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"
#include "train/optimizers/device_steps.h"

#include <cmath>

namespace fettle::train {

using at::Tensor;

namespace {

constexpr std::int64_t kPiece = 1 << 16; // elements; fixed, so sums do not depend on threads
static_assert(kPiece % BlockwiseMoment::kBlock == 0);

bool onCpu(const Tensor& t) { return t.device().is_cpu() && t.scalar_type() == at::kFloat; }

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

/// Block by block: moments to 32 bits, the step, moments back to codes.
void stepInEightBits(float* p, const float* g, BlockwiseMoment& first, BlockwiseMoment& second, std::int64_t begin,
                     std::int64_t end, const tensor::AdamwStep& step)
{
    constexpr auto kOwn = BlockwiseMoment::kBlock;
    std::array<float, kOwn> m, v;
    for (; begin < end; begin += kOwn) {
        const auto block = begin / kOwn;
        first.decode(block, m.data());
        second.decode(block, v.data());
        tensor::cpuKernels().adamw(p + begin, g + begin, m.data(), v.data(), std::min(kOwn, end - begin), step);
        first.encode(block, m.data());
        second.encode(block, v.data());
    }
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
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        const auto& each = m_tensors[i];
        for (std::int64_t begin = 0; onCpu(each.value) && begin < each.value.numel(); begin += kPiece)
            m_pieces.push_back({i, begin, std::min(begin + kPiece, each.value.numel())});
        auto& moments = m_moments.emplace_back();
        if (settings.eightBits && keepsEightBits(each)) {
            const auto device = each.value.device();
            moments.firstCodes.emplace(each.value.numel(), true, device);
            moments.secondCodes.emplace(each.value.numel(), false, device);
            if (!m_maps.defined() && tensor::cuda::kernelsFor(each.value))
                m_maps = tensor::cuda::codeMaps(device);
        } else {
            const auto type = each.value.scalar_type();
            auto options = each.value.options().dtype(type == at::kBFloat16 ? at::kFloat : type).requires_grad(false);
            moments.onHost = settings.hostMoments && !onCpu(each.value);
            if (moments.onHost)
                options = options.device(at::kCPU).pinned_memory(each.value.is_cuda());
            moments.first = at::zeros_like(each.value, options);
            moments.second = at::zeros_like(each.value, options);
        }
    }
}

template<class Work> void Adamw::forPieces(Work work) const
{
    at::parallel_for(0, std::ssize(m_pieces), 1, [&](std::int64_t from, std::int64_t to) {
        for (auto at = static_cast<std::size_t>(from); at < static_cast<std::size_t>(to); ++at)
            work(at, m_pieces[at]);
    });
}

Adamw::Squares Adamw::gradSquares() const
{
    Squares squares;
    std::vector<Tensor> here(m_tensors.size()), elsewhere;
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        const Tensor& grad = m_tensors[i].value.grad();
        if (grad.defined())
            (onCpu(grad) && !tensor::cuda::kernelsFor(grad) ? here[i] : elsewhere.emplace_back()) = grad.contiguous();
    }
    std::vector<double> sums(m_pieces.size());
    forPieces([&](std::size_t at, const Piece& piece) {
        if (here[piece.tensor].defined())
            sums[at] = tensor::cpuKernels().sumOfSquares(here[piece.tensor].const_data_ptr<float>() + piece.begin,
                                                         piece.end - piece.begin);
    });
    for (const double sum : sums)
        squares.here += sum;
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
    const auto stepOf = [&](std::size_t i) {
        return tensor::AdamwStep{static_cast<float>(learningRate),       static_cast<float>(m_settings.beta1),
                                 static_cast<float>(m_settings.beta2),   static_cast<float>(m_settings.epsilon),
                                 static_cast<float>(decayOf(i)),         static_cast<float>(c1),
                                 static_cast<float>(std::sqrt(c2)),      static_cast<float>(gradScale)};
    };
    DeviceSteps there(m_rounding, m_steps, m_maps);
    std::vector<Tensor> grads(m_tensors.size()); // live until what uses them is started
    std::vector<const float*> here(m_tensors.size());
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        const Tensor& value = m_tensors[i].value;
        if (!value.grad().defined())
            continue;
        const Tensor& grad = grads[i] = value.grad().contiguous();
        const auto* kernels = tensor::cuda::kernelsFor(value);
        if (kernels && value.is_contiguous() && grad.scalar_type() == value.scalar_type()) {
            withMomentsThere(i, [&] {
                const auto step = stepOf(i);
                there.add(*kernels, tensor::cuda::numberOf(value),
                          partsOf(i, grad, 1.0f - step.learningRate * step.weightDecay), step);
                if (m_moments[i].onHost)
                    there.finish();
            });
        } else if (onCpu(value)) {
            here[i] = grad.const_data_ptr<float>();
        } else {
            withMomentsThere(i, [&] { stepReadable(i, grad, learningRate, gradScale, c1, c2); });
        }
    }
    forPieces([&](std::size_t, const Piece& piece) {
        if (const float* g = here[piece.tensor])
            stepPiece(piece, g, stepOf(piece.tensor));
    });
    there.finish();
    zeroGrad();
}

template<class Work> void Adamw::withMomentsThere(std::size_t i, Work work)
{
    auto& moments = m_moments[i];
    if (!moments.onHost)
        return work();
    const auto there = [&](const Tensor& own) {
        return own.to(m_tensors[i].value.device(), own.scalar_type(), /*non_blocking=*/true, /*copy=*/true);
    };
    Tensor first = there(moments.first), second = there(moments.second);
    std::swap(first, moments.first), std::swap(second, moments.second);
    work();
    first.copy_(moments.first), second.copy_(moments.second); // wait until they are here
    std::swap(first, moments.first), std::swap(second, moments.second);
}

void Adamw::stepPiece(const Piece& piece, const float* grad, const tensor::AdamwStep& step)
{
    float* p = m_tensors[piece.tensor].value.data_ptr<float>();
    auto& moments = m_moments[piece.tensor];
    if (moments.firstCodes)
        stepInEightBits(p, grad, *moments.firstCodes, *moments.secondCodes, piece.begin, piece.end, step);
    else
        tensor::cpuKernels().adamw(p + piece.begin, grad + piece.begin, moments.first.data_ptr<float>() + piece.begin,
                                   moments.second.data_ptr<float>() + piece.begin, piece.end - piece.begin, step);
}

/// Of a tensor that no kernel of ours takes: another type, a device without kernels.
void Adamw::stepReadable(std::size_t i, const Tensor& grad, double learningRate, double gradScale, double c1,
                         double c2)
{
    Tensor& value = m_tensors[i].value;
    Tensor &m = m_moments[i].first, &v = m_moments[i].second;
    const bool half = value.scalar_type() == at::kBFloat16;
    Tensor wide = half ? value.to(at::kFloat) : value;
    const Tensor g = grad.to(wide.scalar_type()) * gradScale;
    m.mul_(m_settings.beta1).add_(g, 1 - m_settings.beta1);
    v.mul_(m_settings.beta2).addcmul_(g, g, 1 - m_settings.beta2);
    wide.mul_(1 - learningRate * decayOf(i));
    wide.addcdiv_(m, v.sqrt().div_(std::sqrt(c2)).add_(m_settings.epsilon), -learningRate / c1);
    if (half)
        value.copy_(tensor::roundedAtRandom(wide, m_rounding, static_cast<std::uint64_t>(m_steps) << 20 | i));
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

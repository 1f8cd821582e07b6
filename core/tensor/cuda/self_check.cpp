#include "tensor/cuda/self_check.h"

#include "tensor/attention_op.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/device_matrix.h"
#include "tensor/quantised_ops.h"
#include "tensor/rounding.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <functional>

namespace fettle::tensor::cuda {

using at::Tensor;

namespace {

using Tensors = std::vector<Tensor>;
using Operation = std::function<Tensor(const Tensors&)>;

/// Numbers in [-1, 1] that no other pitch repeats.
Tensor wave(at::IntArrayRef shape, double pitch)
{
    return (at::arange(c10::multiply_integers(shape), at::kDouble) * pitch + pitch).sin().view(shape);
}

/// Result of the operation and its gradients along a fixed direction.
Tensors resultOf(const Operation& operation, const Tensors& inputs, c10::Device device, at::ScalarType type)
{
    Tensors leaves;
    for (const auto& input : inputs)
        leaves.push_back(input.to(device, type).detach().clone().set_requires_grad(true));
    const Tensor out = operation(leaves);
    const Tensor along = wave(out.sizes(), 1.3).to(at::kBFloat16).to(out.options().requires_grad(false));
    Tensors all = torch::autograd::grad({out}, leaves, {along});
    all.push_back(out.detach());
    return all;
}

/// Tolerances of other kernels and devices; those of bfloat16 leave room for two roundings to 8 bits.
bool close(const Tensor& ours, const Tensor& expected, at::ScalarType type)
{
    const auto host = ours.to(at::kCPU, at::kDouble);
    return type == at::kFloat ? at::allclose(host, expected, 1e-4, 1e-5) : at::allclose(host, expected, 2e-2, 1e-2);
}

bool agrees(const Operation& operation, const Tensors& inputs, c10::Device device, at::ScalarType type)
{
    Tensors rounded;
    for (const auto& input : inputs)
        rounded.push_back(input.to(type).to(at::kDouble));
    const auto ours = resultOf(operation, rounded, device, type);
    const auto expected = resultOf(operation, rounded, at::kCPU, at::kDouble);
    for (std::size_t i = 0; i < ours.size(); ++i) {
        if (!close(ours[i], expected[i], type))
            return false;
    }
    return true;
}

Tensor turns(const Tensor& angles, const Tensor& x)
{
    return angles.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).to(x.device());
}

struct NamedOperation
{
    const char* name;
    Operation operation;
    std::vector<Tensors> inputs; ///< of several shapes: some that wide accesses fit, some not
};

std::vector<NamedOperation> operations()
{
    const Tensor angles = wave({5, 8}, 0.9).to(at::kFloat);
    static const Rng rng(1, "self-check");
    static const std::vector<std::int64_t> labels = {519, 0, 7, 300, 77}, places = {9, 1, 1 << 22, 0, 5};
    const auto norm = [](const Tensors& in) { return tensor::rmsNorm(in[0], in[1], 1e-5); };
    const auto turn = [angles](const Tensors& in) {
        return tensor::rope(in[0], turns(angles.cos(), in[0]), turns(angles.sin(), in[0]));
    };
    const auto layerNorm = [](const Tensors& in) {
        const auto out = tensor::layerNorm(in[0], in[1], in[2], in[3], 1e-5);
        return at::cat({out.normed, out.sum});
    };
    // Their sums need no rounding in bfloat16: what follows divides by how far they differ.
    const auto steps = [](at::IntArrayRef shape, double pitch) { return (wave(shape, pitch) * 16).round() / 16; };
    const auto plainLayerNorm = [](const Tensors& in) { return tensor::layerNorm(in[0], {}, in[1], {}, 1e-5).normed; };
    const auto gate = [](const Tensors& in) { return tensor::siluGate(in[0], in[1]); };
    const auto gelu = [](bool tanh) {
        return [tanh](const Tensors& in) { return tensor::geluGate(in[0], in.size() > 1 ? in[1] : Tensor(), tanh); };
    };
    const auto drop = [](const Tensors& in) { return tensor::dropout(in[0], 0.25, {rng, 3, 2, places}); };
    const auto loss = [](const Tensors& in) {
        HeadLossInfo info;
        const Tensor head = (wave({520, 16}, 0.37) * 2).to(at::kBFloat16).to(in[0].options().requires_grad(false));
        const Tensor value = tensor::headLoss(in[0], {head}, labels, 0.25, info);
        // Each loss by itself too; they take no part in the gradient.
        return at::cat({value.view({1}), at::tensor(info.nll, at::kDouble).to(value.options().requires_grad(false))});
    };
    return {{"norm", norm, {{wave({70, 64}, 0.7), wave({64}, 0.3)}, {wave({3, 77}, 0.7), wave({77}, 0.3)}}},
            {"layer norm", layerNorm,
             {{steps({70, 64}, 0.7) + 0.5, steps({70, 64}, 0.4), wave({64}, 0.3), wave({64}, 0.9)},
              {steps({3, 77}, 0.7), steps({3, 77}, 0.4), wave({77}, 0.3), wave({77}, 0.9)}}},
            {"layer norm", plainLayerNorm, {{wave({70, 64}, 0.7), wave({64}, 0.3)}}},
            {"rotation", turn, {{wave({5, 3, 16}, 0.7)}}},
            {"gate", gate, {{wave({9, 64}, 0.7) * 4, wave({9, 64}, 0.3)}, {wave({1, 77}, 0.7), wave({1, 77}, 0.3)}}},
            {"gelu", gelu(false), {{wave({9, 64}, 0.7) * 4, wave({9, 64}, 0.3)}, {wave({1, 77}, 0.7) * 4}}},
            {"gelu", gelu(true), {{wave({9, 64}, 0.7) * 4, wave({9, 64}, 0.3)}, {wave({1, 77}, 0.7) * 4}}},
            {"dropout", drop, {{wave({5, 64}, 0.7)}, {wave({5, 7}, 0.7)}}},
            {"loss", loss, {{wave({5, 16}, 0.7)}}}};
}

/// A moment from which the check starts: [600] in float32, or as codes with a scale for each 256.
struct Moment
{
    Tensor values, codes; ///< in float32; codes undefined where there are none
    Tensor scales;

    Moment(bool isSigned, bool coded, c10::Device device)
    {
        constexpr std::int64_t kCount = 600; // the last block is short
        const auto options = at::TensorOptions(device).dtype(at::kFloat);
        values = wave({kCount}, isSigned ? 0.5 : 0.9).to(options);
        if (!isSigned)
            values = values.abs();
        if (!coded)
            return;
        codes = (at::arange(kCount, at::kLong) * 7).remainder(256).to(device, at::kByte);
        scales = at::tensor({0.5F, 1.0F, 2.0F}).to(device);
        map = codeMaps(device)[isSigned ? 0 : 1];
        values = decoded();
    }
    /// As they are after the step.
    Tensor decoded() const
    {
        const auto spread = scales.repeat_interleave(256).narrow(0, 0, codes.size(0));
        return map.index_select(0, codes.to(at::kLong)) * spread;
    }
    /// The new values are `expected` (float64), or the nearest that codes say beside the largest of their block.
    bool became(const Tensor& expected) const
    {
        if (!codes.defined())
            return close(values, expected, at::kFloat);
        const auto host = decoded().to(at::kCPU, at::kDouble), own = map.to(at::kCPU, at::kDouble);
        bool agrees = true;
        for (std::int64_t begin = 0; begin < expected.size(0); begin += 256) {
            const auto part = expected.slice(0, begin, begin + 256);
            const auto largest = part.abs().max();
            const auto best = (part.unsqueeze(1) - own.unsqueeze(0) * largest).abs().amin(1);
            const auto away = (part - host.slice(0, begin, begin + 256)).abs();
            agrees = agrees && away.le(best + largest * 1e-5).all().item<bool>();
        }
        return agrees;
    }

private:
    Tensor map;
};

/// One step from an odd state against the formula in float64.
bool adamwAgrees(const KernelTable& kernels, c10::Device device, at::ScalarType type, bool coded)
{
    Moment first(true, coded, device), second(false, coded, device);
    const auto wide = [](const Tensor& x) { return x.to(at::kCPU, at::kDouble, /*non_blocking=*/false, /*copy=*/true); };
    const Tensor ownP = wave({600}, 0.7).to(device, type), ownG = wave({600}, 0.3).to(device, type), maps = codeMaps(device);
    const Tensor p = wide(ownP), g = wide(ownG), m = wide(first.values), v = wide(second.values);
    const Rng rng(1, "self-check");
    AdamwArgs args{};
    auto& parts = args.tensors[0];
    parts.p = ownP.data_ptr(), parts.g = ownG.const_data_ptr(), parts.count = 600, parts.keep = 0.9F, parts.site = 3;
    parts.m = (coded ? first.scales : first.values).data_ptr<float>();
    parts.v = (coded ? second.scales : second.values).data_ptr<float>();
    if (coded)
        parts.mCodes = first.codes.data_ptr<std::uint8_t>(), parts.vCodes = second.codes.data_ptr<std::uint8_t>();
    args.used = 1, args.number = numberOf(ownP), args.coded = coded, args.maps = maps.const_data_ptr<float>();
    args.step = 7, args.key0 = rng.key()[0], args.key1 = rng.key()[1];
    args.beta1 = 0.5F, args.beta2 = 0.75F, args.epsilon = 1e-3F;
    args.size = 0.125F, args.inverseRoot = 2, args.gradScale = 0.5F;
    launched(kernels, kernels.adamw(args));
    const Tensor newM = m * 0.5 + g * 0.25, newV = v * 0.75 + (g * 0.5).square() * 0.25;
    const Tensor newP = p * 0.9 - newM / (newV.sqrt() * 2 + 1e-3) * 0.125;
    if (!first.became(newM) || !second.became(newV))
        return false;
    if (type == at::kFloat)
        return close(ownP, newP, type);
    // The same neighbour, but where the last bit of float32 decides.
    const auto other = roundedAtRandom(newP.to(at::kFloat), rng, std::uint64_t{7} << 20 | 3).ne(ownP.cpu());
    return close(ownP, newP, type) && other.sum().item<std::int64_t>() <= 6;
}

/// Codes give the very values of the processor, in shapes that wide accesses fit or do not fit.
bool decodingAgrees(c10::Device device, at::ScalarType type)
{
    for (const auto& [rows, columns] : {std::pair{300, 64}, std::pair{3, 77}}) {
        const Tensor values = wave({rows, columns}, 0.7).to(at::kFloat);
        const float* data = values.const_data_ptr<float>();
        const Int8Matrix bytes(data, rows, columns);
        const Nf4Matrix halves(data, rows, columns);
        for (const DeviceMatrix& own : {DeviceMatrix(bytes, device), DeviceMatrix(halves, device)}) {
            const QuantisedMatrix& host = own.kind() == WeightKind::Int8 ? static_cast<const QuantisedMatrix&>(bytes) : halves;
            if (!at::equal(own.values(type).cpu(), decoded(host).to(type)))
                return false;
        }
    }
    return true;
}

bool squaresAgree(const KernelTable& kernels, c10::Device device, at::ScalarType type)
{
    const Tensor values = wave({3001}, 0.7).to(type), own = values.to(device);
    const Tensor sums = at::empty({SquaresArgs::kSlices}, at::TensorOptions(device).dtype(at::kDouble));
    SquaresArgs args{};
    args.values[0] = own.const_data_ptr(), args.counts[0] = own.numel(), args.used = 1, args.number = numberOf(own);
    args.sums = sums.data_ptr<double>();
    launched(kernels, kernels.sumsOfSquares(args));
    return close(sums.sum(), values.to(at::kDouble).square().sum(), at::kFloat);
}

} // namespace

std::vector<std::string> partingKernels(c10::Device device)
{
    std::vector<std::string> parting;
    for (const auto& [name, operation, shapes] : operations()) {
        for (const auto& inputs : shapes) {
            for (const auto type : {at::kFloat, at::kBFloat16}) {
                const bool known = !parting.empty() && parting.back() == name;
                if (!known && !agrees(operation, inputs, device, type))
                    parting.emplace_back(name);
            }
        }
    }
    const auto* kernels = kernelsFor(at::empty({0}, at::TensorOptions(device).dtype(at::kFloat)));
    bool steps = kernels, squares = kernels, codes = kernels;
    for (const auto type : {at::kFloat, at::kBFloat16}) {
        for (const bool coded : {false, true})
            steps = steps && adamwAgrees(*kernels, device, type, coded);
        squares = squares && squaresAgree(*kernels, device, type);
        codes = codes && decodingAgrees(device, type);
    }
    if (!steps)
        parting.emplace_back("optimizer step");
    if (!squares)
        parting.emplace_back("gradient length");
    if (!codes)
        parting.emplace_back("decoding");
    return parting;
}

bool flashAgrees(c10::Device device)
{
    const Offsets offsets = {0, 1, 1, 40, 100}; // a short one, an empty one and two long ones
    for (const std::int64_t window : {0, 7}) {
        const AttentionShape shape{0.25, window, 0};
        const auto attention = [&](const Tensors& in) {
            return in[0].device().is_cpu() ? packedAttention(in[0], in[1], in[2], offsets, shape)
                                           : flashAttention(in[0], in[1], in[2], offsets, shape);
        };
        if (!agrees(attention, {wave({100, 4, 64}, 0.7), wave({100, 2, 64}, 0.3), wave({100, 2, 64}, 0.5)}, device,
                    at::kBFloat16))
            return false;
    }
    return true;
}

} // namespace fettle::tensor::cuda

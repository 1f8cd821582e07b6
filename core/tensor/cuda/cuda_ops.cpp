#include "tensor/cuda/cuda_ops.h"

#include "tensor/files/four_bit.h"
#include "tensor/ops_detail.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

#include <atomic>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

namespace fettle::tensor::cuda {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

std::atomic<const KernelTable*> tableInUse = nullptr; // set once before tensors of the device exist; tests
c10::DeviceType deviceInUse = c10::DeviceType::CUDA;

const KernelTable& kernels() { return *tableInUse; }

/// Kernels are queued on the default stream.
bool onDefaultStream(c10::Device device)
{
    return device.is_cpu() || c10::impl::VirtualGuardImpl(device.type()).getStream(device).id() == 0;
}

struct RmsNormFunction : Function<RmsNormFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps)
    {
        const auto dim = x.size(-1), rows = x.numel() / dim;
        const Tensor y = at::empty_like(x), inverse = at::empty({rows}, x.options().dtype(at::kFloat));
        launched(kernels(), kernels().rmsForward({numberOf(x), x.const_data_ptr(), weight.const_data_ptr(), nullptr,
                                                  y.data_ptr(), inverse.data_ptr<float>(), nullptr, rows, dim,
                                                  static_cast<float>(eps)}));
        ctx->save_for_backward({x, weight, inverse});
        return y;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2], dy = grads[0].contiguous();
        const auto dim = x.size(-1), rows = x.numel() / dim, groups = (rows + kNormGroup - 1) / kNormGroup;
        const Tensor dx = at::empty_like(x);
        Tensor partial;
        if (ctx->needs_input_grad(1))
            partial = at::empty({groups, dim}, inverse.options());
        launched(kernels(), kernels().rmsBackward({numberOf(x), x.const_data_ptr(), weight.const_data_ptr(),
                                                   dy.const_data_ptr(), dx.data_ptr(), inverse.data_ptr<float>(),
                                                   partial.defined() ? partial.data_ptr<float>() : nullptr, rows, dim, 0}));
        return {dx, partial.defined() ? partial.sum(0).to(weight.scalar_type()) : Tensor(), Tensor()};
    }
};

const void* dataOf(const Tensor& x) { return x.defined() && x.numel() > 0 ? x.const_data_ptr() : nullptr; }

struct LayerNormFunction : Function<LayerNormFunction>
{
    /// Empty: no residual, no bias. -> x + residual (without one: x) and the norm of it.
    static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& residual, const Tensor& weight,
                                 const Tensor& bias, double eps)
    {
        const auto dim = x.size(-1), rows = x.numel() / dim;
        const bool adds = residual.numel() > 0;
        const Tensor y = at::empty_like(x), mean = at::empty({rows}, x.options().dtype(at::kFloat));
        const Tensor inverse = at::empty_like(mean), sum = adds ? at::empty_like(x) : x;
        LayerNormArgs args{};
        args.number = numberOf(x), args.x = x.const_data_ptr(), args.residual = dataOf(residual);
        args.sum = adds ? sum.data_ptr() : nullptr;
        args.weight = weight.const_data_ptr(), args.bias = dataOf(bias), args.out = y.data_ptr();
        args.mean = mean.data_ptr<float>(), args.inverse = inverse.data_ptr<float>();
        args.rows = rows, args.dim = dim, args.eps = static_cast<float>(eps);
        launched(kernels(), kernels().layerForward(args));
        ctx->save_for_backward({sum, weight, mean, inverse});
        ctx->saved_data["adds"] = adds;
        return adds ? variable_list{y, sum} : variable_list{y};
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &sum = saved[0], &weight = saved[1], &mean = saved[2];
        const bool adds = ctx->saved_data["adds"].toBool();
        const Tensor dy = grads[0].defined() ? grads[0].contiguous() : at::zeros_like(sum);
        const Tensor dSum = adds && grads[1].defined() ? grads[1].contiguous() : Tensor();
        const auto dim = sum.size(-1), rows = sum.numel() / dim, groups = (rows + kNormGroup - 1) / kNormGroup;
        const Tensor dx = at::empty_like(sum);
        LayerNormArgs args{};
        args.number = numberOf(sum), args.x = sum.const_data_ptr(), args.weight = weight.const_data_ptr();
        args.dy = dy.const_data_ptr(), args.dSum = dataOf(dSum), args.out = dx.data_ptr();
        args.mean = mean.data_ptr<float>(), args.inverse = saved[3].data_ptr<float>();
        args.rows = rows, args.dim = dim;
        Tensor partial;
        const bool wantWeight = ctx->needs_input_grad(2), wantBias = ctx->needs_input_grad(3);
        if (wantWeight || wantBias) {
            partial = at::empty({2, groups, dim}, mean.options());
            args.weightGrad = partial.data_ptr<float>(), args.biasGrad = args.weightGrad + groups * dim;
        }
        launched(kernels(), kernels().layerBackward(args));
        const auto summed = [&](std::int64_t which) { return partial[which].sum(0).to(weight.scalar_type()); };
        return {dx, adds ? dx : Tensor(), wantWeight ? summed(0) : Tensor(), wantBias ? summed(1) : Tensor(), Tensor()};
    }
};

Tensor turned(const Tensor& x, const Tensor& cosine, const Tensor& sine, float sign)
{
    const Tensor y = at::empty_like(x);
    launched(kernels(), kernels().rope({numberOf(x), x.const_data_ptr(), y.data_ptr(), cosine.const_data_ptr<float>(),
                                        sine.const_data_ptr<float>(), x.size(0), x.size(1), x.size(2), sign}));
    return y;
}

struct RopeFunction : Function<RopeFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& cosine, const Tensor& sine)
    {
        ctx->save_for_backward({cosine, sine});
        return turned(x, cosine, sine, 1);
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        return {turned(grads[0].contiguous(), saved[0], saved[1], -1), Tensor(), Tensor()};
    }
};

struct GateFunction : Function<GateFunction>
{
    /// An empty `up` means none.
    static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up, std::int64_t curve)
    {
        const Tensor h = at::empty_like(gate);
        GateArgs args{};
        args.number = numberOf(gate), args.curve = static_cast<Curve>(curve), args.count = gate.numel();
        args.gate = gate.const_data_ptr(), args.up = dataOf(up), args.h = h.data_ptr();
        launched(kernels(), kernels().gate(args));
        ctx->save_for_backward({gate, up});
        ctx->saved_data["curve"] = curve;
        return h;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &gate = saved[0], &up = saved[1], dh = grads[0].contiguous();
        const Tensor dGate = at::empty_like(gate), dUp = at::empty_like(up);
        const bool both = up.numel() > 0;
        GateArgs args{};
        args.number = numberOf(gate), args.curve = static_cast<Curve>(ctx->saved_data["curve"].toInt());
        args.gate = gate.const_data_ptr(), args.up = dataOf(up), args.dh = dh.const_data_ptr();
        args.dGate = dGate.data_ptr(), args.dUp = both ? dUp.data_ptr() : nullptr, args.count = gate.numel();
        launched(kernels(), kernels().gateBackward(args));
        return {dGate, both ? dUp : Tensor(), Tensor()};
    }
};

struct DropoutFunction : Function<DropoutFunction>
{
    /// `places` empty: rows are named by their number. The gradient draws the mask again.
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& places, double p, std::int64_t step,
                          std::int64_t key0, std::int64_t key1)
    {
        ctx->save_for_backward({places});
        ctx->saved_data["p"] = p;
        ctx->saved_data["draw"] = std::vector<std::int64_t>{step, key0, key1};
        return masked(x, places, p, {step, key0, key1});
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        return {masked(grads[0].contiguous(), saved[0], ctx->saved_data["p"].toDouble(), ctx->saved_data["draw"].toIntVector()),
                Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
    }

private:
    static Tensor masked(const Tensor& x, const Tensor& places, double p, const std::vector<std::int64_t>& draw)
    {
        const Tensor y = at::empty_like(x);
        launched(kernels(),
                 kernels().dropout({numberOf(x), x.const_data_ptr(), y.data_ptr(),
                                    places.numel() > 0 ? places.const_data_ptr<std::int64_t>() : nullptr, x.size(0), x.size(1),
                                    static_cast<std::uint64_t>(draw[0]), static_cast<std::uint32_t>(draw[1]),
                                    static_cast<std::uint32_t>(draw[2]), static_cast<std::uint32_t>(p * 4294967296.0),
                                    static_cast<float>(1.0 / (1.0 - p))}));
        return y;
    }
};

} // namespace

const KernelTable* kernelsFor(const Tensor& x)
{
    const KernelTable* table = tableInUse;
    const bool fits = table && x.device().type() == deviceInUse && !referenceForced()
                      && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && onDefaultStream(x.device());
    return fits ? table : nullptr;
}

Installed::Installed(const KernelTable& table, c10::DeviceType device)
{
    deviceInUse = device;
    tableInUse = &table;
}

Installed::~Installed()
{
    if (!m_keep)
        tableInUse = nullptr;
}

Number numberOf(const Tensor& x) { return x.scalar_type() == at::kFloat ? Number::Float32 : Number::BFloat16; }

Tensor codeMaps(c10::Device device)
{
    std::vector<Tensor> maps;
    for (const bool isSigned : {true, false})
        maps.push_back(at::tensor(at::ArrayRef<float>(dynamicMap(isSigned).data(), 256)));
    return at::stack(maps).to(device);
}

void launched(const KernelTable& table, int error)
{
    if (error != 0)
        throw std::runtime_error(fmt::format("a kernel of libfettle_cuda.so could not be started: {}", table.errorText(error)));
}

Tensor rmsNorm(const Tensor& x, const Tensor& weight, double eps)
{
    return RmsNormFunction::apply(x.contiguous(), weight.contiguous(), eps);
}

Tensor rope(const Tensor& x, const Tensor& cosine, const Tensor& sine)
{
    return RopeFunction::apply(x.contiguous(), cosine.contiguous(), sine.contiguous());
}

NormedSum layerNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, double eps)
{
    const Tensor none = at::empty({0}, x.options().requires_grad(false));
    const bool adds = residual.defined();
    const auto results = LayerNormFunction::apply(x.contiguous(), adds ? residual.contiguous() : none, weight.contiguous(),
                                                  bias.defined() ? bias.contiguous() : none, eps);
    return {adds ? results[1] : x, results[0]};
}

Tensor gated(Curve curve, const Tensor& gate, const Tensor& up)
{
    const Tensor none = at::empty({0}, gate.options().requires_grad(false));
    return GateFunction::apply(gate.contiguous(), up.defined() ? up.contiguous() : none, static_cast<std::int64_t>(curve));
}

Tensor dropout(const Tensor& x, double p, const MaskSource& source)
{
    const Tensor places = onDevice(at::tensor(at::ArrayRef<std::int64_t>(source.places.data(), source.places.size()), at::kLong),
                                   x.device());
    const auto key = source.rng.key();
    return DropoutFunction::apply(x.contiguous(), places, p, static_cast<std::int64_t>(source.step << 20 | source.site),
                                  static_cast<std::int64_t>(key[0]), static_cast<std::int64_t>(key[1]));
}

void lossOfRows(const Tensor& logits, const Tensor& labels, double scale, bool gradient, const Tensor& nll, const Tensor& best)
{
    launched(kernels(), kernels().loss({numberOf(logits), logits.data_ptr(), labels.const_data_ptr<std::int64_t>(),
                                        nll.data_ptr<float>(), best.data_ptr<std::int64_t>(), logits.size(0), logits.size(1),
                                        static_cast<float>(scale), gradient}));
}

} // namespace fettle::tensor::cuda

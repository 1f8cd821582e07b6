#include "tensor/ops.h"

#include "tensor/attention_op.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/matrix_products.h"
#include "tensor/ops_detail.h"
#include "tensor/parallel.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

thread_local bool referenceOnly = false;

/// Rows per task so that a task moves about 64 kB.
std::int64_t grain(std::int64_t dim) { return std::max<std::int64_t>(1, 16384 / dim); }

NormWeights rmsOf(const Tensor& weight, double eps)
{
    return {weight.const_data_ptr<float>(), nullptr, weight.size(0), static_cast<float>(eps)};
}

struct RmsNormFunction : Function<RmsNormFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps)
    {
        const auto dim = x.size(-1), rows = x.numel() / dim;
        Tensor y = at::empty_like(x);
        const auto norm = rmsOf(weight, eps);
        const float* xp = x.const_data_ptr<float>();
        float* yp = y.data_ptr<float>();
        at::parallel_for(0, rows, grain(dim), [&](std::int64_t from, std::int64_t to) {
            cpuKernels().norm(norm, xp + from * dim, yp + from * dim, to - from);
        });
        ctx->save_for_backward({x, weight});
        ctx->saved_data["eps"] = eps;
        return y;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1];
        const Tensor dy = grads[0].contiguous();
        const auto dim = x.size(-1), rows = x.numel() / dim;
        Tensor dx = at::empty_like(x);
        const bool wantWeight = ctx->needs_input_grad(1);
        // One partial sum per fixed block of rows, so the result does not depend on the threads.
        const std::int64_t block = 256, blocks = (rows + block - 1) / block;
        Tensor partial = wantWeight ? at::zeros({blocks, dim}, x.options()) : Tensor();
        float* pp = wantWeight ? partial.data_ptr<float>() : nullptr;
        const auto norm = rmsOf(weight, ctx->saved_data["eps"].toDouble());
        const float *dyp = dy.const_data_ptr<float>(), *xp = x.const_data_ptr<float>();
        float* dxp = dx.data_ptr<float>();
        at::parallel_for(0, blocks, 1, [&](std::int64_t from, std::int64_t to) {
            for (auto b = from; b < to; ++b) {
                const auto r = b * block, n = std::min(block, rows - r);
                cpuKernels().normBackward(norm, dyp + r * dim, xp + r * dim, dxp + r * dim,
                                          pp ? pp + b * dim : nullptr, nullptr, n);
            }
        });
        return {dx, wantWeight ? partial.sum(0) : Tensor(), Tensor()};
    }
};

Tensor turned(const Tensor& x, const Tensor& cosine, const Tensor& sine, float sign)
{
    const auto rows = x.size(0), heads = x.size(1), headDim = x.size(2);
    Tensor y = at::empty_like(x);
    const float *xp = x.const_data_ptr<float>(), *cp = cosine.const_data_ptr<float>();
    const float* sp = sine.const_data_ptr<float>();
    float* yp = y.data_ptr<float>();
    at::parallel_for(0, rows, grain(heads * headDim), [&](std::int64_t from, std::int64_t to) {
        const auto skip = from * heads * headDim;
        cpuKernels().rope(xp + skip, yp + skip, cp + from * headDim / 2, sp + from * headDim / 2,
                          {to - from, heads, heads * headDim, headDim, headDim}, sign);
    });
    return y;
}

struct RopeFunction : Function<RopeFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& cosine,
                          const Tensor& sine)
    {
        ctx->save_for_backward({cosine, sine});
        return turned(x.contiguous(), cosine, sine, 1);
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        return {turned(grads[0].contiguous(), saved[0], saved[1], -1), Tensor(), Tensor()};
    }
};

struct SiluGateFunction : Function<SiluGateFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up)
    {
        Tensor h = at::empty_like(gate);
        const float *gp = gate.const_data_ptr<float>(), *up_ = up.const_data_ptr<float>();
        float* hp = h.data_ptr<float>();
        at::parallel_for(0, gate.numel(), 16384, [&](std::int64_t from, std::int64_t to) {
            cpuKernels().activate(Activation::Silu, gp + from, up_ + from, hp + from, to - from);
        });
        ctx->save_for_backward({gate, up});
        return h;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor dh = grads[0].contiguous();
        Tensor dGate = at::empty_like(saved[0]), dUp = at::empty_like(saved[1]);
        const float *hp = dh.const_data_ptr<float>(), *gp = saved[0].const_data_ptr<float>();
        const float* up = saved[1].const_data_ptr<float>();
        float *dgp = dGate.data_ptr<float>(), *dup = dUp.data_ptr<float>();
        at::parallel_for(0, dh.numel(), 16384, [&](std::int64_t from, std::int64_t to) {
            cpuKernels().activateBackward(Activation::Silu, hp + from, gp + from, up + from,
                                          dgp + from, dup + from, nullptr, to - from);
        });
        return {dGate, dUp};
    }
};

} // namespace

ReferenceOps::ReferenceOps()
    : m_before(referenceOnly)
{
    referenceOnly = true;
}
ReferenceOps::~ReferenceOps() { referenceOnly = m_before; }

bool referenceForced() { return referenceOnly; }

bool useKernels(const Tensor& x)
{
    return !referenceOnly && x.device().is_cpu() && x.scalar_type() == at::kFloat && !cuda::kernelsFor(x);
}

Tensor rmsNorm(const Tensor& x, const Tensor& weight, double eps)
{
    if (useKernels(x))
        return RmsNormFunction::apply(x.contiguous(), weight, eps);
    if (cuda::kernelsFor(x) && weight.scalar_type() == x.scalar_type())
        return cuda::rmsNorm(x, weight, eps);
    const auto wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
    const auto y = wide * at::rsqrt(wide.pow(2).mean(-1, true) + eps);
    return y.to(x.scalar_type()) * weight;
}

NormedSum layerNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, double eps)
{
    if (cuda::kernelsFor(x) && weight.scalar_type() == x.scalar_type())
        return cuda::layerNorm(x, residual, weight, bias, eps);
    const auto sum = residual.defined() ? x + residual : x;
    return {sum, at::layer_norm(sum, weight.sizes(), weight, bias, eps)};
}

Tensor rope(const Tensor& x, const Tensor& cosine, const Tensor& sine)
{
    if (useKernels(x))
        return RopeFunction::apply(x, cosine, sine);
    if (cuda::kernelsFor(x) && cosine.scalar_type() == at::kFloat)
        return cuda::rope(x, cosine, sine);
    const auto halves = x.chunk(2, -1);
    const auto c = cosine.unsqueeze(1).to(x.scalar_type()),
               s = sine.unsqueeze(1).to(x.scalar_type());
    return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
}

Tensor siluGate(const Tensor& gate, const Tensor& up)
{
    if (useKernels(gate))
        return SiluGateFunction::apply(gate.contiguous(), up.contiguous());
    if (cuda::kernelsFor(gate) && up.scalar_type() == gate.scalar_type())
        return cuda::gated(cuda::Curve::Silu, gate, up);
    return at::silu(gate) * up;
}

Tensor geluGate(const Tensor& gate, const Tensor& up, bool tanh)
{
    if (cuda::kernelsFor(gate) && (!up.defined() || up.scalar_type() == gate.scalar_type()))
        return cuda::gated(tanh ? cuda::Curve::GeluTanh : cuda::Curve::Gelu, gate, up);
    const Tensor out = tanh ? at::gelu(gate, "tanh") : at::gelu(gate);
    return up.defined() ? out * up : out;
}

namespace {

struct LookUpFunction : Function<LookUpFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& table, const Tensor& ids, std::int64_t padding)
    {
        ctx->save_for_backward({table, ids});
        ctx->saved_data["padding"] = padding;
        return at::embedding(table, ids, padding);
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &table = saved[0], &ids = saved[1];
        const auto padding = ctx->saved_data["padding"].toInt();
        const Tensor rows = padding < 0 ? grads[0] : grads[0].masked_fill(ids.eq(padding).unsqueeze(1), 0);
        if (!table.grad().defined())
            addToGrad(table, at::zeros_like(table).set_requires_grad(false));
        table.grad().index_add_(0, ids, rows);
        return {Tensor(), Tensor(), Tensor()};
    }
};

} // namespace

void addToGrad(const Tensor& leaf, Tensor grad)
{
    const at::NoGradGuard noGrad;
    auto& own = const_cast<Tensor&>(leaf).mutable_grad();
    if (own.defined())
        own.add_(grad);
    else
        own = std::move(grad);
}

Tensor lookUp(const Tensor& table, const Tensor& ids, std::int64_t padding)
{
    if (at::GradMode::is_enabled() && table.is_leaf() && table.requires_grad())
        return LookUpFunction::apply(table, ids, padding);
    return at::embedding(table, ids, padding);
}

Tensor product(const Tensor& rows, const Tensor& weight)
{
    constexpr std::int64_t kOutputs = 192;
    if (!useKernels(rows) || !useKernels(weight) || rows.size(0) > kFewRows ||
        !weight.is_contiguous()) {
        Tensor y = at::empty({rows.size(0), weight.size(0)}, rows.options().requires_grad(false));
        product(rows, weight, y);
        return y;
    }
    const Tensor x = rows.contiguous();
    const auto count = x.size(0), in = x.size(1), out = weight.size(0);
    const Tensor y = at::empty({count, out}, x.options().requires_grad(false));
    const float *xp = x.const_data_ptr<float>(), *wp = weight.const_data_ptr<float>();
    float* yp = y.data_ptr<float>();
    parallelTasks((out + kOutputs - 1) / kOutputs, [&](std::int64_t task) {
        const auto from = task * kOutputs;
        cpuKernels().fewRows(xp, wp + from * in, yp + from, count, std::min(kOutputs, out - from),
                             in, out);
    });
    return y;
}

Tensor dropout(const Tensor& x, double p, const MaskSource& source)
{
    if (p <= 0)
        return x;
    const auto rows = x.size(0), dim = x.size(1);
    if (!source.places.empty() && static_cast<std::int64_t>(source.places.size()) != rows)
        throw std::logic_error("dropout: each row needs its place");
    if (cuda::kernelsFor(x))
        return cuda::dropout(x, p, source);
    Tensor mask = at::empty(x.sizes(), at::TensorOptions().dtype(at::kFloat));
    float* mp = mask.data_ptr<float>();
    const auto threshold = static_cast<std::uint32_t>(p * 4294967296.0);
    const auto keepScale = static_cast<float>(1.0 / (1.0 - p));
    const auto key = source.rng.key();
    at::parallel_for(0, rows, 16, [&](std::int64_t from, std::int64_t to) {
        for (auto r = from; r < to; ++r) {
            const auto place = source.places.empty() ? r : source.places[static_cast<std::size_t>(r)];
            cpuKernels().dropoutMask(mp + r * dim, place * dim, dim, source.step << 20 | source.site,
                                     key[0], key[1], threshold, keepScale);
        }
    });
    return x * onDevice(mask, x.device()).to(x.scalar_type());
}

double HeadLossInfo::total() const { return std::accumulate(nll.begin(), nll.end(), 0.0); }

} // namespace fettle::tensor

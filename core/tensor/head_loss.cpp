#include "tensor/kernels/cpu_kernels.h"
#include "tensor/ops.h"
#include "tensor/ops_detail.h"
#include "tensor/quantised_ops.h"
#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

/// Loss rows of one chunk; the logits become their gradient when `wantGrad`. logits [n, vocab]
void lossOfChunk(Tensor& logits, std::span<const std::int64_t> labels, double scale, bool wantGrad, double* nll,
                 std::vector<std::int64_t>& best)
{
    const auto n = logits.size(0), vocab = logits.size(1);
    best.resize(static_cast<std::size_t>(n));
    if (useKernels(logits)) {
        float* lp = logits.data_ptr<float>();
        at::parallel_for(0, n, 1, [&](std::int64_t from, std::int64_t to) {
            for (auto r = from; r < to; ++r)
                nll[r] = wantGrad ? cpuKernels().lossRow(lp + r * vocab, vocab, labels[r], static_cast<float>(scale),
                                                         &best[r])
                                  : cpuKernels().nllRow(lp + r * vocab, vocab, labels[r], &best[r]);
        });
        return;
    }
    const auto wide = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto index = at::tensor(at::ArrayRef<std::int64_t>(labels.data(), labels.size())).to(logits.device()).unsqueeze(1);
    const auto logp = at::log_softmax(logits, -1, wide);
    const auto values = logp.gather(1, index).neg().to(at::kDouble).cpu().contiguous();
    const auto tops = logits.argmax(-1).cpu().contiguous();
    std::copy_n(values.const_data_ptr<double>(), n, nll);
    std::copy_n(tops.const_data_ptr<std::int64_t>(), n, best.data());
    if (wantGrad)
        logits = ((logp.exp() - at::zeros_like(logp).scatter(1, index, 1.0)) * scale).to(logits.scalar_type());
}

/// Rows per chunk: small chunks stay in the cache; with a trainable head each chunk also passes over
/// the head's gradient, so chunks are larger.
std::int64_t chunkRows(bool trainableHead) { return trainableHead ? 256 : 128; }

struct HeadLossFunction : Function<HeadLossFunction>
{
    /// An empty weight means a packed one, an empty bias none.
    static Tensor forward(AutogradContext* ctx, const Tensor& rows, const Tensor& weight, const Tensor& bias,
                          std::int64_t headAddress, const std::vector<std::int64_t>& labels, double scale,
                          std::int64_t infoAddress)
    {
        const auto& head = *reinterpret_cast<const Head*>(headAddress);
        const auto softcap = head.softcap;
        const auto vocab = head.packed ? head.packed->rows() : weight.size(0);
        auto& info = *reinterpret_cast<HeadLossInfo*>(infoAddress);
        const auto count = rows.size(0);
        info.nll.assign(static_cast<std::size_t>(count), 0.0);
        info.correct = 0;
        const bool wantRows = rows.requires_grad(), wantWeight = weight.requires_grad();
        const bool wantBias = bias.requires_grad();
        const bool wantGrad = wantRows || wantWeight || wantBias;
        Tensor dRows = wantRows ? at::empty_like(rows) : Tensor();
        Tensor dWeight = wantWeight ? at::zeros_like(weight) : Tensor();
        Tensor dBias = wantBias ? at::zeros_like(bias) : Tensor();
        std::vector<std::int64_t> best;
        const auto chunk = chunkRows(wantWeight);
        for (std::int64_t from = 0; from < count; from += chunk) {
            const auto n = std::min(chunk, count - from);
            const Tensor h = rows.narrow(0, from, n);
            Tensor logits = at::empty({n, vocab}, rows.options().requires_grad(false));
            if (head.packed)
                product(h, *head.packed, logits);
            else
                at::mm_out(logits, h, weight.t());
            if (bias.numel() > 0)
                logits.add_(bias);
            Tensor slope;                                              // d capped / d logits
            if (softcap > 0) {
                logits = at::tanh(logits / softcap);
                slope = 1 - logits * logits;
                logits.mul_(softcap);
            }
            const auto part = std::span(labels).subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(n));
            lossOfChunk(logits, part, scale, wantGrad, info.nll.data() + from, best);
            for (std::size_t r = 0; r < part.size(); ++r)
                info.correct += best[r] == part[r];
            if (wantGrad && slope.defined())
                logits.mul_(slope);
            if (wantRows) {
                Tensor dPart = dRows.narrow(0, from, n);
                if (head.packed)
                    productBack(logits, *head.packed, dPart);
                else
                    at::mm_out(dPart, logits, weight);
            }
            if (wantWeight)
                dWeight.addmm_(logits.t(), h);
            if (wantBias)
                dBias.add_(logits.sum(0));
        }
        ctx->saved_data["dRows"] = dRows;
        ctx->saved_data["weight"] = weight;
        ctx->saved_data["dWeight"] = dWeight;
        ctx->saved_data["dBias"] = dBias;
        return at::scalar_tensor(info.total() * scale, rows.options());
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto scaled = [&](const char* name) {
            const Tensor grad = ctx->saved_data[name].toTensor();
            return grad.defined() ? grad.mul_(grads[0]) : grad;
        };
        // A table as large as the vocabulary goes where it belongs at once, without a second one on the way.
        const Tensor weight = ctx->saved_data["weight"].toTensor();
        Tensor dWeight = scaled("dWeight");
        if (dWeight.defined() && weight.is_leaf()) {
            ctx->saved_data.erase("dWeight");
            addToGrad(weight, std::move(dWeight));
            dWeight = Tensor();
        }
        return {scaled("dRows"), dWeight, scaled("dBias"), Tensor(), Tensor(), Tensor(), Tensor()};
    }
};

} // namespace

Tensor headLoss(const Tensor& rows, const Head& head, std::span<const std::int64_t> labels, double scale,
                HeadLossInfo& info)
{
    const std::vector<std::int64_t> copy(labels.begin(), labels.end());
    const Tensor none = at::empty({0}, rows.options().requires_grad(false));
    return HeadLossFunction::apply(rows, head.packed ? none : head.weight, head.bias.defined() ? head.bias : none,
                                   reinterpret_cast<std::int64_t>(&head), copy, scale,
                                   reinterpret_cast<std::int64_t>(&info));
}

} // namespace fettle::tensor

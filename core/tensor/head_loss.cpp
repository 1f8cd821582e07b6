#include "tensor/cuda/cuda_ops.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/matrix_products.h"
#include "tensor/ops.h"
#include "tensor/ops_detail.h"
#include "tensor/quantised_ops.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

/// Losses of rows, chunk after chunk. What a device computes is read once, at the end, or not at all.
class RowLosses
{
public:
    RowLosses(const Tensor& rows, std::span<const std::int64_t> labels, HeadLossInfo& info)
        : m_labels(labels)
        , m_info(info)
    {
        info.nll.assign(labels.size(), 0.0);
        info.correct = 0;
        if (useKernels(rows))
            return;
        const auto count = static_cast<std::int64_t>(labels.size());
        m_index = onDevice(at::tensor(at::ArrayRef<std::int64_t>(labels.data(), labels.size()), at::kLong), rows.device());
        m_nll = at::empty({count}, m_index.options().dtype(rows.scalar_type() == at::kDouble ? at::kDouble : at::kFloat));
        m_best = at::empty({count}, m_index.options());
    }

    /// logits [n, vocab] of the rows from `from` on; they become their gradient when `wantGrad`.
    void take(Tensor& logits, std::int64_t from, double scale, bool wantGrad)
    {
        if (useKernels(logits))
            takeOnProcessor(logits, from, scale, wantGrad);
        else if (cuda::kernelsFor(logits))
            cuda::lossOfRows(logits, part(m_index, logits, from), scale, wantGrad, part(m_nll, logits, from),
                             part(m_best, logits, from));
        else
            takeReadably(logits, from, scale, wantGrad);
    }

    /// Fills the info.
    void read()
    {
        if (!m_nll.defined())
            return;
        const auto nll = m_nll.to(at::kDouble);
        const bool elsewhere = !nll.device().is_cpu() || cuda::kernelsFor(m_nll);
        if (m_info.sumAlone && elsewhere) {
            m_info.sum = nll.sum();
            m_info.nll.clear();
            return;
        }
        const auto hits = m_best.eq(m_index).sum().to(at::kDouble);
        const auto all = at::cat({nll, hits.view({1})}).cpu();
        const double* values = all.const_data_ptr<double>();
        std::copy_n(values, nll.numel(), m_info.nll.data());
        m_info.correct = static_cast<std::int64_t>(values[nll.numel()]);
    }

private:
    static Tensor part(const Tensor& all, const Tensor& logits, std::int64_t from)
    {
        return all.narrow(0, from, logits.size(0));
    }
    void takeOnProcessor(Tensor& logits, std::int64_t begin, double scale, bool wantGrad)
    {
        const auto n = logits.size(0), vocab = logits.size(1);
        const auto labels = m_labels.subspan(static_cast<std::size_t>(begin));
        double* nll = m_info.nll.data() + begin;
        std::vector<std::int64_t> best(static_cast<std::size_t>(n));
        float* lp = logits.data_ptr<float>();
        at::parallel_for(0, n, 1, [&](std::int64_t from, std::int64_t to) {
            for (auto r = from; r < to; ++r)
                nll[r] = wantGrad ? cpuKernels().lossRow(lp + r * vocab, vocab, labels[r], static_cast<float>(scale),
                                                         &best[r])
                                  : cpuKernels().nllRow(lp + r * vocab, vocab, labels[r], &best[r]);
        });
        for (std::size_t r = 0; r < best.size(); ++r)
            m_info.correct += best[r] == labels[r];
    }
    void takeReadably(Tensor& logits, std::int64_t from, double scale, bool wantGrad)
    {
        const auto index = part(m_index, logits, from).unsqueeze(1);
        const auto logp = at::log_softmax(logits, -1, m_nll.scalar_type());
        part(m_nll, logits, from).copy_(logp.gather(1, index).squeeze(1).neg());
        part(m_best, logits, from).copy_(logits.argmax(-1));
        if (wantGrad)
            logits = ((logp.exp() - at::zeros_like(logp).scatter(1, index, 1.0)) * scale).to(logits.scalar_type());
    }

    std::span<const std::int64_t> m_labels;
    HeadLossInfo& m_info;
    Tensor m_index, m_nll, m_best; ///< of all rows; undefined where the processor's kernels work
};

/// Rows per chunk: each passes over the whole head, but its logits should not take much. A graphics card wants many
/// rows at a time, as far as 256 MiB of logits hold them.
std::int64_t chunkRows(const Tensor& rows, std::int64_t vocab)
{
    if (rows.device().is_cpu())
        return 256;
    const auto bytes = static_cast<std::int64_t>(rows.element_size());
    return std::clamp<std::int64_t>((std::int64_t{256} << 20) / (vocab * bytes), 256, 8192);
}

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
        RowLosses losses(rows, labels, info);
        const bool wantRows = rows.requires_grad(), wantWeight = weight.requires_grad();
        const bool wantBias = bias.requires_grad();
        const bool wantGrad = wantRows || wantWeight || wantBias;
        Tensor dRows = wantRows ? at::empty_like(rows) : Tensor();
        Tensor dWeight = wantWeight ? at::zeros_like(weight) : Tensor();
        Tensor dBias = wantBias ? at::zeros_like(bias) : Tensor();
        const auto chunk = chunkRows(rows, vocab);
        const Tensor room = at::empty({std::min(chunk, count), vocab}, rows.options().requires_grad(false));
        for (std::int64_t from = 0; from < count; from += chunk) {
            const auto n = std::min(chunk, count - from);
            const Tensor h = rows.narrow(0, from, n);
            Tensor logits = room.narrow(0, 0, n);
            if (head.packed)
                product(h, *head.packed, logits);
            else
                product(h, weight, logits);
            if (bias.numel() > 0)
                logits.add_(bias);
            Tensor slope;                                              // d capped / d logits
            if (softcap > 0) {
                logits = at::tanh(logits / softcap);
                slope = 1 - logits * logits;
                logits.mul_(softcap);
            }
            losses.take(logits, from, scale, wantGrad);
            if (wantGrad && slope.defined())
                logits.mul_(slope);
            if (wantRows) {
                Tensor dPart = dRows.narrow(0, from, n);
                if (head.packed)
                    productBack(logits, *head.packed, dPart);
                else
                    productBack(logits, weight, dPart);
            }
            if (wantWeight)
                dWeight.addmm_(logits.t(), h);
            if (wantBias)
                dBias.add_(logits.sum(0));
        }
        losses.read();
        ctx->saved_data["dRows"] = dRows;
        ctx->saved_data["weight"] = weight;
        ctx->saved_data["dWeight"] = dWeight;
        ctx->saved_data["dBias"] = dBias;
        if (info.sum.defined())
            return (info.sum * scale).to(rows.scalar_type());
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

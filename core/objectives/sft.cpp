#include "model/experts.h"
#include "objectives/objective.h"
#include "tensor/ops.h"
#include "tensor/torch_pch.h"

namespace fettle::objectives {

namespace {

/// Supervised fine-tuning: mean negative log-likelihood of the taught tokens,
/// loss = sum over taught t of -log p(x_t | x_<t) / taught tokens of the window.
/// Models with experts whose config.json asks for it (output_router_logits) add their balance loss.
/// The shift by one happens here and nowhere else. A batch without targets gives exactly 0.
/// Source: the language-modelling objective (Radford et al. 2018, eq. 1) over answers only.
class Sft final : public Objective
{
public:
    ObjectiveSpec spec() const override
    {
        ObjectiveSpec spec;
        spec.id = "sft";
        spec.title = "Answer like the examples";
        spec.help = "The model learns to write the answers of your rows.";
        spec.source = "supervised fine-tuning";
        ParamSpec lossOn{"sft.lossOn", "Taught pieces", "trained labels", "Which word pieces the model learns to write.",
                         "Questions are only read, so that the model learns to answer, not to ask.", ParamKind::Choice,
                         "answers"};
        lossOn.choices = {"answers", "all", "last"};
        lossOn.choiceLabels = {"answers only", "everything", "the last answer only"};
        lossOn.basic = true;
        spec.parameters = {lossOn};
        return spec;
    }

    Totals measure(const Batch& batch) const override
    {
        return {{"tokens", static_cast<double>(batch.trainedCount())}};
    }

    Loss compute(TrainContext& context, const Batch& batch, const Totals& window) const override
    {
        std::vector<std::int64_t> rows, labels, owner;
        const auto documents = batch.rows.size();
        for (std::size_t d = 0; d < documents; ++d) {
            for (auto t = batch.tokens.offsets[d] + 1; t < batch.tokens.offsets[d + 1]; ++t) {
                if (batch.trained[static_cast<std::size_t>(t)]) {
                    rows.push_back(t - 1);
                    labels.push_back(batch.tokens.ids[static_cast<std::size_t>(t)]);
                    owner.push_back(static_cast<std::int64_t>(d));
                }
            }
        }
        auto& model = context.policy;
        auto pass = context.pass;
        std::vector<at::Tensor> routed;
        const auto& experts = model.config.experts;
        if (pass.training && experts.balance > 0)
            pass.routerLogits = &routed;
        pass.wanted = rows;
        // [rows, hidden]; a batch without targets still runs, for its zero gradient.
        const auto hidden = model.hidden(batch.tokens, pass);
        const auto picked = rows.empty() ? hidden.narrow(0, 0, 0) : hidden;
        tensor::HeadLossInfo info;
        info.sumAlone = pass.training;
        Loss loss;
        loss.value = model.loss(picked, labels, 1.0 / window.at("tokens"), info);
        if (!routed.empty()) // of several micro-batches the mean, weighted by what each teaches
            loss.value = loss.value + model::balanceLoss(routed, experts.perToken) *
                                          (experts.balance * static_cast<double>(labels.size()) /
                                           window.at("tokens"));
        loss.weight = static_cast<double>(labels.size());
        loss.sumThere = info.sum;
        if (info.sum.defined())
            return loss;
        loss.sum = info.total();
        loss.correct = info.correct;
        loss.rowSum.assign(documents, 0.0);
        loss.rowWeight.assign(documents, 0);
        for (std::size_t i = 0; i < owner.size(); ++i) {
            loss.rowSum[static_cast<std::size_t>(owner[i])] += info.nll[i];
            ++loss.rowWeight[static_cast<std::size_t>(owner[i])];
        }
        return loss;
    }
};

} // namespace

std::unique_ptr<Objective> makeSft();
std::unique_ptr<Objective> makeSft() { return std::make_unique<Sft>(); }

} // namespace fettle::objectives

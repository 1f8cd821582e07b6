#pragma once

#include "golden.h"
#include "methods/method.h"
#include "model/decoder.h"
#include "objectives/objective.h"
#include "recipes/settings.h"
#include "tensor/ops.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

/// What the tests of the fused pass share: loss and gradients of a micro-batch, either way.
namespace fettle::tests {

struct Case
{
    const char* name;
    const char* method = "full";
    std::int64_t rank = 4;
    double dropout = 0;
    std::vector<std::string> targets = {"all-linear"};
    std::int64_t window = 0;
    bool biases = false;
    int labelEvery = 1; ///< 1: all tokens are taught, 5: every fifth
    std::vector<std::int64_t> lengths = {5, 1, 40, 333, 17};
    std::int64_t recomputed = 0; ///< layers whose activations are made again
};

inline objectives::Batch batchOf(const Case& c, std::int64_t vocab)
{
    objectives::Batch batch;
    const Rng rng(9, "words");
    for (std::size_t d = 0; d < c.lengths.size(); ++d) {
        std::vector<std::int32_t> ids;
        std::vector<std::uint8_t> trained;
        for (std::int64_t t = 0; t < c.lengths[d]; ++t) {
            ids.push_back(static_cast<std::int32_t>(rng.bits(d, static_cast<std::uint64_t>(t)) %
                                                    static_cast<std::uint64_t>(vocab)));
            trained.push_back(t > 0 && t % c.labelEvery == 0);
        }
        batch.add(ids, trained, static_cast<std::int64_t>(d));
    }
    return batch;
}

struct Outcome
{
    double loss = 0;
    std::vector<std::pair<std::string, at::Tensor>> gradients;
};

/// Loss and gradients of one micro-batch, twice over so that gradients add up.
inline Outcome outcomeOf(const Case& c, std::unique_ptr<model::Decoder> decoder, bool reference)
{
    std::optional<tensor::ReferenceOps> slow;
    if (reference)
        slow.emplace();
    ParamValues values(recipes::trainingSettings());
    values.set("method", c.method).value();
    if (std::string(c.method) == "lora") {
        values.set("lora.rank", c.rank).value();
        values.set("lora.dropout", c.dropout).value();
        values.set("lora.targets", Json(c.targets)).value();
    }
    auto attached = methods::makeMethod(c.method)
                        .value()
                        ->attach(*decoder, values, Rng(1, "adapter init"))
                        .value();
    at::manual_seed(5);
    for (const auto& each :
         attached->trainable()) { // B starts at zero, which would hide A's gradient
        const at::NoGradGuard noGrad;
        if (each.name.ends_with("lora_B.weight"))
            each.value.copy_(at::randn(each.value.sizes()) * 0.05);
    }
    auto objective = objectives::makeObjective("sft").value();
    const auto batch = batchOf(c, decoder->config.vocab);
    const Rng dropout(7, "dropout");
    Outcome outcome;
    for (std::uint64_t draw : {3u, 4u}) {
        objectives::TrainContext context{*decoder, {true, &dropout, draw}};
        const auto places = batch.places();
        context.pass.places = places;
        context.pass.recomputedLayers = c.recomputed;
        auto loss = objective->compute(context, batch, objective->measure(batch));
        loss.value.backward();
        outcome.loss += loss.sum;
    }
    for (const auto& each : attached->trainable()) {
        const auto grad = each.value.grad();
        outcome.gradients.emplace_back(each.name,
                                       grad.defined() ? grad.clone() : at::zeros_like(each.value));
    }
    return outcome;
}

/// Empty, or what differs between two outcomes: the loss by more than 1e-5 or a gradient by more than
/// 1e-4 of its largest element.
inline std::string differenceOf(const Outcome& ours, const Outcome& expected)
{
    if (!near(ours.loss, expected.loss, 1e-5, 0))
        return "loss " + std::to_string(ours.loss) + " against " + std::to_string(expected.loss);
    if (ours.gradients.size() != expected.gradients.size())
        return "another number of gradients";
    for (std::size_t i = 0; i < ours.gradients.size(); ++i) {
        const auto& [name, grad] = ours.gradients[i];
        const auto& other = expected.gradients[i].second;
        const double size = other.abs().max().item<double>();
        const double difference = (grad - other).abs().max().item<double>();
        if (!(difference <= 1e-4 * size + 1e-6))
            return name + ": " + std::to_string(difference) + " at a size of " +
                   std::to_string(size);
    }
    return {};
}

} // namespace fettle::tests

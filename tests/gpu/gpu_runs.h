#pragma once

#include "methods/method.h"
#include "methods/specs.h"
#include "model/load.h"
#include "tensor/ops.h"
#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <cmath>
#include <cstdio>
#include <functional>
#include <optional>

namespace fettle::gpu {

/// Ends the program where there is no usable card, with the sentence of the program and the code that
/// CTest takes for "skipped".
constexpr int kNoCard = 77;

/// One training run on a model with random weights.
struct Setup
{
    std::string method = "lora";
    bool eightBits = false; ///< moments of the optimizer
    bool hostMoments = false;
    std::int64_t recomputed = 0; ///< layers that are made again
    double dropout = 0, learningRate = 1e-3, weightDecay = 0.01;
    std::vector<train::EncodedRow> rows;
    std::int64_t batchSize = 4, microBatchTokens = 512, steps = 8;
    std::filesystem::path folder; ///< of the run
    std::int64_t stopAfter = -1;  ///< a person stops it after this step
    bool resume = false;
    bool readable = false;        ///< LibTorch's operations alone
    bool save = true;             ///< false: ends before its last save point
    std::function<void(const methods::Attached&)> prepare; ///< before the first step; may be empty
};

struct Curve
{
    std::vector<double> losses, gradNorms, rates; ///< rates: real tokens a second
    std::vector<at::Tensor> weights;              ///< what trained, on the processor
};

/// Rows of random ids: lengths of a lognormal law, the last third taught.
inline std::vector<train::EncodedRow> randomRows(std::int64_t count, std::int64_t vocab, double median, double sigma,
                                                 std::int64_t longest)
{
    const Rng rng(11, "rows of a check");
    std::vector<train::EncodedRow> rows;
    for (std::int64_t r = 0; r < count; ++r) {
        const auto step = static_cast<std::uint64_t>(r);
        const double normal = std::sqrt(-2 * std::log(1 - rng.uniform(step, 0))) * std::cos(2 * 3.14159265358979 * rng.uniform(step, 1));
        const auto length = std::clamp<std::int64_t>(std::llround(median * std::exp(sigma * normal)), 8, longest);
        train::EncodedRow row{r, {}, {}};
        for (std::int64_t i = 0; i < length; ++i) {
            row.ids.push_back(static_cast<std::int32_t>(rng.bits(step, static_cast<std::uint64_t>(2 + i)) % static_cast<std::uint64_t>(vocab)));
            row.trained.push_back(i * 3 >= length * 2 ? 1 : 0);
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

inline std::unique_ptr<methods::Attached> attach(model::LanguageModel& model, const Setup& setup)
{
    const auto method = methods::makeMethod(setup.method).value();
    ParamValues values(method->spec().parameters);
    if (setup.method == "lora")
        values.set("lora.dropout", setup.dropout).value();
    return method->attach(model, values, Rng(1, "adapter init")).value();
}

inline train::TrainerSettings settingsOf(const Setup& setup)
{
    train::TrainerSettings settings;
    settings.maxSteps = setup.steps, settings.passes = 1000, settings.batchSize = setup.batchSize;
    settings.microBatchTokens = setup.microBatchTokens, settings.schedule = "constant";
    settings.learningRate = setup.learningRate, settings.optimizer.weightDecay = setup.weightDecay;
    settings.optimizer.eightBits = setup.eightBits, settings.optimizer.hostMoments = setup.hostMoments;
    settings.recomputedLayers = setup.recomputed;
    settings.checkEvery = settings.checkpointEvery = setup.steps + 1000;
    settings.earlyStop = settings.stopOnRise = false;
    settings.seed = settings.optimizer.seed = 5;
    return settings;
}

/// Carries the run out. What goes wrong is thrown with its sentence.
inline Curve carryOut(model::Decoder& model, const Setup& setup)
{
    const auto attached = attach(model, setup);
    if (setup.prepare)
        setup.prepare(*attached);
    const auto objective = objectives::makeObjective("sft").value();
    std::stop_source stop;
    jobs::JobContext context(std::make_shared<jobs::EventQueue>(), stop.get_token());
    Curve curve;
    const auto record = [&](const jobs::Event& event) -> Result<void> {
        const auto* step = std::get_if<jobs::StepDone>(&event);
        if (!step)
            return {};
        curve.losses.push_back(step->loss), curve.gradNorms.push_back(step->gradNorm);
        curve.rates.push_back(step->tokensPerSecond);
        if (step->step == setup.stopAfter)
            stop.request_stop();
        if (!setup.save && step->step == setup.steps)
            return Error{ErrorCode::Cancelled, "measured", "", ""};
        return {};
    };
    train::Trainer trainer({model, *attached, *objective, setup.rows, {}, settingsOf(setup), setup.folder, "random",
                            Json{{"k", 1}}, record, {}, {}},
                           context);
    if (setup.resume)
        trainer.resume(train::findCheckpoint(setup.folder).folder.value()).value();
    std::optional<tensor::ReferenceOps> reference;
    if (setup.readable)
        reference.emplace();
    const auto end = trainer.run();
    if (!end && end.error().code != ErrorCode::Cancelled)
        throw std::runtime_error(end.error().sentence());
    for (const auto& each : attached->trainable())
        curve.weights.push_back(each.value.detach().cpu().clone());
    for (auto* site : model.sites())
        site->term.reset();
    return curve;
}

} // namespace fettle::gpu

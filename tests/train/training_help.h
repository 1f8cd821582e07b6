#pragma once

#include "golden.h"
#include "model/load.h"
#include "recipes/settings.h"
#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <functional>
#include <limits>
#include <optional>
#include <stop_token>

namespace fettle::tests {

inline std::unique_ptr<model::Decoder> tinyDecoder(at::ScalarType dtype = at::kFloat)
{
    auto files = model::ModelFiles::open(sourceFolder() / "tests/fixtures/tiny_llama").value();
    return model::loadDecoder(files, c10::kCPU, dtype).value();
}

inline std::vector<train::EncodedRow> rowsOf(const Json& batches)
{
    std::vector<train::EncodedRow> rows;
    for (const auto& batch : batches) {
        for (const auto& row : batch)
            rows.push_back({static_cast<std::int64_t>(rows.size()), row["ids"].get<std::vector<std::int32_t>>(),
                            row["trained"].get<std::vector<std::uint8_t>>()});
    }
    return rows;
}

/// The start that the reference script uses too.
inline void ramp(at::Tensor a, double scale)
{
    const at::NoGradGuard noGrad;
    float* p = a.data_ptr<float>();
    for (std::int64_t k = 0; k < a.numel(); ++k)
        p[k] = (static_cast<float>((k * 7919) % 1000) / 1000.0f - 0.5f) * static_cast<float>(scale);
}

inline ParamValues settingsFor(const std::string& method)
{
    ParamValues values(recipes::trainingSettings());
    values.set("method", method).value();
    values.set("training.batchSize", 4).value();
    values.set("training.learningRate", 2e-3).value();
    values.set("training.warmup", 0.1).value();
    values.set("training.microBatchTokens", 160).value();
    values.set("lora.rank", 4).value();
    values.set("lora.dropout", 0.1).value();
    values.set("checks.everySteps", 4).value();
    values.set("checks.earlyStop", false).value();
    values.set("checkpoints.everySteps", 3).value();
    values.set("training.passes", 1.2).value();
    return values;
}

/// One whole run in its own folder, as a job would do it, and where it may be disturbed.
struct Disturbance
{
    bool resume = false;
    std::int64_t stopAfter = -1;                 ///< a person stops it after this step
    std::int64_t stopInCheck = -1;               ///< ... or during the check at this step
    std::optional<double> rate;                  ///< factor on the rate when resuming
    std::int64_t from = std::numeric_limits<std::int64_t>::max();
    std::function<void(std::int64_t, methods::Attached&)> meddle;
    const objectives::Objective* objective = nullptr;
    std::function<Result<void>(const jobs::Event&)> record;
};

struct RunOnce
{
    std::vector<jobs::StepDone> steps;
    std::vector<jobs::EvalDone> evals;
    std::vector<jobs::Warning> warnings;
    std::vector<jobs::CheckpointSaved> saved;
    std::vector<at::Tensor> weights;
    std::optional<Error> error;
    bool stopped = false;
};

inline RunOnce carryOut(const ParamValues& values, const std::filesystem::path& folder, const Disturbance& how = {})
{
    auto decoder = tinyDecoder();
    auto attached = methods::makeMethod(values.text("method")).value()->attach(*decoder, values, Rng(1, "adapter init")).value();
    const auto sft = objectives::makeObjective("sft").value();
    auto rows = rowsOf(golden("model_tiny.json")["batches"]);
    std::vector<train::EncodedRow> checking(rows.end() - 8, rows.end());
    rows.resize(rows.size() - 8);
    std::stop_source stop;
    jobs::JobContext context(std::make_shared<jobs::EventQueue>(), stop.get_token());
    RunOnce out;
    const auto record = [&](const jobs::Event& event) -> Result<void> {
        if (const auto* step = std::get_if<jobs::StepDone>(&event)) {
            out.steps.push_back(*step);
            if (step->step == how.stopAfter)
                stop.request_stop();
            if (how.meddle)
                how.meddle(step->step, *attached);
        }
        if (const auto* eval = std::get_if<jobs::EvalDone>(&event)) {
            out.evals.push_back(*eval);
            if (eval->step == how.stopInCheck)
                stop.request_stop();
        }
        if (const auto* warning = std::get_if<jobs::Warning>(&event))
            out.warnings.push_back(*warning);
        if (const auto* saved = std::get_if<jobs::CheckpointSaved>(&event))
            out.saved.push_back(*saved);
        return how.record ? how.record(event) : Result<void>();
    };
    train::Trainer trainer({*decoder, *attached, how.objective ? *how.objective : *sft, rows, checking,
                            train::TrainerSettings::from(values, 5), folder, "tiny", Json{{"k", 1}}, record, {}, {}},
                           context);
    if (how.resume)
        trainer.resume(*train::findCheckpoint(folder, how.from).folder, how.rate).value();
    auto end = trainer.run();
    if (!end)
        out.error = end.error();
    else
        out.stopped = std::holds_alternative<jobs::Stopped>(*end);
    for (const auto& each : attached->trainable())
        out.weights.push_back(each.value.detach().clone());
    return out;
}

} // namespace fettle::tests

// The training loop of the program over rows from a file, step by step in the file's order; prints
// one line of JSON. fettle_bench.py runs it in turn with the peers, which read the same file.

#include "adapter_start.h"
#include "base/json.h"
#include "methods/method.h"
#include "model/load.h"
#include "objectives/objective.h"
#include "process_facts.h"
#include "recipes/memory.h"
#include "recipes/settings.h"
#include "tensor/device.h"
#include "tensor/kernels/cpu_kernels.h"
#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

using namespace fettle;

namespace {

struct Options
{
    std::string model, ids, method = "lora", optimizer = "adamw", weights = "float32",
                            recompute = "none";
    std::int64_t steps = 3, micro = 0;
    int threads = 0;
};

struct Steps
{
    std::vector<train::EncodedRow>
        rows; ///< of all steps, in the order in which they are to be read
    std::int64_t perStep = 0;
    std::vector<double> tokens; ///< of each step
};

Steps readSteps(const Options& options)
{
    const auto file = readJsonFile(options.ids).value();
    Steps out;
    for (std::int64_t s = 0; s <= options.steps; ++s) {
        const auto& step = file.at("steps").at(static_cast<std::size_t>(s));
        double tokens = 0;
        for (const auto& row : step) {
            out.rows.push_back({static_cast<std::int64_t>(out.rows.size()),
                                row.at("ids").get<std::vector<std::int32_t>>(),
                                row.at("trained").get<std::vector<std::uint8_t>>()});
            tokens += static_cast<double>(out.rows.back().ids.size());
        }
        out.perStep = static_cast<std::int64_t>(step.size());
        out.tokens.push_back(tokens);
    }
    return out;
}

/// The rows put where the plan of a run looks for them, so that step s reads the rows of step s.
std::vector<train::EncodedRow> laidOut(const Steps& steps, const train::TrainerSettings& settings)
{
    std::vector<train::EncodedRow> out(steps.rows.size());
    const train::BatchPlan plan(std::vector<std::int64_t>(out.size(), 1), steps.perStep,
                                settings.microBatchTokens, settings.seed);
    std::size_t next = 0;
    for (std::int64_t s = 0; s < plan.stepsPerPass(); ++s) {
        for (const auto& bin : plan.window(s)) {
            for (const auto index : bin)
                out[index] = steps.rows[next++];
        }
    }
    return out;
}

ParamValues valuesFor(const Options& options)
{
    ParamValues values(recipes::trainingSettings());
    values.set("method", options.method).value();
    values.set("lora.rank", 16).value();
    values.set("lora.alpha", 32.0).value();
    values.set("lora.dropout", 0.0).value();
    values.set("model.weights", options.weights).value();
    values.set("training.recompute", options.recompute).value();
    if (options.micro > 0)
        values.set("training.microBatchTokens", options.micro).value();
    return values;
}

train::TrainerSettings settingsFor(const ParamValues& values, const Options& options,
                                   const Steps& steps)
{
    auto settings = train::TrainerSettings::from(values, 1);
    settings.passes = 1, settings.maxSteps = 0, settings.batchSize = steps.perStep;
    settings.learningRate = options.method == "lora" ? 1e-4 : 1e-5;
    settings.schedule = "constant", settings.warmup = 0, settings.clipNorm = 1;
    settings.optimizer = {0.9, 0.999, 1e-8, 0, options.optimizer == "adamw8bit"};
    settings.earlyStop = settings.stopOnRise = false;
    settings.checkEvery = settings.checkpointEvery = options.steps + 1000;
    return settings;
}

/// Everything that was measured, as one line.
struct Meter
{
    const Options& options;
    const Steps& steps;
    double startUp = 0, firstStep = 0, processorAtFirst = 0; // startUp: to the begin of the first step
    std::vector<double> rates, losses, seconds;

    void step(const jobs::StepDone& done)
    {
        if (losses.empty())
            firstStep = bench::secondsSinceStart(), processorAtFirst = bench::processorSeconds(),
            startUp = firstStep - steps.tokens[0] / done.tokensPerSecond;
        else
            rates.push_back(done.tokensPerSecond),
                seconds.push_back(steps.tokens[losses.size()] / done.tokensPerSecond);
        losses.push_back(done.loss);
    }
    void print() const
    {
        auto sorted = rates;
        std::ranges::sort(sorted);
        const auto n = sorted.size();
        const double median = n == 0 ? 0 : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
        const Json line = {{"program", "fettle"},
                           {"method", options.method},
                           {"kernels", tensor::cpuKernels().name},
                           {"tokensPerSecond", median},
                           {"perStep", rates},
                           {"secondsPerStep", seconds},
                           {"processorSeconds", bench::processorSeconds() - processorAtFirst},
                           {"losses", losses},
                           {"peakBytes", bench::statusBytes("VmHWM")},
                           {"startUpSeconds", startUp},
                           {"firstStepSeconds", firstStep},
                           {"threads", at::get_num_threads()}};
        std::printf("%s\n", line.dump().c_str());
        std::fflush(stdout);
    }
};

} // namespace

int main(int argc, char** argv)
{
    CLI::App app{"Training speed of the program"};
    Options options;
    app.add_option("--model", options.model, "Hugging Face folder")->required();
    app.add_option("--ids", options.ids, "file that make_ids.py wrote")->required();
    app.add_option("--method", options.method, "lora or full");
    app.add_option("--optimizer", options.optimizer, "adamw or adamw8bit");
    app.add_option("--weights", options.weights, "model.weights: float32, int8 or nf4");
    app.add_option("--recompute", options.recompute,
                   "activations of all layers but the last made again: none or all");
    app.add_option("--steps", options.steps, "timed steps, after one that is not");
    app.add_option("--micro", options.micro, "tokens in memory together; 0: as a run has it");
    app.add_option("--threads", options.threads, "0: all cores");
    CLI11_PARSE(app, argc, argv);

    tensor::useComputeThreads(options.threads > 0 ? options.threads : tensor::availableCores());
    auto files = std::make_optional(model::ModelFiles::open(options.model).value());
    const auto values = valuesFor(options);
    const auto kind = recipes::weightKind(values);
    auto decoder = model::loadDecoder(*files, c10::kCPU, at::kFloat, kind).value();
    files.reset(); // as a run does: weights that train have memory of their own
    auto attached = methods::makeMethod(options.method)
                        .value()
                        ->attach(*decoder, values, Rng(1, "adapter init"))
                        .value();
    bench::setAdapterStart(*attached);
    const auto objective = objectives::makeObjective("sft").value();
    const auto steps = readSteps(options);
    auto settings = settingsFor(values, options, steps);
    settings.recomputedLayers = recipes::savingsFor(decoder->config, kind, values, {}).recomputed;

    Meter meter{options, steps, 0, 0, 0, {}, {}, {}};
    jobs::JobContext context(std::make_shared<jobs::EventQueue>(), {});
    train::Trainer trainer(
        {*decoder,
         *attached,
         *objective,
         laidOut(steps, settings),
         {},
         settings,
         {},
         "bench",
         Json(),
         [&](const jobs::Event& event) -> Result<void> {
             if (const auto* done = std::get_if<jobs::StepDone>(&event)) {
                 meter.step(*done);
                 if (meter.losses.size() == steps.tokens.size()) {
                     meter.print();
                     std::_Exit(0); // what comes after the last step is saving, and is not measured
                 }
             }
             return {};
         },
         {}},
        context);
    const auto end = trainer.run();
    std::fprintf(stderr, "%s\n", end ? "the run ended early" : end.error().sentence().c_str());
    return 1;
}

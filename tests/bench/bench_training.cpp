// Tokens per second of the training core on a real model: rows of equal length, every token taught,
// no padding. Not a test; compare.py runs it in turn with a plain PyTorch loop.

#include "base/clock.h"
#include "methods/method.h"
#include "model/load.h"
#include "objectives/objective.h"
#include "recipes/settings.h"
#include "tensor/device.h"
#include "tensor/kernels/cpu_kernels.h"
#include "train/optimizers/adamw.h"
#include "train/trainer.h"

#include <ATen/ATen.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <torch/csrc/autograd/autograd.h>

using namespace fettle;

int main(int argc, char** argv)
{
    CLI::App app{"Training speed of the core"};
    std::string folder, method = "lora";
    std::int64_t batch = 8, length = 512, steps = 3, micro = 2048;
    app.add_option("--model", folder, "Hugging Face folder")->required();
    app.add_option("--method", method, "lora or full");
    app.add_option("--batch", batch, "rows per step");
    app.add_option("--length", length, "tokens per row");
    app.add_option("--steps", steps, "timed steps, after one that is not");
    app.add_option("--micro", micro, "tokens in memory together");
    CLI11_PARSE(app, argc, argv);

    tensor::useComputeThreads(tensor::availableCores());
    auto files = model::ModelFiles::open(folder).value();
    auto decoder = model::loadDecoder(files, c10::kCPU, at::kFloat).value();
    ParamValues values(recipes::trainingSettings());
    values.set("method", method).value();
    values.set("lora.dropout", 0.0).value();
    auto attached = methods::makeMethod(method)
                        .value()
                        ->attach(*decoder, values, Rng(1, "adapter init"))
                        .value();
    auto objective = objectives::makeObjective("sft").value();
    train::Adamw optimizer(attached->trainable(), {});
    const Rng tokens(7, "bench"), dropout(7, "dropout");

    const std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch), length);
    std::vector<double> seconds;
    double last = 0;
    for (std::int64_t step = 0; step <= steps; ++step) {
        std::vector<objectives::Batch> window;
        for (const auto& picked : train::packFirstFit(lengths, micro)) {
            objectives::Batch rows;
            for (const auto row : picked) {
                std::vector<std::int32_t> ids;
                for (std::int64_t t = 0; t < length; ++t)
                    ids.push_back(static_cast<std::int32_t>(
                        tokens.bits(static_cast<std::uint64_t>(step),
                                    row * 100000 + static_cast<std::uint64_t>(t)) %
                        static_cast<std::uint64_t>(decoder->config.vocab)));
                rows.add(ids, std::vector<std::uint8_t>(ids.size(), 1),
                         static_cast<std::int64_t>(row));
            }
            window.push_back(std::move(rows));
        }
        const Stopwatch watch;
        const objectives::Totals totals = {{"tokens", static_cast<double>(batch * (length - 1))}};
        double sum = 0;
        for (const auto& rows : window) {
            objectives::TrainContext context{*decoder, {true, &dropout, 0}};
            auto loss = objective->compute(context, rows, totals);
            loss.value.backward();
            sum += loss.sum;
        }
        const double norm = optimizer.gradNorm();
        optimizer.step(1e-5, std::min(1.0, 1.0 / (norm + 1e-6)));
        last = sum / totals.at("tokens");
        if (step > 0)
            seconds.push_back(watch.seconds());
    }
    std::ranges::sort(seconds);
    const double median = seconds[seconds.size() / 2];
    std::printf("{\"program\": \"fettle\", \"method\": \"%s\", \"kernels\": \"%s\", "
                "\"tokensPerSecond\": %.1f, \"secondsPerStep\": %.3f, \"loss\": %.4f}\n",
                method.c_str(), std::string(tensor::cpuKernels().name).c_str(),
                static_cast<double>(batch * length) / median, median, last);
    return 0;
}

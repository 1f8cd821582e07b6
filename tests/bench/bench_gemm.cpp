// The ceiling of the minute: float32 products at a decoder's shapes (forward and gradient of the
// input), weighted as a step of training has them; prints one line of JSON.

#include "base/clock.h"
#include "base/json.h"
#include "tensor/device.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

using namespace fettle;

namespace {

struct Shape
{
    std::int64_t in = 0, out = 0;
};

std::vector<Shape> shapesOf(const std::string& folder)
{
    const auto config = readJsonFile(folder + "/config.json").value();
    const auto number = [&](const char* key) { return config.at(key).get<std::int64_t>(); };
    const auto d = number("hidden_size"), f = number("intermediate_size"),
               heads = number("num_attention_heads");
    const auto headDim = config.value("head_dim", d / heads);
    const auto q = heads * headDim, kv = config.value("num_key_value_heads", heads) * headDim;
    return {{d, q}, {d, kv}, {d, kv}, {q, d}, {d, f}, {d, f}, {f, d}};
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app{"Speed of float32 matrix products at a model's shapes"};
    std::string folder;
    std::int64_t rows = 1024;
    int threads = 0, rounds = 15;
    app.add_option("--model", folder, "Hugging Face folder")->required();
    app.add_option("--rows", rows, "tokens of a product");
    app.add_option("--threads", threads, "0: all cores");
    app.add_option("--rounds", rounds, "repetitions");
    CLI11_PARSE(app, argc, argv);
    tensor::useComputeThreads(threads > 0 ? threads : tensor::availableCores());

    const auto shapes = shapesOf(folder);
    std::vector<at::Tensor> weights, inputs, outputs;
    double flops = 0;
    for (const auto& s : shapes) {
        weights.push_back(at::randn({s.out, s.in})); // zeros would be faster than real numbers
        inputs.push_back(at::randn({rows, s.in}));
        outputs.push_back(at::empty({rows, s.out}));
        flops += 4.0 * static_cast<double>(rows * s.in * s.out);
    }
    std::vector<double> rates;
    for (int round = 0; round < rounds + 2; ++round) {
        const Stopwatch watch;
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            at::mm_out(outputs[i], inputs[i], weights[i].t());
            at::mm_out(inputs[i], outputs[i], weights[i]);
            inputs[i].mul_(1.0 / static_cast<double>(
                                     shapes[i].out)); // stays in range; a thousandth of the work
        }
        if (round >= 2)
            rates.push_back(flops / watch.seconds() * 1e-9);
    }
    std::ranges::sort(rates);
    const Json line = {{"rows", rows},
                       {"threads", at::get_num_threads()},
                       {"gflops", rates[rates.size() / 2]},
                       {"lowest", rates.front()},
                       {"highest", rates.back()}};
    std::printf("%s\n", line.dump().c_str());
    return 0;
}

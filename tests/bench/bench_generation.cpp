// Greedy answers to prompts from a file, of a fixed length; prints one line of JSON with the ids,
// so that fettle_bench.py can compare them with the peer's.

#include "base/clock.h"
#include "base/json.h"
#include "generate/generator.h"
#include "model/load.h"
#include "process_facts.h"
#include "tensor/device.h"

#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <cstdio>

using namespace fettle;

int main(int argc, char** argv)
{
    CLI::App app{"Speed of generation"};
    std::string folder, ids, weights = "float32";
    std::int64_t length = 64, batch = 1;
    int threads = 0;
    app.add_option("--model", folder, "Hugging Face folder")->required();
    app.add_option("--ids", ids, "file that make_ids.py wrote: {\"prompts\": [[id..]..]}")
        ->required();
    app.add_option("--length", length, "tokens of each answer");
    app.add_option("--batch", batch, "prompts together; the first so many are read");
    app.add_option("--weights", weights, "float32, int8 or nf4");
    app.add_option("--threads", threads, "0: all cores");
    CLI11_PARSE(app, argc, argv);

    tensor::useComputeThreads(threads > 0 ? threads : tensor::availableCores());
    const auto files = model::ModelFiles::open(folder).value();
    auto kind = tensor::weightKindFrom(weights).value();
    if (kind == tensor::WeightKind::Float32)
        kind = tensor::WeightKind::Stored16; // as the program does: what files hold in 16 bits
                                             // stays so
    auto model = model::loadLanguageModel(files, c10::kCPU, at::kFloat, kind).value();
    const auto tokenizer = text::Tokenizer::load(folder).value();
    auto prompts =
        readJsonFile(ids).value().at("prompts").get<std::vector<std::vector<std::int32_t>>>();
    prompts.resize(static_cast<std::size_t>(batch));
    generate::Settings settings;
    settings.maxNewTokens = 4;
    generate::generate(*model, *tokenizer, {prompts[0]}, settings); // touches every weight once
    settings.maxNewTokens = length;
    const Stopwatch watch;
    const auto answers = generate::generate(*model, *tokenizer, prompts, settings, {}, batch);
    const double seconds = watch.seconds();
    Json written = Json::array();
    std::size_t tokens = 0;
    for (const auto& answer : answers) {
        written.push_back(answer.ids);
        tokens += answer.ids.size();
    }
    const Json line = {{"program", "fettle"},
                       {"batch", batch},
                       {"weights", weights},
                       {"seconds", seconds},
                       {"tokensPerSecond", static_cast<double>(tokens) / seconds},
                       {"peakBytes", bench::statusBytes("VmHWM")},
                       {"ids", written}};
    std::printf("%s\n", line.dump().c_str());
    return 0;
}

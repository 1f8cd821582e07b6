// Loads a model folder and makes one pass, as a run does before its first step; prints one line of
// JSON.
#include "model/import/weight_bytes.h"
#include "model/load.h"
#include "process_facts.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

using namespace fettle;
using bench::statusBytes;

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench_loading FOLDER [THREADS]\n");
        return 2;
    }
    if (argc > 2)
        at::set_num_threads(std::stoi(argv[2]));
    const auto before = statusBytes("VmRSS");
    const auto start = std::chrono::steady_clock::now();
    const auto since = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const auto files = model::ModelFiles::open(argv[1]);
    if (!files) {
        std::fprintf(stderr, "%s\n", files.error().sentence().c_str());
        return 2;
    }
    // As the program does: what files hold in 16 bits stays so.
    const auto decoder = model::loadDecoder(*files, c10::kCPU, at::kFloat, tensor::WeightKind::Stored16);
    if (!decoder) {
        std::fprintf(stderr, "%s\n", decoder.error().sentence().c_str());
        return 2;
    }
    const double loaded = since();
    const auto peakLoading = statusBytes("VmHWM");
    const at::NoGradGuard noGrad;
    model::PackedTokens tokens;
    std::vector<std::int32_t> document(16);
    for (std::size_t i = 0; i < document.size(); ++i)
        document[i] = static_cast<std::int32_t>((i * 37 + 11) %
                                                static_cast<std::size_t>(files->config().vocab));
    tokens.add(document);
    const auto logits = (*decoder)->logits((*decoder)->hidden(tokens));
    const double passed = since();
    const auto weights = model::weightBytes(files->config(), files->storedKind());
    const auto extra = [&](std::uint64_t peak) {
        return static_cast<double>(peak) - static_cast<double>(before) -
               static_cast<double>(weights);
    };
    std::printf(
        "{\"load\": %.4f, \"firstPass\": %.4f, \"weights\": %llu, \"before\": %llu, "
        "\"extraLoading\": %.0f, \"extraPass\": %.0f, \"anonymous\": %llu, \"peakBytes\": %llu, "
        "\"probe\": %.5f}\n",
        loaded, passed, static_cast<unsigned long long>(weights),
        static_cast<unsigned long long>(before), extra(peakLoading), extra(statusBytes("VmHWM")),
        static_cast<unsigned long long>(statusBytes("RssAnon")),
        static_cast<unsigned long long>(statusBytes("VmHWM")), logits[-1].max().item<double>());
    return 0;
}

// Training speed and memory on a graphics card, at the shapes of known models with random weights. Prints
// a line per row and writes a JSON file.
//
//   gpu_bench RESULT.json FOLDER SECONDS     stops taking up rows after so many seconds; 77: no usable card
//
// The models and the rows of each step stay in FOLDER, where tests/bench/peers/gpu_loop.py reads them.

#include "base/atomic_file.h"
#include "base/clock.h"
#include "bench/adapter_start.h"
#include "gpu/gpu_runs.h"
#include "tensor/device.h"
#include "tensor/files/safetensors.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>
#include <numeric>

using namespace fettle;
using namespace fettle::gpu;

namespace {

namespace fs = std::filesystem;

const c10::Device kCard(c10::kCUDA, 0);

struct Shape
{
    const char* name;
    std::int64_t hidden, inner, layers, heads, kvHeads, headDim, vocab;
};

constexpr Shape kSmall = {"SmolLM2-135M", 576, 1536, 30, 9, 3, 64, 49152};
constexpr Shape kLarge = {"Llama-3.2-1B", 2048, 8192, 16, 32, 8, 64, 128256};

struct Row
{
    const char* id;
    const Shape& shape;
    const char* method;
    at::ScalarType precision;
    std::int64_t tokens; ///< of a micro-batch; a step has one of about so many
    double median, sigma;
    std::int64_t longest;
    bool readable = false;
    bool eightBits = false;          ///< moments of the optimizer
    tensor::WeightKind weights = {}; ///< of the original
};

/// Short instructions (lengths of law A) and rows of 2,048; "readable": with LibTorch's operations alone.
const Row kRows[] = {
    {"G8", kSmall, "lora", at::kBFloat16, 8192, 180, 0.8, 1024, false},
    {"G8-readable", kSmall, "lora", at::kBFloat16, 8192, 180, 0.8, 1024, true},
    {"G7", kLarge, "lora", at::kBFloat16, 16384, 180, 0.8, 1024, false},
    {"G7-readable", kLarge, "lora", at::kBFloat16, 16384, 180, 0.8, 1024, true},
    {"G1-lora", kLarge, "lora", at::kBFloat16, 16384, 2048, 0, 2048, false},
    {"G8-full-float32", kSmall, "full", at::kFloat, 8192, 180, 0.8, 1024, false},
    {"G8-full-bfloat16", kSmall, "full", at::kBFloat16, 8192, 180, 0.8, 1024},
    {"G8-full-8-bit-moments", kSmall, "full", at::kBFloat16, 8192, 180, 0.8, 1024, false, true},
    {"G7-nf4", kLarge, "lora", at::kBFloat16, 16384, 180, 0.8, 1024, false, false, tensor::WeightKind::Nf4},
};

Json configOf(const Shape& s)
{
    return {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_size", s.hidden},
            {"intermediate_size", s.inner}, {"num_hidden_layers", s.layers}, {"num_attention_heads", s.heads},
            {"num_key_value_heads", s.kvHeads}, {"head_dim", s.headDim}, {"vocab_size", s.vocab},
            {"max_position_embeddings", 4096}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0}, {"hidden_act", "silu"},
            {"tie_word_embeddings", true}, {"bos_token_id", 0}, {"eos_token_id", 1}};
}

/// Random weights, drawn on the card and written once.
std::unique_ptr<model::Decoder> randomDecoder(const Shape& shape, at::ScalarType precision, const fs::path& folder,
                                              tensor::WeightKind weights)
{
    if (!fs::exists(folder)) {
        fs::create_directories(folder);
        writeFileAtomically(folder / "config.json", configOf(shape).dump(1)).value();
        const auto config = model::parseModelConfig(configOf(shape), {}, "config.json").value();
        std::vector<tensor::TensorPlan> plan;
        for (const auto& weight : model::expectedWeights(config))
            plan.push_back({weight.name, tensor::DType::BF16, weight.shape});
        tensor::SafetensorsWriter file(folder / "model.safetensors", plan);
        file.open().value();
        at::manual_seed(3);
        for (const auto& each : file.order()) {
            auto weight = at::ones(each.shape, at::TensorOptions(kCard).dtype(at::kBFloat16));
            if (each.shape.size() == 2)
                weight.normal_(0, 0.02);
            const auto host = weight.cpu();
            file.write(host.const_data_ptr(), host.nbytes()).value();
        }
        file.commit().value();
    }
    auto files = model::ModelFiles::open(folder).value();
    return model::loadDecoder(files, kCard, precision, weights).value();
}

/// The rows of every step in the form of make_ids.py.
void writeSteps(const fs::path& file, const Setup& setup)
{
    std::vector<std::int64_t> lengths;
    for (const auto& row : setup.rows)
        lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
    const train::BatchPlan plan(lengths, setup.batchSize, setup.microBatchTokens, settingsOf(setup).seed);
    Json steps = Json::array();
    for (std::int64_t s = 0; s < setup.steps; ++s) {
        Json step = Json::array();
        for (const auto& bin : plan.window(s)) {
            for (const auto index : bin)
                step.push_back({{"ids", setup.rows[index].ids}, {"trained", setup.rows[index].trained}});
        }
        steps.push_back(std::move(step));
    }
    writeFileAtomically(file, Json{{"steps", steps}}.dump()).value();
}

/// Numbers of the matrices of the blocks, which every token meets.
double matrixNumbers(const Shape& s)
{
    const auto wide = [](std::int64_t x) { return static_cast<double>(x); };
    const double attention = wide(s.hidden) * wide((2 * s.heads + 2 * s.kvHeads) * s.headDim);
    return wide(s.layers) * (attention + 3 * wide(s.hidden) * wide(s.inner));
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    const auto n = values.size();
    return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

Json measured(const Row& row, const fs::path& folder)
{
    constexpr std::int64_t kWarm = 4, kTimed = 12;
    auto* memory = c10::getDeviceAllocator(c10::kCUDA);
    memory->emptyCache();
    memory->resetPeakStats(0);
    const auto model = randomDecoder(row.shape, row.precision, folder / row.shape.name, row.weights);
    Setup setup;
    setup.eightBits = row.eightBits;
    setup.method = row.method, setup.readable = row.readable, setup.save = false;
    setup.steps = kWarm + kTimed, setup.microBatchTokens = row.tokens;
    // So many rows that a step fills one micro-batch almost.
    const double mean = std::min(row.median * std::exp(row.sigma * row.sigma / 2), static_cast<double>(row.longest));
    setup.batchSize = std::max<std::int64_t>(1, std::llround(0.9 * static_cast<double>(row.tokens) / mean));
    setup.rows = randomRows(setup.batchSize * setup.steps, row.shape.vocab, row.median, row.sigma, row.longest);
    setup.learningRate = std::string(row.method) == "lora" ? 1e-4 : 1e-5, setup.weightDecay = 0;
    setup.prepare = bench::setAdapterStart;
    if (!row.readable)
        writeSteps(folder / fmt::format("{}.json", row.id), setup);
    const auto curve = carryOut(*model, setup);
    const std::vector<double> timed(curve.rates.begin() + kWarm, curve.rates.end());
    const double rate = median(timed), factor = std::string(row.method) == "lora" ? 4 : 6;
    const auto stats = memory->getDeviceStats(0);
    return {{"id", row.id}, {"model", row.shape.name}, {"method", row.method}, {"precision", c10::toString(row.precision)},
            {"tokensPerMicroBatch", row.tokens}, {"realTokensPerSecond", rate},
            {"lowest", *std::ranges::min_element(timed)}, {"highest", *std::ranges::max_element(timed)},
            {"blockFlopsPerSecond", rate * factor * matrixNumbers(row.shape)},
            {"peakAllocatedBytes", stats.allocated_bytes[0].peak}, {"peakReservedBytes", stats.reserved_bytes[0].peak},
            {"losses", curve.losses}};
}

/// What the card gives at best, in the same minutes.
Json ceilings()
{
    const auto options = at::TensorOptions(kCard).dtype(at::kBFloat16);
    constexpr std::int64_t n = 8192;
    constexpr int kTimes = 20;
    const auto a = at::randn({n, n}, options), b = at::randn({n, n}, options);
    auto c = at::empty({n, n}, options);
    const auto timed = [&](const std::function<void()>& work) {
        for (int i = 0; i < 3; ++i)
            work();
        c[0][0].item();
        const Stopwatch watch;
        for (int i = 0; i < kTimes; ++i)
            work();
        c[0][0].item(); // waits for all of it
        return watch.seconds() / kTimes;
    };
    const double product = timed([&] { at::mm_out(c, a, b); });
    const auto from = at::empty({std::int64_t{1} << 30}, options);
    auto to = at::empty_like(from);
    const double copy = timed([&] { to.copy_(from); });
    return {{"bfloat16FlopsPerSecond", 2.0 * n * n * n / product}, {"copyBytesPerSecond", 2.0 * static_cast<double>(from.nbytes()) / copy}};
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::fprintf(stderr, "usage: gpu_bench RESULT.json FOLDER SECONDS\n");
        return 2;
    }
    const Stopwatch watch;
    const fs::path folder = argv[2];
    const double limit = std::atof(argv[3]);
    tensor::useComputeThreads(tensor::availableCores());
    const auto& cuda = tensor::loadCuda();
    if (!cuda.usable) {
        std::printf("There is no graphics card to measure: %s.\n", cuda.missing.c_str());
        return kNoCard;
    }
    Json result = {{"card", cuda.name}, {"ceilings", ceilings()}, {"rows", Json::array()}};
    std::printf("%s\n", result["ceilings"].dump().c_str());
    for (const auto& row : kRows) {
        Json line = {{"id", row.id}};
        if (watch.seconds() > limit) {
            line["skipped"] = "no time was left";
        } else {
            try {
                line = measured(row, folder);
            } catch (const std::exception& problem) {
                line["problem"] = problem.what();
            }
        }
        std::printf("%s\n", line.dump().c_str());
        std::fflush(stdout);
        result["rows"].push_back(std::move(line));
        writeFileAtomically(argv[1], result.dump(1)).value();
    }
    return 0;
}

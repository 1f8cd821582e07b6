// Checks that need a graphics card: each kernel, a model and whole runs against the processor. Prints a
// line per check and, as its last argument says, writes them to a JSON file.
//
//   gpu_tests [RESULT.json]     0: all passed; 1: some did not; 77: there is no usable card

#include "base/atomic_file.h"
#include "base/clock.h"
#include "gpu/gpu_runs.h"
#include "model/random_model.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/cuda/self_check.h"
#include "tensor/device.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

using namespace fettle;
using namespace fettle::gpu;
using at::Tensor;

namespace {

namespace fs = std::filesystem;

const c10::Device kCard(c10::kCUDA, 0);

fs::path scratch()
{
    static const fs::path folder = [] {
        auto path = fs::temp_directory_path() / fmt::format("fettle-gpu-{}", nowMilliseconds());
        fs::create_directories(path);
        return path;
    }();
    return folder;
}

void require(bool fine, const std::string& words)
{
    if (!fine)
        throw std::runtime_error(words);
}

/// Of the largest number, so that entries near 0 count by what they are a part of.
double distance(const Tensor& ours, const Tensor& expected)
{
    const auto a = ours.detach().to(at::kCPU, at::kDouble), b = expected.detach().to(at::kCPU, at::kDouble);
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-12)).item<double>();
}

double cosine(const Tensor& ours, const Tensor& expected)
{
    const auto a = ours.detach().to(at::kCPU, at::kDouble), b = expected.detach().to(at::kCPU, at::kDouble);
    return ((a * b).sum() / (a.norm() * b.norm())).item<double>();
}

double tolerance(at::ScalarType type) { return type == at::kFloat ? 1e-4 : 2e-2; }

/// Result and gradients of an operation on the card against those in float64 on the processor.
void compare(const char* what, const std::vector<Tensor>& inputs,
             const std::function<Tensor(const std::vector<Tensor>&)>& operation)
{
    for (const auto type : {at::kFloat, at::kBFloat16}) {
        std::vector<Tensor> results[2];
        for (const bool card : {true, false}) {
            std::vector<Tensor> leaves;
            for (const auto& input : inputs)
                leaves.push_back(input.to(type).to(card ? kCard : c10::Device(at::kCPU), card ? type : at::kDouble)
                                     .detach().set_requires_grad(true));
            const Tensor out = operation(leaves);
            auto& all = results[card ? 0 : 1];
            all = torch::autograd::grad({out}, leaves, {at::ones_like(out) * 0.5});
            all.push_back(out);
        }
        for (std::size_t i = 0; i < results[0].size(); ++i) {
            const auto far = distance(results[0][i], results[1][i]);
            require(far <= tolerance(type), fmt::format("{} in {}, result {}: {} apart", what, c10::toString(type), i, far));
        }
    }
}

Tensor randoms(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

void kernelsAreInUse()
{
    const auto& name = tensor::loadCuda().name;
    require(name.find("with own kernels and packed attention") != std::string::npos, name);
}

void kernelsAgree()
{
    at::manual_seed(1);
    for (const std::int64_t dim : {64, 77, 576, 2048, 8192})
        compare("norm", {randoms({300, dim}), randoms({dim})}, [](const auto& in) { return tensor::rmsNorm(in[0], in[1], 1e-5); });
    for (const std::int64_t dim : {77, 768, 2560}) {
        const auto steps = [&] { return (randoms({300, dim}) * 8).round() / 8; }; // sums that bfloat16 holds
        compare("layer norm", {steps(), steps(), randoms({dim}), randoms({dim})}, [](const auto& in) {
            const auto out = tensor::layerNorm(in[0], in[1], in[2], in[3], 1e-5);
            return at::cat({out.normed, out.sum});
        });
    }
    const Tensor angles = randoms({300, 32});
    compare("rotation", {randoms({300, 9, 64})}, [&](const auto& in) {
        const auto as = in[0].scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        return tensor::rope(in[0], angles.cos().to(at::kFloat).to(in[0].device(), as), angles.sin().to(at::kFloat).to(in[0].device(), as));
    });
    for (const std::int64_t dim : {1536, 8192, 1001})
        compare("gate", {randoms({300, dim}) * 3, randoms({300, dim})}, [](const auto& in) { return tensor::siluGate(in[0], in[1]); });
    for (const bool tanh : {false, true}) {
        compare("gelu", {randoms({300, 3072}) * 3}, [&](const auto& in) { return tensor::geluGate(in[0], {}, tanh); });
        compare("gelu gate", {randoms({300, 1001}) * 3, randoms({300, 1001})},
                [&](const auto& in) { return tensor::geluGate(in[0], in[1], tanh); });
    }
    const Rng rng(3, "dropout");
    compare("dropout", {randoms({300, 576})}, [&](const auto& in) { return tensor::dropout(in[0], 0.1, {rng, 4, 7}); });
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < 700; ++i)
        labels.push_back(i * 70 % 49152);
    const Tensor head = (randoms({49152, 64}) * 0.3).to(at::kBFloat16);
    compare("loss", {randoms({700, 64})}, [&](const auto& in) {
        tensor::HeadLossInfo info;
        return tensor::headLoss(in[0], {head.to(in[0].options().requires_grad(false))}, labels, 1.0 / 700, info);
    });
    const auto parting = tensor::cuda::partingKernels(kCard);
    require(parting.empty(), parting.empty() ? "" : parting[0]);
    require(tensor::cuda::flashAgrees(kCard), "packed attention");
}

/// A small decoder whose heads packed attention takes, the same weights wherever it is opened.
std::unique_ptr<model::Decoder> smallDecoder(c10::Device device, at::ScalarType type, tensor::WeightKind weights = {})
{
    const auto folder = scratch() / "small";
    if (!fs::exists(folder)) {
        const Json config = {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_size", 128},
                             {"intermediate_size", 256}, {"num_hidden_layers", 3}, {"num_attention_heads", 4},
                             {"num_key_value_heads", 2}, {"head_dim", 32}, {"vocab_size", 1000},
                             {"max_position_embeddings", 512}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
                             {"hidden_act", "silu"}, {"tie_word_embeddings", true}, {"bos_token_id", 0}, {"eos_token_id", 1}};
        tests::writeRandomModel(folder, config).value();
    }
    auto files = model::ModelFiles::open(folder).value();
    return model::loadDecoder(files, device, type, weights).value();
}

/// Loss and the gradient of every weight of a packed batch.
std::pair<double, std::vector<Tensor>> passOf(c10::Device device, at::ScalarType type)
{
    auto model = smallDecoder(device, type);
    for (auto& [name, parameter] : model->parameters())
        *parameter = parameter->detach().clone().set_requires_grad(true);
    model->tie();
    model::PackedTokens tokens;
    std::vector<std::int64_t> labels;
    for (const auto& row : randomRows(6, 1000, 40, 0.8, 120)) {
        tokens.add(row.ids);
        labels.insert(labels.end(), row.ids.begin(), row.ids.end());
    }
    tensor::HeadLossInfo info;
    model->loss(model->hidden(tokens), labels, 1.0 / static_cast<double>(labels.size()), info).backward();
    std::vector<Tensor> gradients;
    for (auto& [name, parameter] : model->parameters())
        gradients.push_back(parameter->grad());
    return {info.total(), gradients};
}

void aModelAgrees()
{
    const auto expected = passOf(at::kCPU, at::kDouble);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
        const auto ours = passOf(kCard, type);
        const auto apart = std::abs(ours.first / expected.first - 1);
        require(apart <= (type == at::kFloat ? 1e-5 : 1e-2), fmt::format("loss in {}: {} apart", c10::toString(type), apart));
        for (std::size_t i = 0; i < expected.second.size(); ++i) {
            // In bfloat16 the layers between add up their roundings: the direction counts, not each entry.
            const auto far = type == at::kFloat ? distance(ours.second[i], expected.second[i])
                                                : 1 - cosine(ours.second[i], expected.second[i]);
            require(far <= (type == at::kFloat ? 1e-4 : 2e-3), fmt::format("gradient {} in {}: {} apart", i, c10::toString(type), far));
        }
    }
}

Setup smallRun(const char* folder)
{
    Setup setup;
    setup.rows = randomRows(24, 1000, 40, 0.8, 120);
    setup.folder = scratch() / folder;
    fs::create_directories(setup.folder);
    return setup;
}

struct Kind
{
    const char *words, *method;
    bool eightBits;
    tensor::WeightKind weights;
};
/// In int8 the processor holds the tables in 8 bits too: a run there is another one.
constexpr Kind kRuns[] = {{"an add-on", "lora", false, tensor::WeightKind::Float32},
                          {"an add-on on NF4", "lora", false, tensor::WeightKind::Nf4},
                          {"the whole model", "full", false, tensor::WeightKind::Float32},
                          {"the whole model, moments in 8 bits", "full", true, tensor::WeightKind::Float32}};

void aRunLearnsAsOnTheProcessor()
{
    for (const auto& kind : kRuns) {
        auto setup = smallRun("processor");
        setup.method = kind.method, setup.eightBits = kind.eightBits;
        setup.dropout = 0.1, setup.save = false, setup.steps = 10;
        setup.learningRate = setup.method == "lora" ? 1e-3 : 1e-4;
        const auto expected = carryOut(*smallDecoder(at::kCPU, at::kFloat, kind.weights), setup);
        for (const auto type : {at::kFloat, at::kBFloat16}) {
            const auto ours = carryOut(*smallDecoder(kCard, type, kind.weights), setup);
            for (std::size_t i = 0; i < expected.losses.size(); ++i) {
                const auto apart = std::abs(ours.losses[i] / expected.losses[i] - 1);
                require(apart <= (type == at::kFloat ? 1e-4 : 1e-2),
                        fmt::format("{} in {}, step {}: {} against {}", kind.words, c10::toString(type), i + 1, ours.losses[i],
                                    expected.losses[i]));
            }
        }
    }
}

void aModelInEightBitsLearns()
{
    auto setup = smallRun("int8");
    setup.save = false, setup.steps = 10;
    const auto losses = carryOut(*smallDecoder(kCard, at::kBFloat16, tensor::WeightKind::Int8), setup).losses;
    const auto exact = carryOut(*smallDecoder(kCard, at::kBFloat16), setup).losses;
    for (std::size_t i = 0; i < exact.size(); ++i)
        require(std::abs(losses[i] / exact[i] - 1) <= 2e-2, fmt::format("step {}: {} against {}", i + 1, losses[i], exact[i]));
}

/// Weights in bfloat16 with moments in 8 bits, and an add-on.
void aResumedRunIsTheSame()
{
    for (const bool eightBits : {false, true}) {
        const char* method = eightBits ? "full" : "lora";
        auto setup = smallRun((std::string("whole-") + method).c_str());
        setup.method = method, setup.dropout = 0.1, setup.eightBits = eightBits;
        const auto whole = carryOut(*smallDecoder(kCard, at::kBFloat16), setup);
        setup.folder = scratch() / (std::string("parted-") + method);
        fs::create_directories(setup.folder);
        setup.stopAfter = 3;
        auto parted = carryOut(*smallDecoder(kCard, at::kBFloat16), setup);
        setup.stopAfter = -1, setup.resume = true;
        const auto rest = carryOut(*smallDecoder(kCard, at::kBFloat16), setup);
        parted.losses.insert(parted.losses.end(), rest.losses.begin(), rest.losses.end());
        require(parted.losses == whole.losses, std::string(method) + ": the losses differ");
        for (std::size_t i = 0; i < whole.weights.size(); ++i)
            require(at::equal(whole.weights[i], rest.weights[i]), fmt::format("{}: weight {} differs", method, i));
    }
}

void savingsChangeNothing()
{
    auto setup = smallRun("savings");
    setup.method = "full", setup.save = false;
    const auto plain = carryOut(*smallDecoder(kCard, at::kBFloat16), setup);
    setup.hostMoments = true, setup.recomputed = 1;
    const auto before = tensor::cudaMemory();
    require(before.available > 0 && before.available <= before.whole, "the card's memory is not known");
    const auto saved = carryOut(*smallDecoder(kCard, at::kBFloat16), setup);
    require(saved.losses == plain.losses, "the losses differ");
    for (std::size_t i = 0; i < plain.weights.size(); ++i)
        require(at::equal(saved.weights[i], plain.weights[i]), fmt::format("weight {} differs", i));

    const auto losses = [&](bool tableOnHost) {
        auto model = smallDecoder(kCard, at::kBFloat16);
        model->config.tieEmbeddings = false, model->headWeight = model->embedding.clone();
        if (tableOnHost)
            model->embeddingToHost();
        setup.method = "lora";
        return carryOut(*model, setup).losses;
    };
    require(losses(true) == losses(false), "the losses differ with the embedding in host memory");
}

void theSameAnswersAreWritten()
{
    const at::NoGradGuard noGrad;
    std::vector<std::int64_t> answers[2];
    for (const bool card : {true, false}) {
        auto model = smallDecoder(card ? kCard : c10::Device(at::kCPU), at::kFloat);
        model::PackedTokens tokens;
        tokens.add(std::vector<std::int32_t>{5, 9, 200, 77});
        tokens.add(std::vector<std::int32_t>{3, 4});
        auto cache = model->makeCache(2, 32);
        const std::vector<std::int64_t> slots = {0, 1};
        auto states = model->prefill(tokens, cache, slots).index_select(0, at::tensor({3, 5}, at::kLong).to(model->device()));
        for (int i = 0; i < 12; ++i) {
            const auto next = model->logits(states).argmax(-1).cpu();
            const std::vector<std::int64_t> ids(next.const_data_ptr<std::int64_t>(), next.const_data_ptr<std::int64_t>() + 2);
            answers[card ? 0 : 1].insert(answers[card ? 0 : 1].end(), ids.begin(), ids.end());
            states = model->decode(ids, cache, slots);
        }
    }
    require(answers[0] == answers[1], "the greedy answers differ");
}

void aFullCardIsNoEnd()
{
    for (int i = 0; i < 20; ++i) {
        try {
            const auto room = at::empty({std::int64_t{1} << 45}, at::TensorOptions(kCard).dtype(at::kByte));
            require(false, "32 TiB were given");
        } catch (const c10::Error& problem) {
            require(jobs::meansOutOfMemory(problem), problem.what_without_backtrace());
        }
    }
    require((at::ones({8}, at::TensorOptions(kCard)) + 1).sum().item<float>() == 16, "the card does not go on");
}

struct Check
{
    const char* name;
    void (*run)();
};

constexpr Check kChecks[] = {{"own kernels and packed attention are in use", kernelsAreInUse},
                             {"kernels give what the processor gives in float64", kernelsAgree},
                             {"a model gives the same loss and gradients", aModelAgrees},
                             {"a run learns as on the processor", aRunLearnsAsOnTheProcessor},
                             {"a model in 8 bits learns", aModelInEightBitsLearns},
                             {"a resumed run is the same bit for bit", aResumedRunIsTheSame},
                             {"moments on the host and layers made again change no bit", savingsChangeNothing},
                             {"the same answers are written", theSameAnswersAreWritten},
                             {"a full card is no end", aFullCardIsNoEnd}};

} // namespace

int main(int argc, char** argv)
{
    tensor::useComputeThreads(tensor::availableCores());
    const auto& cuda = tensor::loadCuda();
    if (!cuda.usable) {
        std::printf("There is no graphics card to check: %s.\n", cuda.missing.c_str());
        return kNoCard;
    }
    std::printf("%s\n", cuda.name.c_str());
    Json rows = Json::array();
    int failed = 0;
    for (const auto& check : kChecks) {
        const Stopwatch watch;
        std::string problem;
        try {
            check.run();
        } catch (const std::exception& thrown) {
            problem = thrown.what();
            if (problem.empty())
                problem = "it did not hold";
            ++failed;
        }
        std::printf("%-6s %s (%.1f s) %s\n", problem.empty() ? "passed" : "FAILED", check.name, watch.seconds(), problem.c_str());
        std::fflush(stdout);
        rows.push_back({{"name", check.name}, {"passed", problem.empty()}, {"problem", problem}, {"seconds", watch.seconds()}});
    }
    std::error_code ec;
    fs::remove_all(scratch(), ec);
    if (argc > 1)
        writeFileAtomically(argv[1], Json{{"card", cuda.name}, {"checks", rows}}.dump(1)).value();
    return failed == 0 ? 0 : 1;
}

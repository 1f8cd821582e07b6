#include "model/architectures/family.h"

namespace fettle::model {

namespace {

void slideEverywhere(ConfigReader& reader, ModelConfig& config, std::int64_t window)
{
    config.slidingWindow = window;
    if (reader.problem() || readLayerTypes(reader, config, window))
        return;
    for (auto& layer : config.layer)
        layer.window = window;
}

} // namespace

/// As llama, without biases; every layer sees a sliding window unless that key is null.
void readMistral(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 131072, .defaultKvHeads = 8});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-6);
    const bool absent = !reader.object().contains("sliding_window");
    slideEverywhere(reader, config,
                    reader.integer("sliding_window", 0, 10'000'000, absent ? 4096 : 0));
}

/// As mistral, with experts in place of every feed-forward part (w1 gate, w3 up, w2 down).
void readMixtral(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 131072, .defaultKvHeads = 8});
    readRope(reader, config, 1e6);
    readRmsNorm(reader, config, 1e-5);
    slideEverywhere(reader, config, reader.integer("sliding_window", 0, 10'000'000, 0));
    config.experts.count = reader.integer("num_local_experts", 1, 4096, 8);
    config.experts.perToken = reader.integer("num_experts_per_tok", 1, config.experts.count, 2);
    config.experts.intermediate = config.intermediate;
    readBalance(reader, config);
    config.names.router = "block_sparse_moe.gate";
    config.names.expertGate = "block_sparse_moe.experts.{}.w1";
    config.names.expertUp = "block_sparse_moe.experts.{}.w3";
    config.names.expertDown = "block_sparse_moe.experts.{}.w2";
    for (auto& layer : config.layer)
        layer.sparse = true;
}

} // namespace fettle::model

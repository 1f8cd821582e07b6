#include "model/architectures/family.h"

#include <algorithm>

namespace fettle::model {

namespace {

/// use_sliding_window: the layers from max_window_layers on slide.
void readWindows(ConfigReader& reader, ModelConfig& config)
{
    if (reader.problem() || !reader.flag("use_sliding_window", false))
        return;
    config.slidingWindow = reader.integer("sliding_window", 0, 10'000'000, 4096);
    if (readLayerTypes(reader, config, config.slidingWindow))
        return;
    const auto full = reader.integer("max_window_layers", 0, 10'000, 28);
    for (std::size_t i = static_cast<std::size_t>(full); i < config.layer.size(); ++i)
        config.layer[i].window = config.slidingWindow;
}

void normHeads(ConfigReader& reader, ModelConfig& config)
{
    config.headNorm = HeadNorm::PerHead;
    config.names.qNorm = "self_attn.q_norm";
    config.names.kNorm = "self_attn.k_norm";
    config.attentionBias = config.outputBias = reader.flag("attention_bias", false);
}

} // namespace

/// As llama with biases on q, k and v alone.
void readQwen2(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 32768, .defaultKvHeads = 32});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-6);
    config.attentionBias = true;
    readWindows(reader, config);
}

/// As llama with an RMS norm on each head of q and k.
void readQwen3(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config,
              {.defaultPositions = 32768, .defaultKvHeads = 32, .defaultHeadDim = 128});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-6);
    normHeads(reader, config);
    readWindows(reader, config);
}

/// As qwen3 with experts in the layers that decoder_sparse_step picks and mlp_only_layers spares.
void readQwen3Moe(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 32768, .defaultKvHeads = 4});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-6);
    normHeads(reader, config);
    auto& experts = config.experts;
    const char* key = reader.has("num_experts") ? "num_experts" : "num_local_experts";
    experts.count = reader.integer(key, 1, 4096, 128);
    experts.perToken = reader.integer("num_experts_per_tok", 1, experts.count, 8);
    experts.intermediate = reader.integer("moe_intermediate_size", 1, 1 << 24, 768);
    experts.normalise = reader.flag("norm_topk_prob", false);
    readBalance(reader, config);
    config.names.router = "mlp.gate";
    config.names.expertGate = "mlp.experts.{}.gate_proj";
    config.names.expertUp = "mlp.experts.{}.up_proj";
    config.names.expertDown = "mlp.experts.{}.down_proj";
    const auto step = static_cast<std::size_t>(reader.integer("decoder_sparse_step", 1, 10'000, 1));
    if (reader.problem())
        return;
    const Json dense = reader.object().value("mlp_only_layers", Json::array());
    if (reader.flag("use_sliding_window", false))
        config.slidingWindow = reader.integer("sliding_window", 0, 10'000'000, 4096);
    for (std::size_t i = 0; i < config.layer.size(); ++i) {
        config.layer[i].sparse =
            (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), Json(i)) == dense.end();
        config.layer[i].window = config.slidingWindow;
    }
}

} // namespace fettle::model

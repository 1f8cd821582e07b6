#include "model/architectures/family.h"

#include <cmath>

namespace fettle::model {

namespace {

void readCommon(ConfigReader& reader, ModelConfig& config, const ShapeKeys& keys, double theta)
{
    readShape(reader, config, keys);
    readRope(reader, config, theta);
    readRmsNorm(reader, config, 1e-6);
    config.norm = NormKind::RmsPlusOne;
    config.embeddingScale = std::sqrt(static_cast<double>(config.hidden));
    config.attentionBias = config.outputBias = reader.flag("attention_bias", false);
    config.tieEmbeddings = true;
}

ShapeKeys keysFor(const char* activation)
{
    return {.activation = activation,
            .defaultActivation = "gelu_pytorch_tanh",
            .defaultPositions = 8192,
            .defaultHeadDim = 256};
}

/// Absent: the family's own; null: none.
double readCap(ConfigReader& reader, const char* key, double byDefault)
{
    return reader.object().contains(key) ? reader.real(key, 0, 1e9, 0) : byDefault;
}

/// Norms before and behind both parts of a block, an own scale of the scores, a soft cap on logits.
void readSecond(ConfigReader& reader, ModelConfig& config, double logitCap)
{
    config.names.afterAttention = "post_attention_layernorm";
    config.names.mlpNorm = "pre_feedforward_layernorm";
    config.names.afterMlp = "post_feedforward_layernorm";
    config.attentionScale =
        1 / std::sqrt(reader.real("query_pre_attn_scalar", 1e-6, 1e9, 256));
    config.logitSoftcap = readCap(reader, "final_logit_softcapping", logitCap);
    config.slidingWindow = reader.integer("sliding_window", 0, 10'000'000, 4096);
}

} // namespace

/// RMS norms by 1 + weight, embeddings times sqrt(hidden), gated tanh-GELU, tied head.
void readGemma(ConfigReader& reader, ModelConfig& config)
{
    ShapeKeys keys = keysFor("hidden_act");
    keys.defaultKvHeads = 16;
    readCommon(reader, config, keys, 10000);
    if (config.activation == "gelu") // published so and meant as the tanh form
        config.activation = "gelu_tanh";
}

/// As gemma with four norms a block and soft caps; even layers slide.
void readGemma2(ConfigReader& reader, ModelConfig& config)
{
    ShapeKeys keys = keysFor("hidden_activation");
    keys.defaultKvHeads = 4;
    readCommon(reader, config, keys, 10000);
    readSecond(reader, config, 30);
    config.attentionSoftcap = readCap(reader, "attn_logit_softcapping", 50);
    if (reader.problem() || readLayerTypes(reader, config, config.slidingWindow))
        return;
    for (std::size_t i = 0; i < config.layer.size(); i += 2)
        config.layer[i].window = config.slidingWindow;
}

/// As gemma2 without caps on the scores, with norms on the heads of q and k; the sliding layers turn by their own
/// theta, every sixth layer is full.
void readGemma3(ConfigReader& reader, ModelConfig& config)
{
    ShapeKeys keys = keysFor("hidden_activation");
    keys.defaultKvHeads = 4;
    keys.defaultPositions = 131072;
    readCommon(reader, config, keys, 1e6);
    readSecond(reader, config, 0);
    config.headNorm = HeadNorm::PerHead;
    config.names.qNorm = "self_attn.q_norm";
    config.names.kNorm = "self_attn.k_norm";
    if (reader.problem())
        return;
    const Json rope = reader.object().value("rope_parameters", Json::object());
    const Json local = rope.is_object() ? rope.value("sliding_attention", Json::object()) : rope;
    ConfigReader localReader(local, "rope_parameters.sliding_attention");
    config.localRopeTheta = localReader.real(
        "rope_theta", 1, 1e12, reader.real("rope_local_base_freq", 1, 1e12, 10000));
    if (localReader.problem())
        reader.refuse(localReader.problem()->what);
    const char* key = reader.has("sliding_window_pattern") ? "sliding_window_pattern"
                                                           : "_sliding_window_pattern";
    const auto every = static_cast<std::size_t>(reader.integer(key, 1, 10'000, 6));
    if (!readLayerTypes(reader, config, config.slidingWindow)) {
        for (std::size_t i = 0; i < config.layer.size(); ++i)
            config.layer[i].window = (i + 1) % every != 0 ? config.slidingWindow : 0;
    }
    for (auto& layer : config.layer)
        layer.local = layer.window > 0;
}

} // namespace fettle::model

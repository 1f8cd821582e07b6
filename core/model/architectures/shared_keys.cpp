// Keys of config.json that many families share.
#include "base/text.h"
#include "model/architectures/family.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace {

constexpr std::int64_t kMaxLayers = 512, kMaxWidth = 1 << 20, kMaxHeads = 8192;
constexpr std::int64_t kMaxVocab = 1'000'000, kMaxPositions = 10'000'000;

/// The published names of activations -> ours; "" for others.
std::string_view activationOf(const std::string& name)
{
    constexpr std::pair<std::string_view, std::string_view> kNames[] = {
        {"silu", "silu"},
        {"swish", "silu"},
        {"gelu", "gelu"},
        {"gelu_new", "gelu_tanh"},
        {"gelu_pytorch_tanh", "gelu_tanh"},
        {"gelu_fast", "gelu_tanh"},
        {"quick_gelu", "quick_gelu"},
        {"relu", "relu"},
        {"relu2", "relu2"},
        {"relu_squared", "relu2"}};
    const auto* found =
        std::ranges::find(kNames, name, [](const auto& each) { return each.first; });
    return found == std::end(kNames) ? std::string_view() : found->second;
}

/// The object with the rotary settings: rope_parameters (new), else rope_scaling (old), else empty.
Json ropeObject(const Json& config)
{
    for (const char* key : {"rope_parameters", "rope_scaling"}) {
        if (!config.contains(key) || !config[key].is_object())
            continue;
        const Json& found = config[key];
        return found.contains("full_attention") && found["full_attention"].is_object()
                   ? found["full_attention"]
                   : found;
    }
    return Json::object();
}

double yarnAttention(ConfigReader& rope, double factor)
{
    const double some = rope.real("mscale", 0, 1e6, 0),
                 all = rope.real("mscale_all_dim", 0, 1e6, 0);
    if (some == 0 || all == 0)
        return 0;
    const auto gain = [&](double scale) {
        return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1;
    };
    return gain(some) / gain(all);
}

void readLlama3Scaling(ConfigReader& rope, RopeScaling& scaling)
{
    scaling.lowFreqFactor = rope.real("low_freq_factor", 1e-6, 1e6);
    scaling.highFreqFactor = rope.real("high_freq_factor", 1e-6, 1e6);
    if (scaling.highFreqFactor <= scaling.lowFreqFactor)
        rope.refuse("'high_freq_factor' must be above 'low_freq_factor'");
    if (scaling.originalMaxPositions == 0)
        rope.refuse("the key 'original_max_position_embeddings' is missing");
}

void readYarn(ConfigReader& rope, RopeScaling& scaling)
{
    scaling.betaFast = rope.real("beta_fast", 1e-6, 1e6, 32);
    scaling.betaSlow = rope.real("beta_slow", 1e-6, 1e6, 1);
    if (scaling.attentionFactor == 0)
        scaling.attentionFactor = yarnAttention(rope, scaling.factor);
    if (!rope.flag("truncate", true))
        rope.refuse("YaRN without rounding ('truncate' false) is not supported",
                    ErrorCode::Unsupported);
}

void readLongrope(ConfigReader& rope, RopeScaling& scaling, std::int64_t pairs)
{
    scaling.shortFactors = rope.reals("short_factor", kMaxWidth);
    scaling.longFactors = rope.reals("long_factor", kMaxWidth);
    const auto count = static_cast<std::size_t>(pairs);
    // A stated factor stands in place of the ratio of both lengths; see rotary.cpp.
    if (scaling.attentionFactor == 0 && rope.has("factor") && scaling.originalMaxPositions > 1)
        scaling.attentionFactor =
            scaling.factor <= 1 ? 1
                                : std::sqrt(1 + std::log(scaling.factor) /
                                                    std::log(scaling.originalMaxPositions));
    if (scaling.shortFactors.size() != count || scaling.longFactors.size() != count)
        rope.refuse(
            fmt::format("'short_factor' and 'long_factor' must have {} numbers each", pairs));
}

void readScaling(ConfigReader& reader, ConfigReader& rope, ModelConfig& config)
{
    auto& scaling = config.rope;
    scaling.type = rope.text("rope_type", rope.text("type", "default"));
    if (scaling.type == "su")
        scaling.type = "longrope";
    if (scaling.type == "yarn" && rope.has("short_factor"))
        scaling.type = "longrope"; // so in early phi3 files
    const std::array<std::string_view, 6> known{"default", "linear", "dynamic",
                                                "llama3",  "yarn",   "longrope"};
    if (std::ranges::find(known, scaling.type) == known.end())
        rope.refuse(fmt::format("the rotary type '{}' is not known", quotable(scaling.type, 60)),
                    ErrorCode::Unsupported);
    const bool needsFactor = scaling.type != "default" && scaling.type != "longrope";
    scaling.factor = rope.real("factor", 1, 1e6, needsFactor ? std::nullopt : std::optional(1.0));
    const double ownLimit = reader.real("original_max_position_embeddings", 1, kMaxPositions, 0);
    scaling.originalMaxPositions =
        rope.real("original_max_position_embeddings", 1, kMaxPositions, ownLimit);
    scaling.attentionFactor = rope.real("attention_factor", 0, 1e6, 0);
    if (scaling.type == "llama3")
        readLlama3Scaling(rope, scaling);
    else if (scaling.type == "yarn")
        readYarn(rope, scaling);
    else if (scaling.type == "longrope")
        readLongrope(rope, scaling, config.rotaryDim / 2);
}

} // namespace

void setActivation(ConfigReader& reader, ModelConfig& config, const char* key,
                   const std::string& name)
{
    config.activation = activationOf(name);
    if (config.activation.empty())
        reader.refuse(fmt::format("the activation '{}' is not supported", quotable(name, 60)),
                      ErrorCode::Unsupported,
                      fmt::format("Choose a model with '{}' silu, gelu or relu", key));
}

void readShape(ConfigReader& reader, ModelConfig& config, const ShapeKeys& keys)
{
    config.layers = reader.integer(keys.layers, 1, kMaxLayers);
    config.hidden = reader.integer(keys.hidden, 1, kMaxWidth);
    const auto usual = keys.intermediateRatio > 0
                           ? std::optional(keys.intermediateRatio * config.hidden)
                           : std::nullopt;
    config.intermediate = reader.integer(keys.intermediate, 1, 16 * kMaxWidth, usual);
    config.heads = reader.integer(keys.heads, 1, kMaxHeads);
    // transformers: absent means the class's default, null means as many as there are heads.
    const bool byDefault = keys.defaultKvHeads > 0 && !reader.object().contains(keys.kvHeads);
    config.kvHeads =
        reader.integer(keys.kvHeads, 1, kMaxHeads, byDefault ? keys.defaultKvHeads : config.heads);
    config.vocab = reader.integer("vocab_size", 1, kMaxVocab);
    config.maxPositions = reader.integer(keys.positions, 1, kMaxPositions, keys.defaultPositions);
    if (keys.activation)
        setActivation(reader, config, keys.activation,
                      reader.text(keys.activation, keys.defaultActivation));
    if (reader.problem())
        return;
    config.layer.assign(static_cast<std::size_t>(config.layers), {});
    const bool given = reader.has(keys.headDim) || keys.defaultHeadDim > 0;
    if (!given && config.hidden % config.heads != 0)
        reader.refuse(fmt::format("'{}' {} is not a multiple of '{}' {}", keys.hidden,
                                  config.hidden, keys.heads, config.heads));
    const auto usualDim = keys.defaultHeadDim > 0 && !reader.object().contains(keys.headDim)
                              ? keys.defaultHeadDim
                              : std::max<std::int64_t>(1, config.hidden / config.heads);
    config.headDim = reader.integer(keys.headDim, 1, kMaxWidth, usualDim);
    if (config.heads % config.kvHeads != 0)
        reader.refuse(fmt::format("'{}' {} is not a multiple of '{}' {}", keys.heads, config.heads,
                                  keys.kvHeads, config.kvHeads));
}

void readRope(ConfigReader& reader, ModelConfig& config, double defaultTheta, bool partial,
              double defaultPart)
{
    if (reader.problem())
        return;
    const Json object = ropeObject(reader.object());
    ConfigReader rope(object, "rotary settings");
    config.ropeTheta = rope.has("rope_theta") ? rope.real("rope_theta", 1, 1e12)
                                              : reader.real("rope_theta", 1, 1e12, defaultTheta);
    const double part = rope.has("partial_rotary_factor")
                            ? rope.real("partial_rotary_factor", 0, 1)
                            : reader.real("partial_rotary_factor", 0, 1, defaultPart);
    if (part != 1 && !partial)
        rope.refuse("rotary positions on a part of each head are not known in this family",
                    ErrorCode::Unsupported);
    config.rotaryDim = static_cast<std::int64_t>(static_cast<double>(config.headDim) * part);
    if (config.rotaryDim % 2 != 0)
        rope.refuse(
            fmt::format("the head size {} must be even for rotary positions", config.rotaryDim));
    readScaling(reader, rope, config);
    if (rope.problem())
        reader.refuse(rope.problem()->what, rope.problem()->code, rope.problem()->remedy);
}

void readRmsNorm(ConfigReader& reader, ModelConfig& config, double fallback)
{
    config.norm = NormKind::Rms;
    config.normEps = reader.real("rms_norm_eps", 0, 1, fallback);
}

void readLayerNorm(ConfigReader& reader, ModelConfig& config, const char* key)
{
    config.norm = NormKind::Layer;
    config.normEps = reader.real(key, 0, 1, 1e-5);
}

void readBalance(ConfigReader& reader, ModelConfig& config)
{
    const double weight = reader.real("router_aux_loss_coef", 0, 1000, 0.001);
    config.experts.balance = reader.flag("output_router_logits", false) ? weight : 0;
}

bool readLayerTypes(ConfigReader& reader, ModelConfig& config, std::int64_t window)
{
    const Json& object = reader.object();
    if (!object.contains("layer_types") || !object["layer_types"].is_array())
        return false;
    const auto& types = object["layer_types"];
    if (types.size() != config.layer.size()) {
        reader.refuse(fmt::format("'layer_types' has {} entries for {} layers", types.size(),
                                  config.layer.size()));
        return true;
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
        const bool sliding = types[i] == "sliding_attention";
        if (!sliding && types[i] != "full_attention") {
            reader.refuse("'layer_types' names a kind of attention that is not known here",
                          ErrorCode::Unsupported);
            return true;
        }
        config.layer[i].window = sliding ? window : 0;
    }
    return true;
}

} // namespace fettle::model

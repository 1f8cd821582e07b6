#include "model/import/model_config.h"

#include "model/import/config_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxLayers = 512, kMaxWidth = 1 << 20, kMaxHeads = 8192;
constexpr std::int64_t kMaxVocab = 1'000'000, kMaxPositions = 10'000'000;
constexpr std::uint64_t kMaxConfigBytes = 16u << 20;

constexpr std::array<std::string_view, 2> kFamilies{"llama", "mistral"};

std::size_t editDistance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row.back();
}

/// The family's name in the file, checked; "" after a refusal.
std::string readFamily(ConfigReader& reader)
{
    std::string type = reader.text("model_type", "");
    const auto& config = reader.object();
    if (type.empty() && config.contains("architectures") && config["architectures"].is_array() &&
        !config["architectures"].empty() && config["architectures"][0] == "LlamaForCausalLM")
        type = "llama";
    if (type.empty()) {
        reader.refuse("the key 'model_type' is missing, so the model's family is not known");
        return "";
    }
    if (std::find(kFamilies.begin(), kFamilies.end(), type) != kFamilies.end())
        return type;
    type = type.substr(0, 60);
    const auto nearest = *std::min_element(kFamilies.begin(), kFamilies.end(),
                                           [&](std::string_view a, std::string_view b) {
                                               return editDistance(type, a) < editDistance(type, b);
                                           });
    reader.refuse(
        fmt::format("the model family '{}' is not known here; the nearest known one is '{}'", type,
                    nearest),
        ErrorCode::Unsupported,
        "Choose a model of the llama or mistral family, such as SmolLM2, Llama or TinyLlama");
    return "";
}

void readShape(ConfigReader& reader, ModelConfig& config, bool mistral)
{
    config.layers = reader.integer("num_hidden_layers", 1, kMaxLayers);
    config.hidden = reader.integer("hidden_size", 1, kMaxWidth);
    config.intermediate = reader.integer("intermediate_size", 1, 16 * kMaxWidth);
    config.heads = reader.integer("num_attention_heads", 1, kMaxHeads);
    // transformers: absent means the class's default, null means as many as there are heads.
    const bool grouped = mistral && !reader.object().contains("num_key_value_heads");
    config.kvHeads =
        reader.integer("num_key_value_heads", 1, kMaxHeads, grouped ? 8 : config.heads);
    config.vocab = reader.integer("vocab_size", 1, kMaxVocab);
    config.maxPositions =
        reader.integer("max_position_embeddings", 1, kMaxPositions, mistral ? 131072 : 2048);
    if (reader.problem())
        return;
    if (!reader.has("head_dim") && config.hidden % config.heads != 0)
        reader.refuse(fmt::format("'hidden_size' {} is not a multiple of 'num_attention_heads' {}",
                                  config.hidden, config.heads));
    config.headDim = reader.integer("head_dim", 2, kMaxWidth,
                                    std::max<std::int64_t>(2, config.hidden / config.heads));
    if (config.headDim % 2 != 0)
        reader.refuse(
            fmt::format("the head size {} must be even for rotary positions", config.headDim));
    if (config.heads % config.kvHeads != 0)
        reader.refuse(
            fmt::format("'num_attention_heads' {} is not a multiple of 'num_key_value_heads' {}",
                        config.heads, config.kvHeads));
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

void readRope(ConfigReader& reader, const std::string& where, ModelConfig& config)
{
    const Json object = ropeObject(reader.object());
    ConfigReader rope(object, where + ", rotary settings");
    config.ropeTheta = rope.has("rope_theta") ? rope.real("rope_theta", 1, 1e12)
                                              : reader.real("rope_theta", 1, 1e12, 10000);
    auto& scaling = config.rope;
    scaling.type = rope.text("rope_type", rope.text("type", "default"));
    if (scaling.type == "su")
        scaling.type = "longrope";
    const std::array<std::string_view, 6> known{"default", "linear", "dynamic",
                                                "llama3",  "yarn",   "longrope"};
    if (std::find(known.begin(), known.end(), scaling.type) == known.end())
        rope.refuse(fmt::format("the rotary type '{}' is not known", scaling.type.substr(0, 60)),
                    ErrorCode::Unsupported);
    const bool needsFactor = scaling.type != "default" && scaling.type != "longrope";
    scaling.factor = rope.real("factor", 1, 1e6, needsFactor ? std::nullopt : std::optional(1.0));
    const double ownLimit = reader.real("original_max_position_embeddings", 1, kMaxPositions, 0);
    scaling.originalMaxPositions =
        rope.real("original_max_position_embeddings", 1, kMaxPositions, ownLimit);
    scaling.attentionFactor = rope.real("attention_factor", 0, 1e6, 0);
    if (scaling.type == "llama3") {
        scaling.lowFreqFactor = rope.real("low_freq_factor", 1e-6, 1e6);
        scaling.highFreqFactor = rope.real("high_freq_factor", 1e-6, 1e6);
        if (scaling.highFreqFactor <= scaling.lowFreqFactor)
            rope.refuse("'high_freq_factor' must be above 'low_freq_factor'");
        if (scaling.originalMaxPositions == 0)
            rope.refuse("the key 'original_max_position_embeddings' is missing");
    }
    if (scaling.type == "yarn") {
        scaling.betaFast = rope.real("beta_fast", 1e-6, 1e6, 32);
        scaling.betaSlow = rope.real("beta_slow", 1e-6, 1e6, 1);
        if (scaling.attentionFactor == 0)
            scaling.attentionFactor = yarnAttention(rope, scaling.factor);
        if (!rope.flag("truncate", true))
            rope.refuse("YaRN without rounding ('truncate' false) is not supported",
                        ErrorCode::Unsupported);
    }
    if (scaling.type == "longrope") {
        scaling.shortFactors = rope.reals("short_factor", kMaxWidth);
        scaling.longFactors = rope.reals("long_factor", kMaxWidth);
        const auto pairs = static_cast<std::size_t>(config.headDim / 2);
        if (scaling.shortFactors.size() != pairs || scaling.longFactors.size() != pairs)
            rope.refuse(
                fmt::format("'short_factor' and 'long_factor' must have {} numbers each", pairs));
    }
    if (rope.real("partial_rotary_factor", 0, 1, 1) != 1 ||
        reader.real("partial_rotary_factor", 0, 1, 1) != 1)
        rope.refuse("rotary positions on a part of each head are not supported",
                    ErrorCode::Unsupported);
    if (rope.problem())
        reader.refuse(rope.problem()->what, rope.problem()->code, rope.problem()->remedy);
}

void readMistralWindow(ConfigReader& reader, ModelConfig& config)
{
    const Json& object = reader.object();
    const bool absent = !object.contains("sliding_window");
    config.slidingWindow = reader.integer("sliding_window", 0, kMaxPositions, absent ? 4096 : 0);
    if (!object.contains("layer_types") || !object["layer_types"].is_array())
        return;
    const auto& types = object["layer_types"];
    const auto sliding = std::count(types.begin(), types.end(), Json("sliding_attention"));
    if (sliding == 0)
        config.slidingWindow = 0;
    else if (sliding != static_cast<std::ptrdiff_t>(types.size()))
        reader.refuse("layers with different attention windows are not supported in this family",
                      ErrorCode::Unsupported, "Choose a model whose layers all attend alike");
}

void readTokens(ConfigReader& reader, ConfigReader& generation, ModelConfig& config)
{
    for (auto* source : {&generation, &reader}) {
        for (const std::int32_t id : source->ids("eos_token_id", config.vocab)) {
            if (std::find(config.eosIds.begin(), config.eosIds.end(), id) == config.eosIds.end())
                config.eosIds.push_back(id);
        }
        const auto bos = source->ids("bos_token_id", config.vocab);
        const auto pad = source->ids("pad_token_id", config.vocab);
        if (!bos.empty() && !config.bosId)
            config.bosId = bos[0];
        if (!pad.empty() && !config.padId)
            config.padId = pad[0];
    }
}

} // namespace

Result<ModelConfig> parseModelConfig(const Json& json, const Json& generationJson,
                                     const std::string& where)
{
    const Json empty = Json::object();
    if (!json.is_object())
        return Error{ErrorCode::InvalidInput, "the configuration is not a JSON object", where,
                     "Fetch the model's folder again"};
    ConfigReader reader(json, where);
    ConfigReader generation(generationJson.is_object() ? generationJson : empty,
                            "generation_config.json");
    if (reader.has("quantization_config"))
        reader.refuse("the weights are stored in a compressed form (quantization_config)",
                      ErrorCode::Unsupported, "Choose the uncompressed version of the model");
    ModelConfig config;
    const bool mistral = readFamily(reader) == "mistral";
    if (reader.problem())
        return *reader.problem();
    config.family = "llama";
    config.raw = json;
    readShape(reader, config, mistral);
    if (reader.problem())
        return *reader.problem();
    config.normEps = reader.real("rms_norm_eps", 0, 1, 1e-6);
    readRope(reader, where, config);
    // mistral has no such keys: its classes never make biases.
    config.attentionBias = !mistral && reader.flag("attention_bias", false);
    config.mlpBias = !mistral && reader.flag("mlp_bias", false);
    config.tieEmbeddings = reader.flag("tie_word_embeddings", false);
    config.activation = reader.text("hidden_act", "silu");
    if (config.activation == "swish")
        config.activation = "silu";
    if (config.activation != "silu")
        reader.refuse(fmt::format("the activation '{}' is not supported in this family",
                                  config.activation.substr(0, 60)),
                      ErrorCode::Unsupported, "Choose a model with 'hidden_act' silu");
    if (mistral)
        readMistralWindow(reader, config);
    readTokens(reader, generation, config);
    if (reader.problem())
        return *reader.problem();
    if (generation.problem())
        return *generation.problem();
    return config;
}

Result<ModelConfig> readModelConfig(const fs::path& folder)
{
    const auto path = folder / "config.json";
    std::error_code ec;
    if (!fs::exists(path, ec))
        return Error{ErrorCode::NotFound, "the folder has no config.json", folder.string(),
                     "Choose the folder of a model in Hugging Face form"};
    auto config = readJsonFile(path, kMaxConfigBytes);
    if (!config)
        return at(config.error(), folder.string());
    Json generation;
    if (fs::exists(folder / "generation_config.json", ec)) {
        auto read = readJsonFile(folder / "generation_config.json", kMaxConfigBytes);
        if (!read)
            return at(read.error(), folder.string());
        generation = std::move(*read);
    }
    return parseModelConfig(*config, generation, path.string());
}

std::vector<WeightShape> expectedWeights(const ModelConfig& config)
{
    const auto H = config.hidden, I = config.intermediate;
    const auto Q = config.heads * config.headDim, K = config.kvHeads * config.headDim;
    std::vector<WeightShape> weights{{"model.embed_tokens.weight", {config.vocab, H}}};
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
        const std::string prefix = fmt::format("model.layers.{}.", layer);
        auto linear = [&](const char* name, std::int64_t out, std::int64_t in, bool bias) {
            weights.push_back({fmt::format("{}{}.weight", prefix, name), {out, in}});
            if (bias)
                weights.push_back({fmt::format("{}{}.bias", prefix, name), {out}});
        };
        weights.push_back({prefix + "input_layernorm.weight", {H}});
        linear("self_attn.q_proj", Q, H, config.attentionBias);
        linear("self_attn.k_proj", K, H, config.attentionBias);
        linear("self_attn.v_proj", K, H, config.attentionBias);
        linear("self_attn.o_proj", H, Q, config.attentionBias);
        weights.push_back({prefix + "post_attention_layernorm.weight", {H}});
        linear("mlp.gate_proj", I, H, config.mlpBias);
        linear("mlp.up_proj", I, H, config.mlpBias);
        linear("mlp.down_proj", H, I, config.mlpBias);
    }
    weights.push_back({"model.norm.weight", {H}});
    if (!config.tieEmbeddings)
        weights.push_back({"lm_head.weight", {config.vocab, H}});
    return weights;
}

std::int64_t ModelConfig::parameters() const
{
    std::int64_t total = 0;
    for (const auto& weight : expectedWeights(*this)) {
        std::int64_t size = 1;
        for (const auto dimension : weight.shape)
            size *= dimension;
        total += size;
    }
    return total;
}

} // namespace fettle::model

#include "model/import/gguf_config.h"

#include "model/import/gguf_config_kinds.h"
#include "model/import/gguf_metadata.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

using tensor::GgufFile;
using tensor::GgufKeys;

namespace {

// Readers cap gemma2 in any case, with these where the file does not say it: a model without caps
// gets one that changes nothing.
constexpr double kUsualScoreCap = 50, kUsualFinalCap = 30, kNoCap = 1e6;

/// What every architecture says of its shape.
struct Shape
{
    std::int64_t layers, context, hidden, inner, heads, kvHeads, headDim, rotary, vocab;
};

Shape readShape(GgufKeyReader& keys, const GgufFamily& family)
{
    Shape shape{};
    shape.layers = keys.layers("block_count");
    shape.context = keys.count("context_length");
    shape.hidden = keys.count("embedding_length");
    shape.inner = keys.count("feed_forward_length");
    shape.heads = keys.count("attention.head_count");
    shape.kvHeads = keys.count("attention.head_count_kv", shape.heads);
    shape.headDim =
        keys.count("attention.key_length", std::max<std::int64_t>(1, shape.hidden / shape.heads));
    shape.rotary = keys.count("rope.dimension_count", shape.headDim);
    const auto values = keys.count("attention.value_length", shape.headDim);
    const bool partial =
        family.family == "phi" || family.family == "phi3" || family.family == "gpt_neox";
    if (values != shape.headDim ||
        (shape.rotary != shape.headDim && !partial && !family.shortKeys) ||
        shape.rotary > shape.headDim)
        keys.refuse(fmt::format("the head sizes differ: keys {}, values {}, rotary part {}",
                                shape.headDim, values, shape.rotary),
                    ErrorCode::Unsupported);
    shape.vocab = keys.vocab();
    return shape;
}

Json shapeToConfig(const Shape& shape, const GgufFamily& family)
{
    Json config{{"architectures", {family.className}},
                {"model_type", family.family},
                {"vocab_size", shape.vocab},
                {"attention_dropout", 0.0},
                {"initializer_range", 0.02},
                {"use_cache", true},
                {"dtype", "float32"},
                {"torch_dtype", "float32"}};
    if (family.shortKeys) {
        config["n_layer"] = shape.layers;
        config["n_embd"] = shape.hidden;
        config["n_inner"] = shape.inner;
        config["n_head"] = shape.heads;
        config["n_positions"] = config["n_ctx"] = shape.context;
        config["activation_function"] = family.activation;
        return config;
    }
    config["num_hidden_layers"] = shape.layers;
    config["hidden_size"] = shape.hidden;
    config["intermediate_size"] = shape.inner;
    config["num_attention_heads"] = shape.heads;
    config["num_key_value_heads"] = shape.kvHeads;
    config["max_position_embeddings"] = shape.context;
    config["hidden_act"] = family.activation;
    if (family.freeHeads)
        config["head_dim"] = shape.headDim;
    return config;
}

Result<void> readRotary(GgufKeyReader& keys, const GgufFamily& family, const Shape& shape,
                        Json& config)
{
    const double theta = keys.real("rope.freq_base", 10000);
    if (!(theta >= 1 && theta < 1e12))
        keys.refuse(fmt::format("the key '{}' is not a number from 1 to 1e12",
                                keys.full("rope.freq_base")));
    if (keys.problem())
        return *keys.problem();
    const auto scaling =
        ropeFromGguf(keys.file(), std::string(family.architecture), shape.rotary, theta);
    if (!scaling)
        return scaling.error();
    Json rope = *scaling;
    if (rope["rope_type"] != "default")
        config["rope_scaling"] = rope;
    rope["rope_theta"] = config["rope_theta"] = theta;
    if (shape.rotary != shape.headDim || family.family == "phi" || family.family == "gpt_neox") {
        const double part = static_cast<double>(shape.rotary) / static_cast<double>(shape.headDim);
        rope["partial_rotary_factor"] = config["partial_rotary_factor"] = part;
        if (family.family == "gpt_neox")
            config["rotary_pct"] = part, config["rotary_emb_base"] = theta;
    }
    if (family.family == "phi3" && rope.contains("original_max_position_embeddings"))
        config["original_max_position_embeddings"] = rope["original_max_position_embeddings"];
    config["rope_parameters"] = rope;
    if (family.family == "gemma3_text") {
        const double local = keys.real("rope.freq_base_swa", 10000);
        config["rope_local_base_freq"] = local;
        config["rope_parameters"] = {
            {"full_attention", rope},
            {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", local}}}};
    }
    return {};
}

/// Which layers slide: a flag for each layer, every n-th layer full, or the family's habit.
std::vector<bool> slidingLayers(GgufKeyReader& keys, const GgufFamily& family, std::int64_t layers)
{
    const auto key = keys.full("attention.sliding_window_pattern");
    const auto* value = keys.file().find(key);
    std::vector<bool> slides(static_cast<std::size_t>(std::clamp<std::int64_t>(layers, 0, 512)));
    if (value && value->type == tensor::GgufType::Array) {
        const bool fits = (value->element == tensor::GgufType::Bool) &&
                          value->count == slides.size() && value->bytes.size() == slides.size();
        if (!fits)
            keys.refuse(fmt::format("the key '{}' does not have one flag for each layer", key));
        for (std::size_t i = 0; fits && i < slides.size(); ++i)
            slides[i] = value->bytes[i] != std::byte{0};
        return slides;
    }
    const auto every = static_cast<std::size_t>(
        keys.count("attention.sliding_window_pattern", family.family == "gemma2" ? 2 : 6));
    for (std::size_t i = 0; i < slides.size(); ++i)
        slides[i] = i % every < every - 1;
    return slides;
}

void readGemma(GgufKeyReader& keys, const GgufFamily& family, const Shape& shape, Json& config)
{
    config["hidden_activation"] = family.activation;
    if (family.family == "gemma")
        return;
    config["query_pre_attn_scalar"] =
        ggufScoreWidth(family.architecture, shape.layers, shape.hidden, shape.heads, shape.headDim);
    const bool second = family.family == "gemma2";
    const auto cap = [&](const char* key, double usual) {
        const double value = second ? keys.real(key, usual) : keys.has(key) ? keys.real(key) : 0;
        config[key] = value > 0 && value < kNoCap ? Json(value) : Json();
    };
    cap("final_logit_softcapping", kUsualFinalCap);
    config["attn_logit_softcapping"] = nullptr;
    if (second)
        cap("attn_logit_softcapping", kUsualScoreCap);
    config["sliding_window"] = keys.count("attention.sliding_window", 4096);
    Json types = Json::array();
    for (const bool slides : slidingLayers(keys, family, shape.layers))
        types.push_back(slides ? "sliding_attention" : "full_attention");
    config["layer_types"] = types;
}

void readExperts(GgufKeyReader& keys, const GgufFamily& family, Json& config)
{
    const auto count = keys.count("expert_count"), used = keys.count("expert_used_count");
    const auto* first = keys.file().tensor("blk.0.ffn_down_exps.weight");
    if (!first || first->dims.size() != 3 || first->dims[2] != count)
        keys.refuse(
            fmt::format("the weight 'blk.0.ffn_down_exps.weight' does not hold the {} experts "
                        "that the keys promise",
                        count));
    config["num_experts_per_tok"] = used;
    if (family.family == "mixtral") {
        config["num_local_experts"] = count;
        return;
    }
    config["num_experts"] = config["num_local_experts"] = count;
    config["moe_intermediate_size"] = keys.count("expert_feed_forward_length");
    config["norm_topk_prob"] = true;
    config["decoder_sparse_step"] = 1;
    config["mlp_only_layers"] = Json::array();
}

/// What only one family has.
void readRest(GgufKeyReader& keys, const GgufFamily& family, const Shape& shape, Json& config)
{
    const auto& file = keys.file();
    const auto type = family.family;
    const auto window = file.integer(keys.full("attention.sliding_window")).value_or(0);
    if (type == "mistral" || type == "mixtral" || type == "phi3")
        config["sliding_window"] = window > 0 ? Json(window) : Json();
    if (type == "llama" || type == "granite") {
        config["attention_bias"] = file.tensor("blk.0.attn_q.bias") != nullptr;
        config["mlp_bias"] = file.tensor("blk.0.ffn_gate.bias") != nullptr;
    }
    if (type == "qwen2" || type == "qwen3" || type == "qwen3_moe" || type == "smollm3")
        config["use_sliding_window"] = false;
    if (type == "mixtral" || type == "qwen3_moe")
        readExperts(keys, family, config);
    if (type.starts_with("gemma"))
        readGemma(keys, family, shape, config);
    if (type == "smollm3") {
        Json rotary = Json::array();
        for (std::int64_t i = 0; i < std::min<std::int64_t>(shape.layers, 512); ++i)
            rotary.push_back((i + 1) % 4 == 0 ? 0 : 1);
        config["no_rope_layers"] = rotary;
        config["no_rope_layer_interval"] = 4;
        config["layer_types"] = std::vector<std::string>(rotary.size(), "full_attention");
    }
    if (type == "granite") {
        config["logits_scaling"] = keys.real("logit_scale");
        config["residual_multiplier"] = keys.real("residual_scale", 1);
        config["embedding_multiplier"] = keys.real("embedding_scale", 1);
        config["attention_multiplier"] =
            keys.real("attention.scale", 1 / std::sqrt(static_cast<double>(shape.headDim)));
    }
    if (type == "gpt_neox")
        config["use_parallel_residual"] =
            file.flag(keys.full("use_parallel_residual")).value_or(true);
    if (type == "gpt_bigcode")
        config["multi_query"] = shape.kvHeads == 1;
}

void writeExperts(const ModelConfig& config, const std::string& a, GgufKeys& keys)
{
    if (config.experts.count == 0)
        return;
    keys.u32(a + "expert_count", static_cast<std::uint64_t>(config.experts.count));
    keys.u32(a + "expert_used_count", static_cast<std::uint64_t>(config.experts.perToken));
    if (config.family == "qwen3_moe")
        keys.u32(a + "expert_feed_forward_length",
                 static_cast<std::uint64_t>(config.experts.intermediate));
}

void writeWindows(const ModelConfig& config, const GgufFamily& family, const std::string& a,
                  GgufKeys& keys)
{
    if (config.slidingWindow > 0)
        keys.u32(a + "attention.sliding_window", static_cast<std::uint64_t>(config.slidingWindow));
    else if (family.family == "phi3")
        keys.u32(a + "attention.sliding_window", 0); // its readers ask for the key
    if (!family.windows)
        return;
    std::vector<bool> slides;
    for (const auto& layer : config.layer)
        slides.push_back(layer.window > 0);
    keys.flags(a + "attention.sliding_window_pattern", slides);
    if (config.localRopeTheta > 0)
        keys.f32(a + "rope.freq_base_swa", config.localRopeTheta);
}

void writeFactors(const ModelConfig& config, const GgufFamily& family, const std::string& a,
                  GgufKeys& keys)
{
    const bool capped = family.family == "gemma2";
    if (config.attentionSoftcap > 0 || capped)
        keys.f32(a + "attn_logit_softcapping",
                 config.attentionSoftcap > 0 ? config.attentionSoftcap : kNoCap);
    if (config.logitSoftcap > 0 || capped)
        keys.f32(a + "final_logit_softcapping",
                 config.logitSoftcap > 0 ? config.logitSoftcap : kNoCap);
    if (family.family == "granite") {
        keys.f32(a + "attention.scale", config.attentionScale);
        keys.f32(a + "embedding_scale", config.embeddingScale);
        keys.f32(a + "residual_scale", config.residualScale);
        keys.f32(a + "logit_scale", 1 / config.logitScale);
    }
    if (family.family == "gpt_neox")
        keys.flag(a + "use_parallel_residual", config.parallelBlock);
}

Result<Json> decoderFromGguf(GgufKeyReader& keys, const GgufFamily& family)
{
    const Shape shape = readShape(keys, family);
    const bool rms = std::string_view(family.epsilon) == "rms_norm_eps";
    const double epsilon =
        keys.real(rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
    if (keys.problem())
        return *keys.problem();
    Json config = shapeToConfig(shape, family);
    config[family.epsilon] = epsilon;
    config["tie_word_embeddings"] = keys.file().tensor("output.weight") == nullptr;
    if (!family.shortKeys) {
        if (auto rotary = readRotary(keys, family, shape, config); !rotary)
            return rotary.error();
    }
    readRest(keys, family, shape, config);
    return config;
}

} // namespace

Result<Json> configFromGguf(const GgufFile& file, const GgufFamily& family)
{
    GgufKeyReader keys(file, family);
    auto config = family.architecture == "t5"     ? Result<Json>(stacksFromGguf(keys, family))
                  : family.architecture == "bert" ? Result<Json>(encoderFromGguf(keys, family))
                                                  : decoderFromGguf(keys, family);
    if (!config)
        return config;
    if (keys.problem())
        return *keys.problem();
    addTokenIds(file, *config);
    return config;
}

std::vector<GgufComputed> configToGguf(const ModelConfig& config, const GgufFamily& family,
                                       GgufKeys& keys)
{
    const std::string name(family.architecture), a = name + ".";
    if (config.kind == ModelKind::EncoderDecoder) {
        stacksToGguf(config, keys);
        return {};
    }
    if (config.kind == ModelKind::Encoder) {
        encoderToGguf(config, keys);
        return {};
    }
    const auto count = [&](const char* key, std::int64_t value) {
        keys.u32(a + key, static_cast<std::uint64_t>(value));
    };
    count("vocab_size", config.vocab);
    count("context_length", config.maxPositions);
    count("embedding_length", config.hidden);
    count("block_count", config.layers);
    count("feed_forward_length", config.intermediate);
    count("attention.head_count", config.heads);
    count("attention.head_count_kv", config.kvHeads);
    count("attention.key_length", config.headDim);
    count("attention.value_length", config.headDim);
    keys.f32(a + (config.norm == NormKind::Layer ? "attention.layer_norm_epsilon"
                                                 : "attention.layer_norm_rms_epsilon"),
             config.normEps);
    writeExperts(config, a, keys);
    writeWindows(config, family, a, keys);
    writeFactors(config, family, a, keys);
    if (config.learnedPositions)
        return {};
    count("rope.dimension_count", config.rotaryDim);
    keys.f32(a + "rope.freq_base", config.ropeTheta);
    return ropeToGguf(config, name, keys);
}

} // namespace fettle::model

#include "model/import/gguf_config_kinds.h"

#include <algorithm>
#include <cmath>

namespace fettle::model {

namespace {

/// Whether the states before the head are multiplied by 1 / sqrt(hidden). Where a file does not say
/// it: the published models do so when the head is the embedding table.
bool scaledStates(GgufKeyReader& keys, std::int64_t hidden, bool ownHead)
{
    if (!keys.file().has(kGgufNormScale))
        return !ownHead;
    const double scale = keys.file().real(kGgufNormScale).value_or(0);
    const double usual = 1 / std::sqrt(static_cast<double>(hidden));
    const auto near = [scale](double value) { return std::abs(scale / value - 1) < 1e-5; };
    if (!near(1) && !near(usual))
        keys.refuse(fmt::format("the key '{}' is neither 1 nor {:.6g}", kGgufNormScale, usual));
    return near(usual);
}

} // namespace

Json stacksFromGguf(GgufKeyReader& keys, const GgufFamily& family)
{
    const auto& file = keys.file();
    const auto layers = keys.layers("block_count"), hidden = keys.count("embedding_length");
    const auto heads = keys.count("attention.head_count");
    const auto headDim =
        keys.count("attention.key_length", std::max<std::int64_t>(1, hidden / heads));
    if (keys.count("attention.value_length", headDim) != headDim ||
        keys.count("attention.head_count_kv", heads) != heads)
        keys.refuse("queries, keys and values have different heads", ErrorCode::Unsupported);
    const bool gated = file.tensor("enc.blk.0.ffn_gate.weight");
    const bool ownHead = file.tensor("output.weight");
    Json config{{"architectures", {family.className}},
                {"model_type", family.family},
                {"is_encoder_decoder", true},
                {"vocab_size", keys.vocab()},
                {"d_model", hidden},
                {"d_kv", headDim},
                {"d_ff", keys.count("feed_forward_length")},
                {"num_layers", layers},
                {"num_decoder_layers", keys.layers("decoder_block_count", layers)},
                {"num_heads", heads},
                {"n_positions", keys.count("context_length")},
                {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
                {"is_gated_act", gated},
                {"dense_act_fn", gated ? "gelu_new" : "relu"},
                {"layer_norm_epsilon", keys.real("attention.layer_norm_rms_epsilon")},
                {"relative_attention_num_buckets", keys.count("attention.relative_buckets_count")},
                {"relative_attention_max_distance", kGgufMaxDistance},
                {"tie_word_embeddings", !ownHead},
                {"scale_decoder_outputs", scaledStates(keys, hidden, ownHead)},
                {"dropout_rate", 0.1},
                {"use_cache", true},
                {"dtype", "float32"},
                {"torch_dtype", "float32"}};
    if (const auto start = file.integer(keys.full("decoder_start_token_id")))
        config["decoder_start_token_id"] = *start;
    return config;
}

void stacksToGguf(const ModelConfig& config, tensor::GgufKeys& keys)
{
    const auto count = [&](const char* key, std::int64_t value) {
        keys.u32(std::string("t5.") + key, static_cast<std::uint64_t>(value));
    };
    count("vocab_size", config.vocab);
    count("context_length", config.maxPositions);
    count("embedding_length", config.hidden);
    count("block_count", config.layers);
    count("decoder_block_count", config.writer.layers);
    count("feed_forward_length", config.intermediate);
    count("attention.head_count", config.heads);
    count("attention.key_length", config.headDim);
    count("attention.value_length", config.headDim);
    count("attention.relative_buckets_count", config.relative.buckets);
    count("decoder_start_token_id", config.writer.startId);
    keys.f32("t5.attention.layer_norm_epsilon", config.normEps); // readers ask for both
    keys.f32("t5.attention.layer_norm_rms_epsilon", config.normEps);
    keys.f32(kGgufNormScale, config.logitScale);
    keys.text(kGgufModelType, config.family);
}

} // namespace fettle::model

#include "model/import/gguf_config_kinds.h"

#include <algorithm>
#include <limits>

namespace fettle::model {

namespace {

constexpr const char* kTypeCount = "tokenizer.ggml.token_type_count";

/// config.json of distilbert has names of its own.
struct Names
{
    const char *layers, *hidden, *inner, *heads, *activation;
};
constexpr Names kUsual{"num_hidden_layers", "hidden_size", "intermediate_size",
                       "num_attention_heads", "hidden_act"};
constexpr Names kDistil{"n_layers", "dim", "hidden_dim", "n_heads", "activation"};
constexpr double kDistilEpsilon = 1e-12; // it has no key

} // namespace

Json encoderFromGguf(GgufKeyReader& keys, const GgufFamily& family)
{
    const bool distil = family.family == "distilbert";
    const auto& names = distil ? kDistil : kUsual;
    const auto& file = keys.file();
    auto positions = keys.count("context_length");
    Json config{{"architectures", {family.className}},
                {"model_type", family.family},
                {"vocab_size", keys.vocab()},
                {names.layers, keys.layers("block_count")},
                {names.hidden, keys.count("embedding_length")},
                {names.inner, keys.count("feed_forward_length")},
                {names.heads, keys.count("attention.head_count")},
                {names.activation, family.activation},
                {"initializer_range", 0.02},
                {"dtype", "float32"},
                {"torch_dtype", "float32"}};
    const double epsilon = keys.real("attention.layer_norm_epsilon");
    if (!distil)
        config["layer_norm_eps"] = epsilon;
    else if (epsilon > 2 * kDistilEpsilon)
        keys.refuse(fmt::format("the key '{}' is {}, distilbert has {}",
                                keys.full("attention.layer_norm_epsilon"), epsilon, kDistilEpsilon),
                    ErrorCode::Unsupported);
    if (const auto* types = file.tensor("token_types.weight"); types && !types->dims.empty())
        config["type_vocab_size"] =
            types->values() / static_cast<std::uint64_t>(std::max<std::int64_t>(1, types->dims[0]));
    // The file leaves out the rows up to the padding token's.
    if (family.family.ends_with("roberta") || family.family == "camembert") {
        const auto padding = file.integer("tokenizer.ggml.padding_token_id").value_or(0);
        if (padding < 0 || padding >= keys.vocab())
            keys.refuse("the key 'tokenizer.ggml.padding_token_id' names no token of the table");
        else if (positions > std::numeric_limits<std::int32_t>::max())
            keys.refuse(fmt::format("the key '{}' is {}, more than any model reads", keys.full("context_length"), positions));
        else
            positions += padding + 1;
    }
    config["max_position_embeddings"] = positions;
    return config;
}

void encoderToGguf(const ModelConfig& config, tensor::GgufKeys& keys)
{
    const auto count = [&](const char* key, std::int64_t value) {
        keys.u32(std::string("bert.") + key, static_cast<std::uint64_t>(value));
    };
    count("vocab_size", config.vocab);
    count("context_length", config.maxPositions);
    count("embedding_length", config.hidden);
    count("block_count", config.layers);
    count("feed_forward_length", config.intermediate);
    count("attention.head_count", config.heads);
    keys.f32("bert.attention.layer_norm_epsilon", config.normEps);
    keys.flag("bert.attention.causal", false);
    const auto types = std::max<std::int64_t>(1, config.encoder.tokenTypes);
    keys.u32(kTypeCount, static_cast<std::uint64_t>(types)); // readers ask for it
    keys.text(kGgufModelType, config.family);
}

} // namespace fettle::model

#include "model/architectures/family.h"

namespace fettle::model {

namespace {

/// "global" or "local" for each layer, from attention_layers or attention_types.
std::vector<std::string> kindsOf(const Json& object)
{
    std::vector<std::string> kinds;
    const auto add = [&](const Json& list) {
        for (const auto& kind : list) {
            if (kind.is_string())
                kinds.push_back(kind.get<std::string>());
        }
    };
    if (object.contains("attention_types") && object["attention_types"].is_array()) {
        for (const auto& group : object["attention_types"]) {
            if (!group.is_array() || group.size() != 2 || !group[0].is_array() ||
                !group[1].is_number_unsigned() || group[1].get<std::uint64_t>() > 512)
                return {};
            for (std::uint64_t i = 0; i < group[1].get<std::uint64_t>(); ++i)
                add(group[0]);
        }
    } else if (object.contains("attention_layers")) {
        add(object["attention_layers"]);
    }
    return kinds;
}

} // namespace

/// GPT-Neo, TinyStories: learned positions, no scale on the scores, layers that slide between full
/// ones, a bias on the output of the attention but none on its inputs.
void readGptNeo(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config,
              {.layers = "num_layers",
               .heads = "num_heads",
               .kvHeads = "num_heads",
               .activation = "activation_function",
               .defaultActivation = "gelu_new",
               .intermediateRatio = 4});
    readLayerNorm(reader, config, "layer_norm_epsilon");
    config.learnedPositions = true;
    config.outputBias = config.mlpBias = true;
    config.attentionScale = 1;
    config.tieEmbeddings = true;
    config.slidingWindow = reader.integer("window_size", 1, 10'000'000, 256);
    auto& names = config.names;
    names.prefix = "transformer.";
    names.embedding = "transformer.wte";
    names.positions = "transformer.wpe";
    names.finalNorm = "transformer.ln_f";
    names.layer = "transformer.h.";
    names.attentionNorm = "ln_1";
    names.mlpNorm = "ln_2";
    names.q = "attn.attention.q_proj";
    names.k = "attn.attention.k_proj";
    names.v = "attn.attention.v_proj";
    names.o = "attn.attention.out_proj";
    names.gate = "";
    names.up = "mlp.c_fc";
    names.down = "mlp.c_proj";
    if (reader.problem())
        return;
    const auto kinds = kindsOf(reader.object());
    if (kinds.size() != config.layer.size()) {
        reader.refuse("'attention_types' must give \"global\" or \"local\" for every layer");
        return;
    }
    for (std::size_t i = 0; i < kinds.size(); ++i)
        config.layer[i].window = kinds[i] == "local" ? config.slidingWindow : 0;
}

} // namespace fettle::model

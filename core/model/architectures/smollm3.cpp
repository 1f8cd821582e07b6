#include "model/architectures/family.h"

namespace fettle::model {

/// As llama; every fourth layer (or what no_rope_layers says) knows no positions.
void readSmollm3(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 32768, .defaultKvHeads = 4});
    readRope(reader, config, 2e6);
    readRmsNorm(reader, config, 1e-6);
    config.attentionBias = config.outputBias = reader.flag("attention_bias", false);
    config.mlpBias = reader.flag("mlp_bias", false);
    config.tieEmbeddings = true;
    if (reader.problem())
        return;
    const Json& object = reader.object();
    const auto every = reader.integer("no_rope_layer_interval", 1, 1000, 4);
    const bool listed = object.contains("no_rope_layers") && object["no_rope_layers"].is_array();
    if (listed && object["no_rope_layers"].size() != config.layer.size()) {
        reader.refuse("'no_rope_layers' needs one entry for each layer");
        return;
    }
    const bool slides = reader.flag("use_sliding_window", false);
    config.slidingWindow = slides ? reader.integer("sliding_window", 0, 10'000'000, 0) : 0;
    for (std::size_t i = 0; i < config.layer.size(); ++i) {
        config.layer[i].rotary = listed ? object["no_rope_layers"][i] != Json(0)
                                        : (i + 1) % static_cast<std::size_t>(every) != 0;
        config.layer[i].window = config.layer[i].rotary ? 0 : config.slidingWindow;
    }
    readLayerTypes(reader, config, config.slidingWindow);
}

} // namespace fettle::model

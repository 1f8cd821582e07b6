#include "model/architectures/family.h"

namespace fettle::model {

/// phi-3, phi-3.5, phi-4: as llama with q, k, v in one matrix and gate, up in another.
void readPhi3(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultPositions = 4096});
    readRope(reader, config, 10000, /*partial=*/true);
    readRmsNorm(reader, config, 1e-5);
    config.slidingWindow = reader.integer("sliding_window", 0, 10'000'000, 0);
    for (auto& layer : config.layer)
        layer.window = config.slidingWindow;
    config.qkv = QkvForm::Stacked;
    config.names.qkv = "self_attn.qkv_proj";
    config.names.gate = config.names.up = "";
    config.names.gateUp = "mlp.gate_up_proj";
}

} // namespace fettle::model

#include "model/architectures/family.h"

namespace fettle::model {

/// phi-1, phi-1.5, phi-2: attention and feed-forward part in parallel behind one LayerNorm, biases
/// everywhere, the first half of each head turns.
void readPhi(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultActivation = "gelu_new"});
    readRope(reader, config, 10000, /*partial=*/true, 0.5);
    readLayerNorm(reader, config, "layer_norm_eps");
    if (reader.flag("qk_layernorm", false))
        reader.refuse("norms on queries and keys ('qk_layernorm') are not known in this family",
                      ErrorCode::Unsupported);
    config.parallelBlock = true;
    config.attentionBias = config.outputBias = config.mlpBias = config.headBias = true;
    auto& names = config.names;
    names.finalNorm = "model.final_layernorm";
    names.mlpNorm = "";
    names.o = "self_attn.dense";
    names.gate = "";
    names.up = "mlp.fc1";
    names.down = "mlp.fc2";
}

} // namespace fettle::model

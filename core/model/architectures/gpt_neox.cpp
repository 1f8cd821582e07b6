#include "model/architectures/family.h"

namespace fettle::model {

/// GPT-NeoX, Pythia: q, k and v head by head in one matrix, a part of each head turns, attention and
/// feed-forward part in parallel behind a LayerNorm each.
void readGptNeox(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultActivation = "gelu"});
    const double theta = reader.real("rotary_emb_base", 1, 1e12, 10000);
    const double part = reader.real("rotary_pct", 0, 1, 0.25);
    readRope(reader, config, theta, /*partial=*/true, part);
    readLayerNorm(reader, config, "layer_norm_eps");
    config.parallelBlock = reader.flag("use_parallel_residual", true);
    config.attentionBias = config.outputBias = reader.flag("attention_bias", true);
    config.mlpBias = true;
    config.qkv = QkvForm::PerHead;
    auto& names = config.names;
    names.embedding = "gpt_neox.embed_in";
    names.finalNorm = "gpt_neox.final_layer_norm";
    names.head = "embed_out";
    names.layer = "gpt_neox.layers.";
    names.qkv = "attention.query_key_value";
    names.o = "attention.dense";
    names.gate = "";
    names.up = "mlp.dense_h_to_4h";
    names.down = "mlp.dense_4h_to_h";
}

} // namespace fettle::model

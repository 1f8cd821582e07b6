#include "model/architectures/family.h"

namespace fettle::model {

/// As llama with the norms behind the parts of a block instead of before, and a norm over all
/// queries and over all keys.
void readOlmo2(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-5);
    config.attentionBias = config.outputBias = reader.flag("attention_bias", false);
    config.headNorm = HeadNorm::Whole;
    auto& names = config.names;
    names.attentionNorm = names.mlpNorm = "";
    names.afterAttention = "post_attention_layernorm";
    names.afterMlp = "post_feedforward_layernorm";
    names.qNorm = "self_attn.q_norm";
    names.kNorm = "self_attn.k_norm";
}

} // namespace fettle::model

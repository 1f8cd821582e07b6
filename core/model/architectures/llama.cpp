#include "model/architectures/family.h"

namespace fettle::model {

/// llama, SmolLM2, TinyLlama: grouped-query attention, rotary positions, RMS norms, gated SiLU.
void readLlama(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {});
    readRope(reader, config, 10000);
    readRmsNorm(reader, config, 1e-6);
    config.attentionBias = config.outputBias = reader.flag("attention_bias", false);
    config.mlpBias = reader.flag("mlp_bias", false);
}

} // namespace fettle::model

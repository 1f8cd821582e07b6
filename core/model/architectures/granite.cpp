#include "model/architectures/family.h"

namespace fettle::model {

/// As llama with factors on embeddings, scores, both parts of a block and logits.
void readGranite(ConfigReader& reader, ModelConfig& config)
{
    readLlama(reader, config);
    config.embeddingScale = reader.real("embedding_multiplier", -1e6, 1e6, 1);
    config.residualScale = reader.real("residual_multiplier", -1e6, 1e6, 1);
    config.attentionScale = reader.real("attention_multiplier", 1e-9, 1e6, 1);
    config.logitScale = 1 / reader.real("logits_scaling", 1e-9, 1e9, 1);
}

} // namespace fettle::model

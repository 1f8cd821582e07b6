#include "model/architectures/family.h"

namespace fettle::model {

namespace {

void readCommon(ConfigReader& reader, ModelConfig& config, const char* activation)
{
    readShape(reader, config,
              {.layers = "n_layer",
               .hidden = "n_embd",
               .intermediate = "n_inner",
               .heads = "n_head",
               .kvHeads = "n_head", // as many as heads
               .positions = reader.has("n_positions") ? "n_positions" : "n_ctx",
               .activation = "activation_function",
               .defaultActivation = activation,
               .defaultPositions = 1024,
               .intermediateRatio = 4});
    readLayerNorm(reader, config, "layer_norm_epsilon");
    config.learnedPositions = true;
    config.attentionBias = config.outputBias = config.mlpBias = true;
    config.tieEmbeddings = true;
    if (!reader.flag("scale_attn_weights", true))
        config.attentionScale = 1;
    auto& names = config.names;
    names.prefix = "transformer.";
    names.embedding = "transformer.wte";
    names.positions = "transformer.wpe";
    names.finalNorm = "transformer.ln_f";
    names.layer = "transformer.h.";
    names.attentionNorm = "ln_1";
    names.mlpNorm = "ln_2";
    names.qkv = "attn.c_attn";
    names.o = "attn.c_proj";
    names.gate = "";
    names.up = "mlp.c_fc";
    names.down = "mlp.c_proj";
}

} // namespace

/// Learned positions, LayerNorms, tanh-GELU; linear layers of the blocks are stored [in, out].
void readGpt2(ConfigReader& reader, ModelConfig& config)
{
    readCommon(reader, config, "gelu_new");
    config.qkv = QkvForm::Stacked;
    config.transposedWeights = true;
    config.scaleByLayer = reader.flag("scale_attn_by_inverse_layer_idx", false);
}

/// StarCoder 1, SantaCoder: as gpt2 with ordinary matrices; one key head for all queries, or, with
/// multi_query false, query, key and value head by head.
void readGptBigcode(ConfigReader& reader, ModelConfig& config)
{
    readCommon(reader, config, "gelu_pytorch_tanh");
    const bool shared = reader.flag("multi_query", true);
    config.qkv = shared ? QkvForm::Stacked : QkvForm::PerHead;
    if (shared)
        config.kvHeads = 1;
}

} // namespace fettle::model

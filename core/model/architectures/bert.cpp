#include "model/architectures/family.h"

namespace fettle::model {

namespace {

/// Encoders alone are read here; the same layers can be built to write.
void refuseWriters(ConfigReader& reader)
{
    if (reader.flag("is_decoder", false) || reader.flag("add_cross_attention", false))
        reader.refuse("this file describes an encoder that was rebuilt to write (is_decoder)",
                      ErrorCode::Unsupported, "Choose the encoder, or a decoder such as llama");
    const std::string positions = reader.text("position_embedding_type", "absolute");
    if (positions != "absolute")
        reader.refuse(
            "'position_embedding_type' must be absolute; relative positions are not known "
            "in this family",
            ErrorCode::Unsupported, "Choose a model with absolute positions");
}

void readEncoder(ConfigReader& reader, ModelConfig& config)
{
    config.kind = ModelKind::Encoder;
    config.norm = NormKind::Layer;
    config.learnedPositions = true;
    config.attentionBias = config.outputBias = config.mlpBias = true;
    config.tieEmbeddings = true;
    config.encoder.headActivation = config.activation;
    config.names = {};
    config.names.gate = config.names.finalNorm = "";
    refuseWriters(reader);
}

/// bert and roberta call their layers alike; `prefix` begins the names.
void nameLayers(WeightNames& names, const std::string& prefix)
{
    names.prefix = prefix;
    names.embedding = prefix + "embeddings.word_embeddings";
    names.positions = prefix + "embeddings.position_embeddings";
    names.tokenTypes = prefix + "embeddings.token_type_embeddings";
    names.embeddingNorm = prefix + "embeddings.LayerNorm";
    names.pooler = prefix + "pooler.dense";
    names.layer = prefix + "encoder.layer.";
    names.q = "attention.self.query";
    names.k = "attention.self.key";
    names.v = "attention.self.value";
    names.o = "attention.output.dense";
    names.attentionNorm = names.mlpNorm = "";
    names.afterAttention = "attention.output.LayerNorm";
    names.up = "intermediate.dense";
    names.down = "output.dense";
    names.afterMlp = "output.LayerNorm";
}

void readBertShape(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config, {.defaultActivation = "gelu", .defaultPositions = 512});
    readEncoder(reader, config);
    config.normEps = reader.real("layer_norm_eps", 0, 1, 1e-12);
    config.encoder.tokenTypes = reader.integer("type_vocab_size", 1, 1000, 2);
}

} // namespace

/// bert: learned positions and token types, a norm behind each sum, erf-GELU.
void readBert(ConfigReader& reader, ModelConfig& config)
{
    readBertShape(reader, config);
    auto& names = config.names;
    nameLayers(names, "bert.");
    names.headDense = "cls.predictions.transform.dense";
    names.headNorm = "cls.predictions.transform.LayerNorm";
    names.head = "cls.predictions.decoder";
    names.headBias = "cls.predictions";
}

/// roberta, xlm-roberta, camembert: as bert; the first token takes the row behind the padding
/// token's in the table of positions.
void readRoberta(ConfigReader& reader, ModelConfig& config)
{
    readBertShape(reader, config);
    config.encoder.headActivation = "gelu"; // whatever the layers have
    config.encoder.firstPosition = reader.integer("pad_token_id", 0, config.vocab - 1, 1) + 1;
    config.maxPositions -= config.encoder.firstPosition;
    if (config.maxPositions < 1)
        reader.refuse("'max_position_embeddings' must be larger than 'pad_token_id' + 1");
    auto& names = config.names;
    nameLayers(names, "roberta.");
    names.headDense = "lm_head.dense";
    names.headNorm = "lm_head.layer_norm";
    names.head = "lm_head.decoder";
    names.headBias = "lm_head";
}

/// distilbert: bert's layers without token types and pooler, under other names.
void readDistilbert(ConfigReader& reader, ModelConfig& config)
{
    readShape(reader, config,
              {.layers = "n_layers",
               .hidden = "dim",
               .intermediate = "hidden_dim",
               .heads = "n_heads",
               .kvHeads = "n_heads",
               .activation = "activation",
               .defaultActivation = "gelu",
               .defaultPositions = 512});
    readEncoder(reader, config);
    config.normEps = 1e-12;
    auto& names = config.names;
    names.prefix = "distilbert.";
    names.embedding = "distilbert.embeddings.word_embeddings";
    names.positions = "distilbert.embeddings.position_embeddings";
    names.embeddingNorm = "distilbert.embeddings.LayerNorm";
    names.layer = "distilbert.transformer.layer.";
    names.q = "attention.q_lin";
    names.k = "attention.k_lin";
    names.v = "attention.v_lin";
    names.o = "attention.out_lin";
    names.attentionNorm = names.mlpNorm = "";
    names.afterAttention = "sa_layer_norm";
    names.up = "ffn.lin1";
    names.down = "ffn.lin2";
    names.afterMlp = "output_layer_norm";
    names.headDense = "vocab_transform";
    names.headNorm = "vocab_layer_norm";
    names.head = names.headBias = "vocab_projector";
}

} // namespace fettle::model

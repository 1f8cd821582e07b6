#pragma once

#include "model/import/config_reader.h"
#include "model/import/model_config.h"

#include <span>

namespace fettle::model {

/// A family of published models: how its config.json is read and its weights are called.
/// A new family is one file with such a description and one line in families.cpp.
struct Family
{
    std::string_view type; ///< model_type in config.json
    void (*read)(ConfigReader& reader, ModelConfig& config);
};

std::span<const Family> families();
/// nullptr for a type that is not known.
const Family* findFamily(std::string_view type);
/// The known type that differs from `type` by the fewest letters.
std::string_view nearestFamily(std::string_view type);

// What the descriptions share. Each reads keys into `config`; a refusal stays in the reader.

/// Keys of the shape where a family calls them otherwise.
struct ShapeKeys
{
    const char* layers = "num_hidden_layers";
    const char* hidden = "hidden_size";
    const char* intermediate = "intermediate_size";
    const char* heads = "num_attention_heads";
    const char* kvHeads = "num_key_value_heads";
    const char* positions = "max_position_embeddings";
    const char* activation = "hidden_act"; ///< nullptr: the family reads it itself
    const char* defaultActivation = "silu";
    const char* headDim = "head_dim";
    std::int64_t defaultPositions = 2048;
    std::int64_t defaultKvHeads = 0;    ///< 0: as many as heads, where the key is absent
    std::int64_t defaultHeadDim = 0;    ///< 0: hidden / heads
    std::int64_t intermediateRatio = 0; ///< times hidden where the key is absent; 0: required
};
void readShape(ConfigReader& reader, ModelConfig& config, const ShapeKeys& keys);

/// The activation of the feed-forward part by its published `name`; `key` is where that stood.
void setActivation(ConfigReader& reader, ModelConfig& config, const char* key,
                   const std::string& name);

/// Rotary settings from rope_parameters or rope_scaling; `partial` families turn a part of each
/// head.
void readRope(ConfigReader& reader, ModelConfig& config, double defaultTheta, bool partial = false,
              double defaultPart = 1);
/// rms_norm_eps.
void readRmsNorm(ConfigReader& reader, ModelConfig& config, double fallback);
void readLayerNorm(ConfigReader& reader, ModelConfig& config, const char* key);
/// layer_types gives `window` to its sliding layers. False without the key.
bool readLayerTypes(ConfigReader& reader, ModelConfig& config, std::int64_t window);
/// router_aux_loss_coef, which counts in training when output_router_logits is set.
void readBalance(ConfigReader& reader, ModelConfig& config);

void readLlama(ConfigReader& reader, ModelConfig& config);
void readMistral(ConfigReader& reader, ModelConfig& config);
void readMixtral(ConfigReader& reader, ModelConfig& config);
void readSmollm3(ConfigReader& reader, ModelConfig& config);
void readQwen2(ConfigReader& reader, ModelConfig& config);
void readQwen3(ConfigReader& reader, ModelConfig& config);
void readQwen3Moe(ConfigReader& reader, ModelConfig& config);
void readGemma(ConfigReader& reader, ModelConfig& config);
void readGemma2(ConfigReader& reader, ModelConfig& config);
void readGemma3(ConfigReader& reader, ModelConfig& config);
void readPhi(ConfigReader& reader, ModelConfig& config);
void readPhi3(ConfigReader& reader, ModelConfig& config);
void readGpt2(ConfigReader& reader, ModelConfig& config);
void readGptBigcode(ConfigReader& reader, ModelConfig& config);
void readGptNeo(ConfigReader& reader, ModelConfig& config);
void readGptNeox(ConfigReader& reader, ModelConfig& config);
void readOlmo2(ConfigReader& reader, ModelConfig& config);
void readGranite(ConfigReader& reader, ModelConfig& config);
void readBert(ConfigReader& reader, ModelConfig& config);
void readRoberta(ConfigReader& reader, ModelConfig& config);
void readDistilbert(ConfigReader& reader, ModelConfig& config);
void readT5(ConfigReader& reader, ModelConfig& config);
void readMt5(ConfigReader& reader, ModelConfig& config);
void readUmt5(ConfigReader& reader, ModelConfig& config);
void readLongt5(ConfigReader& reader, ModelConfig& config);

} // namespace fettle::model

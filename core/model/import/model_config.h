#pragma once

#include "base/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fettle::model {

/// How rotary position frequencies are stretched beyond the length of pre-training. The formulas of
/// each type belong to the decoder; here are only the checked numbers.
struct RopeScaling
{
    std::string type = "default"; ///< default, linear, dynamic, llama3, yarn or longrope
    double factor = 1, lowFreqFactor = 1, highFreqFactor = 4;
    double originalMaxPositions = 0;               ///< 0: not given, use maxPositions
    double attentionFactor = 0;                    ///< 0: not given, use the formula of the type
    std::vector<double> shortFactors, longFactors; ///< longrope only: one per rotary pair
    double betaFast = 32, betaSlow = 1;
};

/// A model's shape in one normal form, whatever version of the file format said it.
struct ModelConfig
{
    std::string family; ///< "llama": which architecture description builds it
    std::int64_t layers = 0, hidden = 0, intermediate = 0, heads = 0, kvHeads = 0, headDim = 0;
    std::int64_t vocab = 0, maxPositions = 0;
    double normEps = 1e-6, ropeTheta = 10000;
    RopeScaling rope;
    bool attentionBias = false;     ///< on q, k, v and o
    bool mlpBias = false;           ///< on gate, up and down
    bool tieEmbeddings = false;     ///< the head is the embedding table
    std::int64_t slidingWindow = 0; ///< keys that a query sees, itself included; 0: all before it
    std::string activation = "silu";
    std::vector<std::int32_t> eosIds; ///< every id that ends an answer, from all files, in order
    std::optional<std::int32_t> bosId, padId;
    Json raw; ///< config.json as read

    /// Number of weights, a tied head counted once.
    std::int64_t parameters() const;
};

/// A weight that a model of this shape must have.
struct WeightShape
{
    std::string name; ///< as in published checkpoints: "model.layers.0.self_attn.q_proj.weight"
    std::vector<std::int64_t> shape;
};

/// Reads config.json and generation_config.json of a Hugging Face folder. Reads old (rope_scaling)
/// and new (rope_parameters) keys.
/// Errors: NotFound without config.json, InvalidInput naming the key and its allowed values,
/// Unsupported for an unknown family, quantised weights or an unknown activation.
Result<ModelConfig> readModelConfig(const std::filesystem::path& folder);

/// The same from parsed files; `where` names the file in errors. `generation` may be null.
Result<ModelConfig> parseModelConfig(const Json& config, const Json& generation,
                                     const std::string& where);

/// Every weight the family needs, in the order of the layers. A tied head is not in the list.
std::vector<WeightShape> expectedWeights(const ModelConfig& config);

} // namespace fettle::model

#pragma once

#include "base/param_spec.h"
#include "model/import/model_config.h"
#include "tensor/files/weight_kind.h"

#include <cstdint>

namespace fettle::recipes {

/// What the optimizer remembers, in memory and in a save point.
std::uint64_t momentBytes(const model::ModelConfig& config, const ParamValues& settings);
/// How many numbers of a model a run with these settings moves.
std::int64_t trainableParameters(const model::ModelConfig& config, const ParamValues& settings);

/// How large the pieces of a run are that lie in memory together.
struct PieceSizes
{
    std::int64_t tokens = 0;     ///< of the largest micro-batch; 0: as many as the settings allow
    std::int64_t taught = 0;     ///< most taught tokens of a micro-batch; 0: not known
    std::int64_t answered = 0;   ///< tokens of the fixed questions and answers that a check writes
    std::int64_t recomputed = 0; ///< see recomputedLayers()
};

/// Bytes that training takes at its peak (estimated): weights as the settings hold them, what the
/// optimizer keeps, and the activations of one micro-batch in float32. `stored`: see
/// ModelFiles::storedKind().
std::uint64_t trainingBytes(const model::ModelConfig& config, tensor::WeightKind stored,
                            const ParamValues& settings, const PieceSizes& sizes = {});

/// How many layers compute their activations again in the backward pass: as the settings say, or so
/// many that the run fits into `available` bytes (0: not known), if it can. Models without the
/// fused pass keep everything.
std::int64_t recomputedLayers(const model::ModelConfig& config, tensor::WeightKind stored,
                              const ParamValues& settings, std::uint64_t available);

/// Bytes that answering takes (estimated): weights as they are stored, and the keys and values of
/// one full context of at most 4,096 tokens in float32.
std::uint64_t answeringBytes(const model::ModelConfig& config, tensor::WeightKind stored);

} // namespace fettle::recipes

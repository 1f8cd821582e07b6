#pragma once

#include "base/param_spec.h"
#include "model/import/model_config.h"

#include <cstdint>

namespace fettle::recipes {

/// What the optimizer remembers, in memory and in a save point.
std::uint64_t momentBytes(const model::ModelConfig& config, const ParamValues& settings);
/// How many numbers of a model a run with these settings moves.
std::int64_t trainableParameters(const model::ModelConfig& config, const ParamValues& settings);

/// Bytes that training takes at its peak (estimated): weights as the settings hold them, what the
/// optimizer keeps, and the activations of one micro-batch in float32. `tokens`: of the largest
/// micro-batch; 0: as many as the settings allow.
std::uint64_t trainingBytes(const model::ModelConfig& config, const ParamValues& settings,
                            std::int64_t tokens = 0);

/// Bytes that answering takes (estimated): weights and the keys and values of one full context of
/// at most 4,096 tokens, all in float32.
std::uint64_t answeringBytes(const model::ModelConfig& config);

} // namespace fettle::recipes

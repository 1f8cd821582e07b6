#pragma once

#include "model/import/model_config.h"

namespace fettle::model {

/// Frequencies of rotary positions and what cosine and sine are multiplied by.
struct Rotary
{
    std::vector<float> inverse; ///< [rotaryDim / 2], rounded to float32 as in the reference
    double multiplier = 1;
};

/// For a pass whose longest document has `length` tokens: dynamic and longrope depend on it. `local`
/// layers turn by their own theta, without scaling.
/// Sources: Su et al. 2021, RoFormer; Peng et al. 2023, YaRN, sections 3.2 to 3.4 (NTK by parts and
/// dynamic); Ding et al. 2024, LongRoPE; the llama3 rule as published with the checkpoints.
Rotary rotaryFor(const ModelConfig& config, bool local, std::int64_t length);

} // namespace fettle::model

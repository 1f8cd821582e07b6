#pragma once

#include "model/import/model_config.h"

namespace fettle::model::fused {

/// True for the shapes of decoders that the fused pass computes (in float32 on the processor, with
/// whatever of weights and low-rank updates trains).
inline bool knows(const ModelConfig& config)
{
    return config.kind == ModelKind::Decoder && config.norm == NormKind::Rms &&
           config.qkv == QkvForm::Apart && config.headNorm == HeadNorm::None &&
           !config.parallelBlock && config.residualScale == 1 && config.activation == "silu" &&
           config.attentionSoftcap == 0 && config.experts.count == 0 &&
           (config.rotaryDim == 0 || config.rotaryDim == config.headDim);
}

} // namespace fettle::model::fused

#pragma once

#include "model/import/model_config.h"

namespace fettle::model::fused {

/// True for the shapes of decoders that the fused pass computes (in float32 on the processor, with
/// whatever of weights and low-rank updates trains): all but those with experts.
inline bool knows(const ModelConfig& config)
{
    return config.kind == ModelKind::Decoder && config.experts.count == 0 &&
           (config.headNorm == HeadNorm::None || config.qkv == QkvForm::Apart);
}

} // namespace fettle::model::fused

#pragma once

#include "base/result.h"
#include "model/decoder.h"

namespace fettle::model {

/// llama, mistral and SmolLM2: grouped-query attention, rotary positions, RMS norms, gated SiLU.
Result<ArchitectureSpec> llamaSpec(const ModelConfig& config);

/// The description for a configuration of any known family. Errors: Unsupported.
Result<ArchitectureSpec> architectureSpec(const ModelConfig& config);

} // namespace fettle::model

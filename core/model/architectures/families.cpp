#include "model/architectures/families.h"

namespace fettle::model {

Result<ArchitectureSpec> architectureSpec(const ModelConfig& config)
{
    if (config.family == "llama" || config.family == "mistral")
        return llamaSpec(config);
    return Error{ErrorCode::Unsupported, "models of the family \"" + config.family + "\" cannot be run", "config.json",
                 "Choose a model of the llama family"};
}

} // namespace fettle::model

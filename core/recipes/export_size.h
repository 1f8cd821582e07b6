#pragma once

#include "model/import/model_config.h"

namespace fettle::recipes {

/// About how many bytes an export takes, before it is written: `type` is one of the form's types,
/// `trainable` how many numbers an add-on has. 0 for a type that is not known.
std::uint64_t estimatedExportBytes(const model::ModelConfig& config, const std::string& form,
                                   const std::string& type, std::int64_t trainable);

} // namespace fettle::recipes

#pragma once

#include "model/import/import.h"

namespace fettle::model {

/// Makes a model of a base and a LoRA adapter in PEFT form: a folder like that of the base, its
/// weights in float32 with the adapter worked in. Weights pass through in parts. The tokenizer is
/// the adapter's where it brings one. The base is not changed; the folder appears whole or not at
/// all. Errors: those of openAdapter() and of writing; InvalidInput naming a weight that would not
/// be finite; Cancelled.
Result<ImportedModel> mergeAdapter(const std::filesystem::path& adapterFolder,
                                   const std::filesystem::path& base,
                                   const std::filesystem::path& target,
                                   const ImportProgress& progress = {}, std::stop_token stop = {});

} // namespace fettle::model

#pragma once

#include "model/import/model_config.h"

#include <functional>
#include <stop_token>

namespace fettle::model {

/// Bytes written so far and in all.
using ImportProgress = std::function<void(std::uint64_t doneBytes, std::uint64_t totalBytes)>;

struct ImportedModel
{
    std::filesystem::path folder;
    ModelConfig config;
    std::vector<std::string> notes; ///< what a person should know, one sentence each
};

/// Makes a model folder in Hugging Face form at `target` out of a GGUF file or another such folder.
/// Everything is checked before and after; the folder appears whole or not at all. Memory stays
/// small: weights pass through in parts. Code and pickles in a source folder are never read or
/// copied. Errors: those of GgufModel, ModelFiles and the tokenizer; InvalidInput when the target
/// exists; DiskFull before anything is written; Cancelled.
Result<ImportedModel> importModel(const std::filesystem::path& source,
                                  const std::filesystem::path& target,
                                  const ImportProgress& progress = {}, std::stop_token stop = {});

/// What the model would be, without writing anything: for showing before the import.
Result<ImportedModel> inspectModel(const std::filesystem::path& source);

} // namespace fettle::model

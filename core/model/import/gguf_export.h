#pragma once

#include "model/import/gguf_mix.h"
#include "model/import/import.h"

#include <map>

namespace fettle::model {

/// What was written.
struct GgufExport
{
    std::uint64_t bytes = 0;
    std::string sha256;                        ///< of the bytes as they were given to the disk
    std::map<std::string, std::int64_t> types; ///< number of tensors of each type: "Q6_K"
    std::vector<std::string> notes;            ///< what a person should know, one sentence each
};

/// Writes the model of a Hugging Face folder as one GGUF file, with tokenizer, conversation form
/// and what the card states, so that llama.cpp loads it, tokenises alike and answers alike. Weights
/// pass through in parts of a few megabytes. The file appears whole or not at all. Errors: those of
/// ModelFiles; Unsupported, with the reason, for a family, setting or tokenizer that such files
/// cannot express; InvalidInput when the target exists or a weight is not finite; DiskFull before
/// anything is written; Cancelled.
Result<GgufExport> exportGguf(const std::filesystem::path& folder,
                              const std::filesystem::path& target, GgufKind kind,
                              const ImportProgress& progress = {}, std::stop_token stop = {});

} // namespace fettle::model

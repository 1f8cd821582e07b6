#pragma once

#include "model/import/adapter.h"

namespace fettle::model {

/// Writes an adapter as a GGUF file that llama.cpp loads beside the GGUF file of its base. Names
/// and rows are those that the base's weights have there. The file appears whole or not at all.
/// Gives its SHA-256. Errors: Unsupported, with the reason, for families that are not written as
/// GGUF, for DoRA, biases, whole weights, embedding tables and a head that is one; DiskFull, Io.
Result<std::string> exportGgufAdapter(const Adapter& adapter, const ModelFiles& base,
                                      const std::string& baseName,
                                      const std::filesystem::path& target);

/// The updates in such a file, by the modules of the base. Errors: InvalidInput when the file is no
/// adapter of this base or a tensor does not fit; Unsupported for types other than F32.
Result<std::map<std::string, AdapterUpdate>> readGgufAdapter(const std::filesystem::path& file,
                                                             const ModelConfig& config);

} // namespace fettle::model

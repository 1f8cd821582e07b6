#pragma once

#include "base/result.h"

#include <filesystem>

namespace fettle::model {

/// Writes what Ollama needs beside a GGUF file: the Modelfile, with the conversation form in
/// Ollama's own language, what ends an answer, the sampling that the model's files state, its
/// licence and its standing instruction; and a README with the commands.
/// `folder` is the model in Hugging Face form, `ggufName` the file's name in `target`.
/// Errors: those of reading the folder; Unsupported naming a conversation form that is not known;
/// those of writing.
Result<void> writeOllamaFiles(const std::filesystem::path& folder, const std::string& ggufName,
                              const std::filesystem::path& target);

} // namespace fettle::model

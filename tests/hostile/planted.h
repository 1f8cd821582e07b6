#pragma once

#include "base/result.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// Files with one planted fault each, and what the readers say to them. One table for the tests and
/// for docs/refusals.md.
namespace fettle::hostile {

struct Planted
{
    std::string kind;  ///< what the file pretends to be
    std::string fault; ///< what was planted
    std::string words; ///< part of the sentence that must be said
    /// Reads the file; gives the refusal. Files go to the folder, which is empty.
    std::function<Error(const std::filesystem::path& folder)> refusal;
};

/// All cases, by kind.
std::vector<Planted> plantedCases();

std::vector<Planted> weightCases();    ///< safetensors, their index, GGUF, PyTorch
std::vector<Planted> tokenizerCases(); ///< tokenizer.json and the older files, chat templates
std::vector<Planted> modelCases();     ///< configurations and whole folders

/// The table as docs/refusals.md.
std::string refusalsAsMarkdown();

/// The error of a result that must have one; an error that says so otherwise.
template<class T> Error errorOf(const Result<T>& result)
{
    return result ? Error{ErrorCode::Internal, "ACCEPTED", "", ""} : result.error();
}

} // namespace fettle::hostile

#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace fettle::model {

/// Files of a model folder, beside its weights, that are data and travel with the model:
/// configuration, tokenizer, conversation form, card and licence. Nothing that could be code is
/// ever in the list.
std::vector<std::filesystem::path> carriedFiles(const std::filesystem::path& folder);
/// Whether a file of this name is one of them.
bool isCarried(std::string_view name);

} // namespace fettle::model

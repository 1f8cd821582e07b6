#pragma once

#include "base/result.h"

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
/// InvalidInput when a file that an import reads is a link out of the folder: what lies there might be
/// private and would travel with every export. Links into the "blobs" beside a hub's snapshot are
/// how hub downloads look, and fine.
Result<void> checkLinks(const std::filesystem::path& folder);

} // namespace fettle::model

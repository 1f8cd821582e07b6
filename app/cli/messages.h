#pragma once

#include "base/json.h"

#include <filesystem>
#include <vector>

namespace fettle::cli {

/// Reads a conversation: a JSON array of {"role", "content"}, or an object with "messages".
/// Errors: NotFound, Io, InvalidInput with the number of the message.
Result<std::vector<Json>> readMessages(const std::filesystem::path& path);

} // namespace fettle::cli

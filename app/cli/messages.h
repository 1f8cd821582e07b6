#pragma once

#include "base/json.h"

#include <filesystem>
#include <vector>

namespace fettle::cli {

/// A conversation from a file, and the tools that stand beside it; keys in the file's order.
struct Conversation
{
    std::vector<OrderedJson> messages;
    OrderedJson tools; ///< a list, or null
};

/// Reads a JSON array of {"role", "content"}, or an object with "messages" and perhaps "tools".
/// Errors: NotFound, Io, InvalidInput with the number of the message.
Result<Conversation> readConversation(const std::filesystem::path& path);

} // namespace fettle::cli

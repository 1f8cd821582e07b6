#include "cli/messages.h"

#include <fmt/format.h>

namespace fettle::cli {

Result<std::vector<Json>> readMessages(const std::filesystem::path& path)
{
    constexpr std::uint64_t most = 64u << 20; // bytes
    const std::string where = path.filename().string();
    auto json = readJsonFile(path, most);
    if (!json)
        return json.error();
    const Json& list =
        json->is_object() && json->contains("messages") ? (*json)["messages"] : *json;
    const std::string remedy = "Write [{\"role\": \"user\", \"content\": \"...\"}]";
    if (!list.is_array() || list.empty())
        return Error{ErrorCode::InvalidInput, "the file holds no list of messages", where, remedy};
    std::vector<Json> messages;
    for (const auto& message : list) {
        messages.push_back(message);
        if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
            return Error{ErrorCode::InvalidInput, "a message has no role",
                         fmt::format("{}, message {}", where, messages.size()), remedy};
    }
    return messages;
}

} // namespace fettle::cli

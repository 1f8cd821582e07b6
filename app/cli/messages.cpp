#include "cli/messages.h"

#include "base/ordered_json.h"

#include <fmt/format.h>

namespace fettle::cli {

Result<Conversation> readConversation(const std::filesystem::path& path)
{
    constexpr std::uint64_t most = 64u << 20; // bytes
    const std::string where = path.filename().string();
    const auto json = readOrderedJsonFile(path, most);
    if (!json)
        return json.error();
    const bool named = json->is_object() && json->contains("messages");
    const OrderedJson& list = named ? json->at("messages") : *json;
    const std::string remedy = "Write [{\"role\": \"user\", \"content\": \"...\"}]";
    if (!list.is_array() || list.empty())
        return Error{ErrorCode::InvalidInput, "the file holds no list of messages", where, remedy};
    Conversation conversation;
    for (const auto& message : list) {
        conversation.messages.push_back(message);
        if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
            return Error{ErrorCode::InvalidInput, "a message has no role",
                         fmt::format("{}, message {}", where, conversation.messages.size()),
                         remedy};
    }
    if (named)
        conversation.tools = json->value("tools", OrderedJson());
    if (!conversation.tools.is_null() && !conversation.tools.is_array())
        return Error{ErrorCode::InvalidInput, "the tools are not a list", where,
                     "Write \"tools\": [...] or leave it out"};
    return conversation;
}

} // namespace fettle::cli

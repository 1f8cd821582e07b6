#include "data/conversation_forms.h"

#include "base/ordered_json.h"
#include "base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace fettle::data {

namespace {

Error reason(std::string text) { return {ErrorCode::InvalidInput, std::move(text), "", ""}; }

bool isRole(const std::string& role)
{
    constexpr std::array<const char*, 6> kRoles = {"system", "user",      "assistant",
                                                   "tool",   "developer", "function"};
    return std::any_of(kRoles.begin(), kRoles.end(),
                       [&](const char* known) { return role == known; });
}

/// Text of a content that may be a list of parts. Pictures and sound are refused.
Result<std::string> contentText(const OrderedJson& content, std::size_t index)
{
    if (content.is_string())
        return content.get<std::string>();
    if (!content.is_array())
        return reason(fmt::format("message {} has no text", index + 1));
    std::string text;
    for (const auto& part : content) {
        if (!part.is_object() || part.value("type", "") != "text" || !part.contains("text") ||
            !part["text"].is_string())
            return reason(fmt::format("message {} holds something other than text", index + 1));
        text += part["text"].get<std::string>();
    }
    return text;
}

/// Tool calls stay as the file has them: templates write arguments that are objects otherwise than
/// those that are texts, and so does whoever renders the same file elsewhere.
Result<void> checkToolCalls(const OrderedJson& calls, std::size_t index)
{
    if (!calls.is_array())
        return reason(fmt::format("the tool calls of message {} are not a list", index + 1));
    for (const auto& call : calls) {
        if (!call.is_object())
            return reason(fmt::format("a tool call of message {} is not an object", index + 1));
    }
    return {};
}

Result<OrderedJson> convertMessage(const OrderedJson& turn, std::size_t index,
                                   const RepairCounter& repaired)
{
    if (!turn.is_object() || !turn.contains("role") || !turn["role"].is_string())
        return reason(fmt::format("message {} has no role", index + 1));
    const auto role = turn["role"].get<std::string>();
    if (!isRole(role))
        return reason(fmt::format("message {} has a role that is not known", index + 1));
    OrderedJson result = turn;
    if (role == "developer") {
        result["role"] = "system";
        repaired("developer messages read as system messages");
    }
    const bool calls = turn.contains("tool_calls") && !turn["tool_calls"].is_null();
    if (calls) {
        if (auto checked = checkToolCalls(turn["tool_calls"], index); !checked)
            return checked.error();
    }
    if (calls && (!turn.contains("content") || turn["content"].is_null()))
        return result;
    auto content = contentText(turn.value("content", OrderedJson()), index);
    if (!content)
        return content.error();
    result["content"] = *content;
    return result;
}

std::string firstText(const OrderedJson& turn, std::initializer_list<const char*> names)
{
    for (const char* name : names) {
        if (const auto found = turn.find(name); found != turn.end() && found->is_string())
            return found->get<std::string>();
    }
    return {};
}

std::string shareGptRole(const std::string& from)
{
    const std::string name = lowerAscii(from);
    if (name == "human" || name == "user")
        return "user";
    if (name == "gpt" || name == "assistant" || name == "chatgpt" || name == "bard" ||
        name == "bing" || name == "model" || name == "bot" || name == "function_call")
        return "assistant";
    if (name == "system")
        return "system";
    if (name == "observation" || name == "tool")
        return "tool";
    return {};
}

} // namespace

OrderedJson message(const std::string& role, std::string content)
{
    return {{"role", role}, {"content", std::move(content)}};
}

Result<std::vector<OrderedJson>> convertMessages(const OrderedJson& turns,
                                                 const RepairCounter& repaired)
{
    if (!turns.is_array() || turns.empty())
        return reason("there are no messages");
    std::vector<OrderedJson> messages;
    for (std::size_t i = 0; i < turns.size(); ++i) {
        auto converted = convertMessage(turns[i], i, repaired);
        if (!converted)
            return converted.error();
        messages.push_back(std::move(*converted));
    }
    if (messages.back()["role"] != "assistant")
        return reason("the last message is not an answer (role assistant)");
    return messages;
}

Result<std::vector<OrderedJson>> convertShareGpt(const OrderedJson& turns,
                                                 const RepairCounter& repaired)
{
    if (!turns.is_array() || turns.empty())
        return reason("there are no turns");
    std::vector<OrderedJson> messages;
    for (std::size_t i = 0; i < turns.size(); ++i) {
        if (!turns[i].is_object())
            return reason(fmt::format("turn {} is not an object", i + 1));
        const std::string role = shareGptRole(firstText(turns[i], {"from", "role", "speaker"}));
        if (role.empty())
            return reason(fmt::format("turn {} comes from somebody who is not known", i + 1));
        const std::string value = firstText(turns[i], {"value", "content", "text"});
        if (trimmed(value).empty())
            return reason(fmt::format("turn {} is empty", i + 1));
        const bool started =
            std::any_of(messages.begin(), messages.end(),
                        [](const OrderedJson& m) { return m["role"] != "system"; });
        if (role == "assistant" && !started) {
            repaired("answers before the first question left out");
            continue;
        }
        if (!messages.empty() && messages.back()["role"] == role) {
            messages.back()["content"] =
                messages.back()["content"].get<std::string>() + "\n\n" + value;
            repaired("turns of the same side joined");
            continue;
        }
        messages.push_back(message(role, value));
    }
    while (!messages.empty() && messages.back()["role"] != "assistant") {
        messages.pop_back();
        repaired("questions without an answer at the end left out");
    }
    if (messages.empty())
        return reason("no turn is an answer to a question");
    return messages;
}

Result<OrderedJson> convertTools(const OrderedJson& tools)
{
    auto list = tools;
    if (tools.is_string()) { // how tables and several well-known collections keep them
        const auto text = trimmed(tools.get<std::string>());
        if (text.empty())
            return OrderedJson();
        auto parsed = parseOrderedJson(text, "");
        if (!parsed)
            return reason("the tools are not valid JSON");
        list = std::move(*parsed);
    }
    const auto isTool = [](const OrderedJson& tool) { return tool.is_object(); };
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), isTool))
        return reason("the tools are not a list of objects");
    return list.empty() ? OrderedJson() : list;
}

} // namespace fettle::data

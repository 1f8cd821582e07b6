#include "data/forms.h"

#include "base/text.h"
#include "data/conversation_forms.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::data {

namespace {

Error reason(std::string text) { return {ErrorCode::InvalidInput, std::move(text), "", ""}; }

/// Reads the fields of one record by role.
class Fields
{
public:
    Fields(const Record& record, const Layout& layout)
        : m_fields(record.fields)
        , m_layout(layout)
    {
    }

    const OrderedJson* value(const std::string& role) const
    {
        const auto column = m_layout.roles.find(role);
        if (column == m_layout.roles.end())
            return nullptr;
        const auto found = m_fields.find(column->second);
        return found == m_fields.end() || found->is_null() ? nullptr : &*found;
    }

    /// Text of a role. A null or an optional column that is missing gives an empty text.
    Result<std::string> text(const std::string& role, bool needed) const
    {
        const auto column = m_layout.roles.find(role);
        if (column == m_layout.roles.end())
            return std::string();
        const auto found = m_fields.find(column->second);
        if (found == m_fields.end()) {
            if (needed)
                return reason(fmt::format("there is no \"{}\" in this row", column->second));
            return std::string();
        }
        if (found->is_null())
            return std::string();
        if (found->is_string())
            return found->get<std::string>();
        if (found->is_boolean() || found->is_number())
            return found->dump();
        return reason(fmt::format("\"{}\" is not a text in this row", column->second));
    }

    /// All columns that have no role.
    Json meta() const
    {
        Json rest = Json::object();
        for (const auto& [name, value] : m_fields.items()) {
            const bool used =
                std::any_of(m_layout.roles.begin(), m_layout.roles.end(),
                            [&column = name](const auto& entry) { return entry.second == column; });
            if (!used)
                rest[name] = Json(value);
        }
        return rest;
    }

private:
    const OrderedJson& m_fields;
    const Layout& m_layout;
};

/// Puts the standing instruction in front of a conversation that has no instruction of its own.
void addInstruction(std::vector<OrderedJson>& messages, const std::string& instruction)
{
    const bool own = !messages.empty() && messages.front()["role"] == "system";
    if (!instruction.empty() && !own)
        messages.insert(messages.begin(), message("system", instruction));
}

Result<void> convertConversation(const Fields& fields, const Layout& layout, Example& example,
                                 const RepairCounter& repaired)
{
    const auto* turns = fields.value("messages");
    if (!turns)
        return reason("there are no messages in this row");
    auto messages = layout.form == "messages" ? convertMessages(*turns, repaired)
                                              : convertShareGpt(*turns, repaired);
    if (!messages)
        return messages.error();
    example.messages = std::move(*messages);
    if (const auto* tools = fields.value("tools")) {
        auto converted = convertTools(*tools);
        if (!converted)
            return converted.error();
        example.tools = std::move(*converted);
    }
    if (auto system = fields.text("system", false); !system)
        return system.error();
    else
        addInstruction(example.messages, *system);
    return {};
}

Result<std::vector<OrderedJson>> convertHistory(const OrderedJson* history)
{
    std::vector<OrderedJson> messages;
    if (!history)
        return messages;
    if (!history->is_array())
        return reason("the history is not a list of pairs");
    for (const auto& turn : *history) {
        if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string())
            return reason("the history is not a list of pairs");
        messages.push_back(message("user", turn[0]));
        messages.push_back(message("assistant", turn[1]));
    }
    return messages;
}

bool isEmptyMarker(const std::string& input)
{
    const std::string text = lowerAscii(trimmed(input));
    return text == "nan" || text == "<noinput>" || text == "none" || text == "null";
}

/// Instruction, optional input and output; questions and answers are the case without instruction.
Result<void> convertQuestion(const Fields& fields, const Layout& layout, Example& example,
                             const RepairCounter& repaired)
{
    const bool alpaca = layout.form == "alpaca";
    auto instruction = fields.text("instruction", alpaca);
    auto question = fields.text("question", !alpaca);
    auto answer = fields.text("answer", true);
    auto system = fields.text("system", false);
    for (const auto* text : {&instruction, &question, &answer, &system}) {
        if (!*text)
            return text->error();
    }
    if (alpaca && isEmptyMarker(*question)) {
        question->clear();
        repaired("inputs that say \"nothing\" read as empty");
    }
    std::string asked = alpaca ? *instruction : *question;
    if (alpaca && !question->empty())
        asked += "\n" + *question;
    if (trimmed(asked).empty() && trimmed(*answer).empty())
        return reason("question and answer are empty");
    auto history = convertHistory(fields.value("history"));
    if (!history)
        return history.error();
    example.messages = std::move(*history);
    example.messages.push_back(message("user", std::move(asked)));
    example.messages.push_back(message("assistant", std::move(*answer)));
    addInstruction(example.messages, *system);
    return {};
}

/// Prompt and completion as texts, or both as lists of messages.
Result<void> convertCompletion(const Fields& fields, Example& example,
                               const RepairCounter& repaired)
{
    const auto* prompt = fields.value("question");
    const auto* completion = fields.value("answer");
    if (prompt && completion && prompt->is_array() && completion->is_array()) {
        OrderedJson all = *prompt;
        all.insert(all.end(), completion->begin(), completion->end());
        auto messages = convertMessages(all, repaired);
        if (!messages)
            return messages.error();
        example.kind = RecordKind::Chat;
        example.messages = std::move(*messages);
        return {};
    }
    auto promptText = fields.text("question", true);
    auto completionText = fields.text("answer", true);
    for (const auto* text : {&promptText, &completionText}) {
        if (!*text)
            return text->error();
    }
    if (trimmed(*promptText).empty() && trimmed(*completionText).empty())
        return reason("prompt and completion are empty");
    example.kind = RecordKind::Completion;
    example.prompt = std::move(*promptText);
    example.completion = std::move(*completionText);
    return {};
}

Result<void> convertText(const Fields& fields, Example& example)
{
    auto text = fields.text("text", true);
    if (!text)
        return text.error();
    if (trimmed(*text).empty())
        return reason("the text is empty");
    example.kind = RecordKind::Completion;
    example.completion = std::move(*text);
    return {};
}

Result<void> convertLabelled(const Fields& fields, Example& example)
{
    auto text = fields.text("text", true);
    auto label = fields.text("label", true);
    for (const auto* part : {&text, &label}) {
        if (!*part)
            return part->error();
    }
    if (trimmed(*text).empty() && trimmed(*label).empty())
        return reason("text and class are empty");
    example.kind = RecordKind::Labelled;
    example.text = std::move(*text);
    example.label = trimmed(*label);
    return {};
}

Result<void> convertByForm(const Fields& fields, const Layout& layout, Example& example,
                           const RepairCounter& repaired)
{
    if (layout.form == "messages" || layout.form == "sharegpt")
        return convertConversation(fields, layout, example, repaired);
    if (layout.form == "completion")
        return convertCompletion(fields, example, repaired);
    if (layout.form == "text")
        return convertText(fields, example);
    if (layout.form == "labelled")
        return convertLabelled(fields, example);
    return convertQuestion(fields, layout, example, repaired);
}

} // namespace

bool takesInstruction(const std::string& form) { return form != "text" && form != "completion"; }

Result<ImportedRow> convertRecord(const Record& record, const Layout& layout,
                                  const std::string& instruction, const RepairCounter& repaired)
{
    const Fields fields(record, layout);
    ImportedRow row;
    if (auto converted = convertByForm(fields, layout, row.example, repaired); !converted)
        return converted.error();
    if (row.example.kind == RecordKind::Chat)
        addInstruction(row.example.messages, instruction);
    auto group = fields.text("group", false);
    auto split = fields.text("split", false);
    if (!group || !split)
        return !group ? group.error() : split.error();
    row.example.group = trimmed(*group);
    if (!trimmed(*split).empty()) {
        auto named = splitFrom(*split);
        if (!named)
            return reason("the split is none of train, validation and test");
        row.split = *named;
    }
    row.example.meta = fields.meta();
    row.example.sourceRow = record.row;
    return row;
}

} // namespace fettle::data

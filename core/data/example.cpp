#include "data/example.h"

#include "base/sha256.h"
#include "base/text.h"
#include "data/normalise.h"

namespace fettle::data {

namespace {

/// Keys by the alphabet at every depth: their order says nothing about a row being a double.
OrderedJson sorted(const OrderedJson& json) { return OrderedJson(Json(json)); }

/// The text of a message, or its calls: an answer may be calls alone, and files write its content
/// as null or as an empty text then.
std::string contentOf(const OrderedJson& message, bool sortedKeys = false)
{
    const auto found = message.find("content");
    std::string text =
        found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
    const auto calls = message.find("tool_calls");
    if (!text.empty() || calls == message.end() || calls->empty())
        return text;
    return sortedKeys ? sorted(*calls).dump() : calls->dump();
}

/// Text fields end in a byte that no text holds, so that "a" + "bc" differs from "ab" + "c".
void addField(Sha256& hash, std::string_view text)
{
    hash.update(comparable(text));
    hash.update(std::string_view("\x1f", 1));
}

std::string textField(const OrderedJson& json, const char* key)
{
    const auto found = json.find(key);
    return found == json.end() ? std::string() : found->get<std::string>();
}

Example parseExample(const OrderedJson& json)
{
    Example example;
    example.kind = recordKindFrom(json.at("kind").get<std::string>()).value();
    if (const auto found = json.find("messages"); found != json.end())
        example.messages = found->get<std::vector<OrderedJson>>();
    for (const auto& message : example.messages) {
        if (!message.is_object() || !message.at("role").is_string())
            throw std::invalid_argument("message");
    }
    if (const auto found = json.find("tools"); found != json.end() && found->is_array())
        example.tools = *found;
    example.prompt = textField(json, "prompt");
    example.completion = textField(json, "completion");
    example.text = textField(json, "text");
    example.label = textField(json, "label");
    example.group = textField(json, "group");
    if (const auto found = json.find("meta"); found != json.end() && found->is_object())
        example.meta = Json(*found);
    example.source = textField(json, "source");
    example.sourceRow = json.value("row", std::int64_t{0});
    return example;
}

} // namespace

std::string toString(RecordKind kind)
{
    switch (kind) {
    case RecordKind::Chat:
        return "chat";
    case RecordKind::Completion:
        return "completion";
    case RecordKind::Labelled:
        break;
    }
    return "labelled";
}

Result<RecordKind> recordKindFrom(const std::string& name)
{
    for (const auto kind : {RecordKind::Chat, RecordKind::Completion, RecordKind::Labelled}) {
        if (toString(kind) == name)
            return kind;
    }
    return Error{ErrorCode::InvalidInput, "this is not a kind of row", "kind",
                 "Use chat, completion or labelled"};
}

std::string toString(Split split)
{
    switch (split) {
    case Split::Train:
        return "train";
    case Split::Validation:
        return "validation";
    case Split::Test:
        break;
    }
    return "test";
}

Result<Split> splitFrom(const std::string& name)
{
    const std::string folded = foldedName(name);
    if (folded == "train" || folded == "training")
        return Split::Train;
    if (folded == "validation" || folded == "valid" || folded == "val" || folded == "dev" ||
        folded == "checking")
        return Split::Validation;
    if (folded == "test" || folded == "testing")
        return Split::Test;
    return Error{ErrorCode::InvalidInput, "this is not the name of a split", "split",
                 "Use train, validation or test"};
}

OrderedJson toJson(const Example& example)
{
    // By the alphabet: so rows were stored before messages kept their order, and a row without
    // messages still has the bytes, and the digest, that it had then.
    OrderedJson json = OrderedJson::object();
    const bool completion = example.kind == RecordKind::Completion;
    const bool labelled = example.kind == RecordKind::Labelled;
    if (completion)
        json["completion"] = example.completion;
    if (!example.group.empty())
        json["group"] = example.group;
    json["kind"] = toString(example.kind);
    if (labelled)
        json["label"] = example.label;
    if (example.kind == RecordKind::Chat)
        json["messages"] = example.messages;
    if (!example.meta.empty())
        json["meta"] = OrderedJson(example.meta);
    if (completion)
        json["prompt"] = example.prompt;
    if (example.sourceRow != 0)
        json["row"] = example.sourceRow;
    if (!example.source.empty())
        json["source"] = example.source;
    if (labelled)
        json["text"] = example.text;
    if (!example.tools.is_null())
        json["tools"] = example.tools;
    return json;
}

Result<Example> exampleFromJson(const OrderedJson& json)
{
    try {
        return parseExample(json);
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "this is not a row of a dataset", "row",
                     "Use the form that data export writes"};
    }
}

std::string questionOf(const Example& example)
{
    switch (example.kind) {
    case RecordKind::Completion:
        return example.prompt;
    case RecordKind::Labelled:
        return example.text;
    case RecordKind::Chat:
        break;
    }
    std::string text;
    for (std::size_t i = 0; i + 1 < example.messages.size(); ++i) {
        if (i > 0)
            text += "\n\n";
        text += contentOf(example.messages[i]);
    }
    return text;
}

std::string answerOf(const Example& example)
{
    switch (example.kind) {
    case RecordKind::Completion:
        return example.completion;
    case RecordKind::Labelled:
        return example.label;
    case RecordKind::Chat:
        break;
    }
    return example.messages.empty() ? std::string() : contentOf(example.messages.back());
}

std::string duplicateKey(const Example& example)
{
    Sha256 hash;
    addField(hash, toString(example.kind));
    for (const auto& message : example.messages) {
        addField(hash, textField(message, "role"));
        addField(hash, contentOf(message, true));
    }
    if (!example.tools.is_null())
        addField(hash, sorted(example.tools).dump());
    addField(hash, example.prompt);
    addField(hash, example.completion);
    addField(hash, example.text);
    addField(hash, example.label);
    return hash.finish();
}

std::string questionKey(const Example& example)
{
    Sha256 hash;
    const std::string question = questionOf(example);
    // Running text asks nothing: then the text itself is what must not be in two splits.
    addField(hash, trimmed(question).empty() ? answerOf(example) : question);
    return hash.finish();
}

bool hasEmptyPart(const Example& example)
{
    const bool runningText = example.kind == RecordKind::Completion && example.prompt.empty();
    return trimmed(answerOf(example)).empty() ||
           (!runningText && trimmed(questionOf(example)).empty());
}

} // namespace fettle::data

#include "recipes/encode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace fettle::recipes {

namespace {

Error noConversationForm()
{
    return {ErrorCode::InvalidInput, "this model has no conversation form, so questions and answers cannot be marked",
            "model", "Choose a model that is tuned for conversation (often called Instruct or Chat)"};
}

} // namespace

text::LossOn lossOnFrom(const std::string& name)
{
    return name == "all" ? text::LossOn::All : name == "last" ? text::LossOn::LastAnswer : text::LossOn::Answers;
}

void addDatasetFacts(Encoder& encoder, const store::Dataset& dataset, const std::vector<store::DatasetRow>& rows)
{
    encoder.instruction = dataset.importInfo().value("instruction", std::string());
    std::set<std::string> labels;
    for (const auto& row : rows) {
        if (row.example.kind == data::RecordKind::Labelled)
            labels.insert(row.example.label);
    }
    encoder.labels.assign(labels.begin(), labels.end());
}

text::Messages Encoder::conversation(const data::Example& example) const
{
    if (example.kind == data::RecordKind::Chat)
        return example.messages;
    const auto classes = instruction.empty()
                             ? fmt::format("Answer with one of these classes and nothing else: {}.", fmt::join(labels, ", "))
                             : instruction;
    return {{{"role", "system"}, {"content", classes}},
            {{"role", "user"}, {"content", example.text}},
            {{"role", "assistant"}, {"content", example.label}}};
}

std::string Encoder::question(const data::Example& example) const
{
    if (example.kind == data::RecordKind::Completion)
        return example.prompt;
    auto messages = conversation(example);
    if (!messages.empty() && messages.back().value("role", std::string()) == "assistant")
        messages.pop_back();
    std::string text;
    for (const auto& message : messages) {
        const auto content = message.find("content");
        if (content != message.end() && content->is_string())
            text += (text.empty() ? "" : "\n") + content->get<std::string>();
    }
    return text;
}

Result<text::EncodedExample> Encoder::encodeApart(const data::Example& example) const
{
    const auto read = question(example), written = data::answerOf(example);
    if (read.empty())
        return Error{ErrorCode::InvalidInput, "this model answers questions, and the row has none", "row",
                     "Use rows with a question and an answer, or a model that continues texts"};
    const text::EncodeOptions marked{.addSpecialTokens = true, .parseSpecialTokens = false};
    text::EncodedExample out;
    out.ids = tokenizer->encode(read, marked);
    out.trained.assign(out.ids.size(), 0);
    auto answer = written.empty() ? std::vector<text::TokenId>() : tokenizer->encode(written, marked);
    if (!answer.empty() && tokenizer->eosId && answer.back() != *tokenizer->eosId)
        answer.push_back(*tokenizer->eosId);
    out.ids.insert(out.ids.end(), answer.begin(), answer.end());
    out.trained.resize(out.ids.size(), 1);
    return out;
}

Result<text::EncodedExample> Encoder::encode(const data::Example& example, text::LossOn lossOn) const
{
    if (apart)
        return encodeApart(example);
    if (example.kind == data::RecordKind::Completion)
        return text::encodeCompletion(*tokenizer, example.prompt, example.completion, lossOn);
    if (!chatTemplate)
        return noConversationForm();
    return text::encodeConversation(*tokenizer, *chatTemplate, conversation(example), lossOn,
                                    text::toolsVariable(example.tools));
}

Result<std::vector<text::TokenId>> Encoder::encodePrompt(const data::Example& example) const
{
    if (apart)
        return tokenizer->encode(question(example), {.addSpecialTokens = true, .parseSpecialTokens = false});
    if (example.kind == data::RecordKind::Completion)
        return tokenizer->encode(example.prompt, {.addSpecialTokens = true, .parseSpecialTokens = false});
    if (!chatTemplate)
        return noConversationForm();
    auto messages = conversation(example);
    if (!messages.empty() && messages.back().value("role", std::string()) == "assistant")
        messages.pop_back();
    return text::encodePrompt(*tokenizer, *chatTemplate, messages, text::toolsVariable(example.tools));
}

} // namespace fettle::recipes

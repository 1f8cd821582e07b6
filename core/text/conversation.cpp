#include "text/conversation.h"

#include "text/answer_spans.h"

#include <algorithm>

namespace fettle::text {

namespace {

std::size_t commonPrefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b)
{
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i])
        ++i;
    return i;
}

bool isAssistant(const OrderedJson& message)
{
    return message.is_object() && message.value("role", OrderedJson()) == "assistant";
}

/// "weight": 0 on a message switches its loss off.
bool countsForLoss(const OrderedJson& message)
{
    const auto weight = message.find("weight");
    return weight == message.end() || !weight->is_number() || weight->get<double>() != 0;
}

/// The messages whose answers are learned.
std::vector<std::size_t> learnedOf(const Messages& messages, LossOn lossOn)
{
    std::vector<std::size_t> out;
    for (std::size_t k = 0; k < messages.size(); ++k) {
        if (isAssistant(messages[k]))
            out.push_back(k);
    }
    if (lossOn == LossOn::LastAnswer && out.size() > 1)
        out.erase(out.begin(), out.end() - 1);
    std::erase_if(out, [&](std::size_t k) { return !countsForLoss(messages[k]); });
    return out;
}

/// Messages as forms get them: keys without a value are left out, as transformers does; many forms
/// would write "None" for them.
Messages withoutNulls(Messages messages)
{
    for (OrderedJson& message : messages) {
        for (auto key = message.begin(); message.is_object() && key != message.end();)
            key = key->is_null() ? message.erase(key) : std::next(key);
    }
    return messages;
}

void trainAll(EncodedExample& example)
{
    example.trained.assign(example.ids.size(), 1);
    if (!example.trained.empty())
        example.trained[0] = 0;
}

} // namespace

std::int64_t EncodedExample::trainedCount() const
{
    return std::count(trained.begin(), trained.end(), std::uint8_t{1});
}

Result<EncodedExample> encodeConversation(const Tokenizer& tokenizer,
                                          const ChatTemplate& chatTemplate,
                                          const Messages& given, LossOn lossOn,
                                          const OrderedJson& extra)
{
    const Messages messages = withoutNulls(given);
    const auto whole = chatTemplate.render(messages, {.extra = extra});
    if (!whole)
        return whole.error();
    std::vector<TextPart> parts;
    for (const Segment& segment : *whole)
        parts.push_back({segment.text, segment.trusted});
    Encoding tokens = tokenizer.encodePartsWithOffsets(parts);
    const Rendering rendering(*whole);
    const AnswerSpans answers(tokenizer, chatTemplate, messages, extra, rendering, tokens);
    const auto learned = learnedOf(messages, lossOn);
    // A form with blocks says itself what is learned, up to the end.
    const bool open = tokenizer.eosId && !chatTemplate.hasGenerationBlocks() && !learned.empty() &&
                      learned.back() + 1 == messages.size() && answers.isOpen(learned.back());
    EncodedExample out;
    out.trained.assign(tokens.ids.size(), 0);
    for (const std::size_t k : lossOn == LossOn::All ? std::vector<std::size_t>() : learned) {
        const auto spans = chatTemplate.hasGenerationBlocks() ? answers.blocksOf(k) : answers.of(k);
        for (Range span : spans) {
            if (open && k == learned.back() && span.end == spans.back().end)
                span.end = rendering.text.size(); // up to the mark that is appended
            for (std::size_t i = 1; i < tokens.ids.size(); ++i)
                out.trained[i] |= static_cast<std::uint8_t>(answers.teaches(i, span, k));
        }
    }
    out.ids = std::move(tokens.ids);
    if (open) {
        out.ids.push_back(*tokenizer.eosId);
        out.trained.push_back(1);
    }
    if (lossOn == LossOn::All)
        trainAll(out);
    return out;
}

OrderedJson toolsVariable(const OrderedJson& tools)
{
    OrderedJson extra = OrderedJson::object();
    if (!tools.is_null())
        extra["tools"] = tools;
    return extra;
}

EncodedExample encodeCompletion(const Tokenizer& tokenizer, std::string_view prompt,
                                std::string_view completion, LossOn lossOn)
{
    EncodedExample out;
    const auto around = tokenizer.encode("", {.addSpecialTokens = true});
    const bool bos = tokenizer.bosId && !around.empty() && around.front() == *tokenizer.bosId;
    if (bos)
        out.ids.push_back(*tokenizer.bosId);
    const auto body = tokenizer.encode(std::string(prompt).append(completion));
    out.ids.insert(out.ids.end(), body.begin(), body.end());
    if (tokenizer.eosId)
        out.ids.push_back(*tokenizer.eosId);
    trainAll(out);
    if (lossOn == LossOn::All || prompt.empty())
        return out;
    const std::size_t given = commonPrefix(tokenizer.encode(prompt), body) + (bos ? 1 : 0);
    std::fill(out.trained.begin(), out.trained.begin() + static_cast<std::ptrdiff_t>(given),
              std::uint8_t{0});
    return out;
}

Result<std::vector<TokenId>> encodePrompt(const Tokenizer& tokenizer,
                                          const ChatTemplate& chatTemplate,
                                          const Messages& messages, const OrderedJson& extra)
{
    const auto rendered = chatTemplate.render(withoutNulls(messages),
                                              {.addGenerationPrompt = true, .extra = extra});
    if (!rendered)
        return rendered.error();
    return encodeSegments(tokenizer, *rendered);
}

} // namespace fettle::text

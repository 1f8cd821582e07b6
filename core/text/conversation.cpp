#include "text/conversation.h"

#include <algorithm>

namespace fettle::text {

namespace {

/// A part of the rendered text, in bytes.
struct Span
{
    std::size_t begin = 0, end = 0;
};

std::size_t commonPrefix(const std::string& a, const std::string& b)
{
    const auto [left, right] = std::mismatch(
        a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())),
        b.begin());
    (void)right;
    return static_cast<std::size_t>(left - a.begin());
}

std::size_t commonPrefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b)
{
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i])
        ++i;
    return i;
}

/// The first `length` bytes of a rendering.
std::vector<Segment> headOf(const std::vector<Segment>& segments, std::size_t length)
{
    std::vector<Segment> out;
    for (const Segment& segment : segments) {
        if (length == 0)
            break;
        out.push_back(segment);
        if (segment.text.size() > length)
            out.back().text.resize(length);
        length -= out.back().text.size();
    }
    return out;
}

/// End of the last text that comes from a message.
std::size_t endOfMessages(const std::vector<Segment>& segments)
{
    std::size_t at = 0, end = 0;
    for (const Segment& segment : segments) {
        at += segment.text.size();
        if (!segment.trusted)
            end = at;
    }
    return end;
}

bool isAssistant(const Json& message)
{
    return message.is_object() && message.value("role", Json()) == "assistant";
}

/// "weight": 0 on a message switches its loss off.
bool countsForLoss(const Json& message)
{
    const auto weight = message.find("weight");
    return weight == message.end() || !weight->is_number() || weight->get<double>() != 0;
}

/// Finds where the answers lie in the rendering of a whole conversation.
class AnswerFinder
{
public:
    AnswerFinder(const ChatTemplate& chatTemplate, const Messages& messages,
                 const std::vector<Segment>& whole)
        : m_template(chatTemplate)
        , m_messages(messages)
        , m_whole(whole)
        , m_text(joined(whole))
    {
    }

    /// Answers by message, or nothing when the template does not render a part of the conversation
    /// as the beginning of the whole.
    std::optional<std::vector<Span>> byPrefixes(bool onlyLast) const
    {
        std::vector<Span> spans;
        std::size_t last = m_messages.size();
        for (std::size_t k = m_messages.size(); k-- > 0 && last == m_messages.size();) {
            if (isAssistant(m_messages[k]))
                last = k;
        }
        for (std::size_t k = 0; k < m_messages.size(); ++k) {
            if (!isAssistant(m_messages[k]) || (onlyLast && k != last))
                continue;
            const auto span = answer(k);
            if (!span)
                return std::nullopt;
            if (countsForLoss(m_messages[k]))
                spans.push_back(*span);
        }
        return spans;
    }

    /// Answers by {% generation %} blocks.
    std::vector<Span> byBlocks(bool onlyLast) const
    {
        std::vector<Span> spans;
        std::size_t at = 0;
        for (const Segment& segment : m_whole) {
            const std::size_t end = at + segment.text.size();
            if (segment.generation && !spans.empty() && spans.back().end == at)
                spans.back().end = end;
            else if (segment.generation)
                spans.push_back({at, end});
            at = end;
        }
        if (onlyLast && spans.size() > 1)
            spans.erase(spans.begin(), spans.end() - 1);
        return spans;
    }

private:
    std::optional<Span> answer(std::size_t k) const
    {
        const Messages before(m_messages.begin(),
                              m_messages.begin() + static_cast<std::ptrdiff_t>(k));
        const auto header = m_template.render(before, {.addGenerationPrompt = true});
        if (!header)
            return std::nullopt;
        const std::string headerText = joined(*header);
        Span span{commonPrefix(headerText, m_text), m_text.size()};
        // Where the header of generation is not the one of history (an empty block of thoughts,
        // say), the answer begins where the two part, behind everything that the messages said.
        if (span.begin < endOfMessages(*header))
            return std::nullopt;
        if (span.begin < headerText.size()) {
            const auto bare = m_template.render(before, {});
            if (!bare || span.begin <= commonPrefix(joined(*bare), m_text))
                return std::nullopt;
        }
        if (k + 1 == m_messages.size())
            return span;
        const Messages with(m_messages.begin(),
                            m_messages.begin() + static_cast<std::ptrdiff_t>(k) + 1);
        const auto rendered = m_template.render(with, {});
        if (!rendered)
            return std::nullopt;
        span.end = commonPrefix(joined(*rendered), m_text);
        // What the template writes behind the last message may differ, the messages may not.
        return span.end < endOfMessages(*rendered) || span.end < span.begin ? std::nullopt
                                                                            : std::optional(span);
    }

    const ChatTemplate& m_template;
    const Messages& m_messages;
    const std::vector<Segment>& m_whole;
    const std::string m_text;
};

/// Index behind the last special token of [begin, end); `end` when there is none.
std::size_t behindLastSpecial(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                              std::size_t begin, std::size_t end)
{
    for (std::size_t i = end; i > begin; --i) {
        if (tokenizer.isSpecial(ids[i - 1]))
            return i;
    }
    return end;
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
                                          const Messages& messages, LossOn lossOn)
{
    const auto whole = chatTemplate.render(messages, {});
    if (!whole)
        return whole.error();
    EncodedExample out;
    out.ids = encodeSegments(tokenizer, *whole);
    if (lossOn == LossOn::All) {
        trainAll(out);
        return out;
    }
    out.trained.assign(out.ids.size(), 0);
    const AnswerFinder finder(chatTemplate, messages, *whole);
    auto spans = finder.byPrefixes(lossOn == LossOn::LastAnswer);
    if (!spans && chatTemplate.hasGenerationBlocks())
        spans = finder.byBlocks(lossOn == LossOn::LastAnswer);
    if (!spans)
        spans = finder.byPrefixes(true);
    for (const Span& span : spans.value_or(std::vector<Span>())) {
        const std::size_t begin =
            commonPrefix(encodeSegments(tokenizer, headOf(*whole, span.begin)), out.ids);
        const std::size_t end =
            commonPrefix(encodeSegments(tokenizer, headOf(*whole, span.end)), out.ids);
        const std::size_t stop = behindLastSpecial(tokenizer, out.ids, begin, end);
        for (std::size_t i = std::max<std::size_t>(begin, 1); i < stop; ++i)
            out.trained[i] = 1;
    }
    return out;
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

Result<std::vector<TokenId>>
encodePrompt(const Tokenizer& tokenizer, const ChatTemplate& chatTemplate, const Messages& messages)
{
    const auto rendered = chatTemplate.render(messages, {.addGenerationPrompt = true});
    if (!rendered)
        return rendered.error();
    return encodeSegments(tokenizer, *rendered);
}

} // namespace fettle::text

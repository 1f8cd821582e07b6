#include "text/answer_spans.h"

#include <algorithm>

namespace fettle::text {

namespace {

constexpr std::size_t kLongestHeader = 4096; // bytes of a generation header that are compared
constexpr std::size_t kShortestHeader = 4;   // bytes; a shorter common part may be chance

std::size_t commonPrefix(std::string_view a, std::string_view b)
{
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i])
        ++i;
    return i;
}

std::string_view between(const std::string& text, Range range)
{
    return std::string_view(text).substr(range.begin, range.end - range.begin);
}

/// End of the longest beginning of `header` that stands in `gap`; 0 when none does.
std::size_t endOfHeader(std::string_view gap, std::string_view header)
{
    std::size_t end = 0, longest = 0;
    for (std::size_t at = 0; at < gap.size(); ++at) {
        const std::size_t length = commonPrefix(gap.substr(at), header);
        if (length > longest && (length == header.size() || length >= kShortestHeader)) {
            longest = length;
            end = at + length;
        }
    }
    return end;
}

Messages firstOf(const Messages& messages, std::size_t count)
{
    return {messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(count)};
}

bool overlap(const Range& a, const Range& b) { return a.begin < b.end && b.begin < a.end; }

} // namespace

Rendering::Rendering(const std::vector<Segment>& segments)
{
    for (const Segment& segment : segments) {
        const std::size_t begin = text.size();
        text += segment.text;
        parts.push_back({{begin, text.size()}, segment.message, segment.turn, segment.generation});
    }
}

AnswerSpans::AnswerSpans(const Tokenizer& tokenizer, const ChatTemplate& chatTemplate,
                         const Messages& messages, const OrderedJson& extra, const Rendering& whole,
                         const Encoding& tokens)
    : m_tokenizer(tokenizer)
    , m_template(chatTemplate)
    , m_messages(messages)
    , m_extra(extra)
    , m_whole(whole)
    , m_tokens(tokens)
{
}

Result<std::vector<Segment>> AnswerSpans::render(const Messages& messages, bool header) const
{
    return m_template.render(messages, {.addGenerationPrompt = header, .extra = m_extra});
}

bool AnswerSpans::foreign(const Rendering::Part& part, std::size_t k) const
{
    return part.message >= 0 && part.message != static_cast<int>(k);
}

std::size_t AnswerSpans::foreignEndBefore(const Rendering& rendering, std::size_t at,
                                          std::size_t k) const
{
    std::size_t end = 0;
    for (const auto& part : rendering.parts) {
        if (part.bytes.end <= at && foreign(part, k))
            end = part.bytes.end;
    }
    return end;
}

std::size_t AnswerSpans::foreignBeginAfter(std::size_t at, std::size_t k) const
{
    for (const auto& part : m_whole.parts) {
        if (part.bytes.begin >= at && foreign(part, k))
            return part.bytes.begin;
    }
    return m_whole.text.size();
}

AnswerSpans::Turn AnswerSpans::turnOf(std::size_t k) const
{
    const int number = static_cast<int>(k);
    const bool atItsTurn = std::ranges::any_of(m_whole.parts, [&](const auto& part) {
        return part.message == number && part.turn == number;
    });
    Turn out;
    bool cut = true;
    for (const auto& part : m_whole.parts) {
        if (part.turn == number) {
            if (out.written.end == 0)
                out.written.begin = part.bytes.begin;
            out.written.end = part.bytes.end;
        }
        if (foreign(part, k))
            cut = true;
        if (part.message != number || (atItsTurn && part.turn != number))
            continue; // a template may quote an answer elsewhere
        if (std::exchange(cut, false))
            out.clusters.push_back(part.bytes);
        out.clusters.back().end = part.bytes.end;
    }
    return out;
}

/// Where the answer starts in the gap before its first character: behind what generation is given.
std::size_t AnswerSpans::startOf(std::size_t k, Range gap) const
{
    const auto text = between(m_whole.text, gap);
    const Messages before = firstOf(m_messages, k);
    const auto given = render(before, true);
    if (given) {
        const Rendering prompt(*given);
        const std::size_t last = foreignEndBefore(prompt, prompt.text.size(), k);
        const auto tail = std::string_view(prompt.text).substr(last);
        const std::size_t same = commonPrefix(tail, text);
        if (same == tail.size())
            return gap.begin + same;
        // History and generation differ here (an empty thought, a note behind the last question):
        // what is the same of the header itself counts.
        const auto bare = render(before, false);
        const std::string without = bare ? joined(*bare) : std::string();
        const auto header =
            std::string_view(prompt.text).substr(commonPrefix(prompt.text, without));
        return gap.begin + std::max(same, endOfHeader(text, header.substr(0, kLongestHeader)));
    }
    // The conversation cannot begin so (an answer without question): the header that follows all.
    const auto longer = render(m_messages, true);
    if (!longer)
        return gap.end;
    const std::string all = joined(*longer);
    const auto header = std::string_view(all).substr(commonPrefix(all, m_whole.text));
    const std::size_t end = endOfHeader(text, header.substr(0, kLongestHeader));
    return end > 0 ? gap.begin + end : gap.end;
}

std::optional<std::size_t> AnswerSpans::markIn(Range range) const
{
    std::optional<std::size_t> end;
    for (std::size_t i = 0; i < m_tokens.ids.size(); ++i) {
        const Range& bytes = m_tokens.bytes[i];
        if (bytes.begin >= range.begin && bytes.end <= range.end &&
            m_tokenizer.isSpecial(m_tokens.ids[i]))
            end = bytes.end;
    }
    return end;
}

/// How far the text from `from` on is the same when the conversation ends with message `k`.
std::size_t AnswerSpans::sharedWithShorter(std::size_t k, std::size_t from, std::size_t limit) const
{
    if (k + 1 == m_messages.size())
        return limit;
    const auto ended = render(firstOf(m_messages, k + 1), false);
    if (!ended)
        return from;
    const Rendering shorter(*ended);
    std::size_t last = foreignEndBefore(shorter, shorter.text.size(), k);
    const std::size_t lastHere = foreignEndBefore(m_whole, from, k);
    for (const auto& part : shorter.parts) {
        if (part.message == static_cast<int>(k))
            last = part.bytes.end;
    }
    std::size_t here = lastHere;
    for (const auto& part : m_whole.parts) {
        if (part.message == static_cast<int>(k) && part.bytes.end <= from)
            here = std::max(here, part.bytes.end);
    }
    const std::size_t same = commonPrefix(std::string_view(shorter.text).substr(last),
                                          between(m_whole.text, {here, limit}));
    return std::max(from, here + same);
}

/// End of what the model writes behind the message's text: its end mark.
std::size_t AnswerSpans::endOf(std::size_t k, std::size_t from, std::size_t limit,
                               const Turn& turn) const
{
    const std::size_t own = std::clamp(turn.written.end, from, limit);
    if (const auto mark = markIn({from, own}))
        return *mark;
    const std::size_t shared = sharedWithShorter(k, from, limit);
    if (const auto mark = markIn({from, shared}))
        return *mark;
    return own > from && shared > from ? std::min(own, shared) : std::max(own, shared);
}

/// Nothing was said: the mark of the end stands where the text would.
Range AnswerSpans::emptyAnswer(std::size_t k, const Turn& turn) const
{
    const std::size_t begin = foreignEndBefore(m_whole, turn.written.end, k);
    const std::size_t limit = foreignBeginAfter(begin, k);
    const std::size_t start = startOf(k, {begin, std::min(limit, turn.written.end)});
    return {start, start};
}

bool AnswerSpans::isOpen(std::size_t k) const
{
    const Turn turn = turnOf(k);
    if (turn.clusters.empty() && turn.written.begin == turn.written.end)
        return false;
    const std::size_t end =
        turn.clusters.empty() ? emptyAnswer(k, turn).end : turn.clusters.back().end;
    if (foreignBeginAfter(end, k) < m_whole.text.size() || markIn({end, m_whole.text.size()}))
        return false;
    const auto calls = m_messages[k].find("tool_calls");
    const bool called = calls != m_messages[k].end() && !calls->empty();
    return called || m_whole.text.find_first_not_of(" \t\r\n", end) == std::string::npos;
}

std::vector<Range> AnswerSpans::of(std::size_t k) const
{
    const Turn turn = turnOf(k);
    std::vector<Range> spans = turn.clusters;
    if (spans.empty()) {
        if (turn.written.begin == turn.written.end)
            return {};
        spans.push_back(emptyAnswer(k, turn));
    } else {
        Range& first = spans.front();
        first.begin = startOf(k, {foreignEndBefore(m_whole, first.begin, k), first.begin});
    }
    Range& last = spans.back();
    last.end = endOf(k, last.end, foreignBeginAfter(last.end, k), turn);
    return spans;
}

std::vector<Range> AnswerSpans::blocksOf(std::size_t k) const
{
    std::vector<Range> spans;
    for (std::size_t i = 0; i < m_whole.parts.size(); ++i) {
        const auto& part = m_whole.parts[i];
        const int of = part.turn >= 0 ? part.turn : part.message;
        if (!part.generation || of != static_cast<int>(k))
            continue;
        if (!spans.empty() && spans.back().end == part.bytes.begin)
            spans.back().end = part.bytes.end;
        else
            spans.push_back(part.bytes);
    }
    return spans;
}

bool AnswerSpans::teaches(std::size_t token, const Range& span, std::size_t k) const
{
    const Range& bytes = m_tokens.bytes[token];
    if (bytes.begin == bytes.end) // a mark that the tokenizer puts in front of what follows
        return bytes.begin >= span.begin && bytes.begin < span.end;
    if (!overlap(bytes, span))
        return false;
    const auto touched = std::ranges::lower_bound(m_whole.parts, bytes.begin, {},
                                                  [](const auto& part) { return part.bytes.end; });
    for (auto part = touched; part != m_whole.parts.end() && part->bytes.begin < bytes.end;
         ++part) {
        if (overlap(part->bytes, bytes) && foreign(*part, k))
            return false;
    }
    return true;
}

} // namespace fettle::text

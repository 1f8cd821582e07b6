#pragma once

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fettle::text {

/// One conversation as its template writes it: the text, and whose each part is.
struct Rendering
{
    struct Part
    {
        Range bytes;
        int message = -1, turn = -1; // as in Segment
        bool generation = false;
    };

    explicit Rendering(const std::vector<Segment>& segments);

    std::string text;
    std::vector<Part> parts;
};

/// Finds the answers in a rendered conversation by whose text each character is: an answer is the
/// text of an assistant's message, what the template writes between its parts and before it behind
/// the header that generation starts with, and the mark of its end. Holds for templates that
/// rewrite, move or leave out messages; never holds text of another message.
class AnswerSpans
{
public:
    AnswerSpans(const Tokenizer& tokenizer, const ChatTemplate& chatTemplate,
                const Messages& messages, const OrderedJson& extra, const Rendering& whole,
                const Encoding& tokens);

    /// Bytes that the model has to write for message `k`; empty when the template leaves it out.
    std::vector<Range> of(std::size_t k) const;
    /// The {% generation %} blocks of message `k`.
    std::vector<Range> blocksOf(std::size_t k) const;
    /// True when the token lies in the span (one of its characters does) and holds nothing of
    /// another message.
    bool teaches(std::size_t token, const Range& span, std::size_t k) const;

    /// True when message `k` is written and nothing follows it that could end it: no special token,
    /// and no text but white space and what belongs to its calls.
    bool isOpen(std::size_t k) const;

private:
    struct Turn
    {
        std::vector<Range> clusters; // the message's text, cut where other messages' text lies
        Range written; // what the loop wrote at this message; empty: nothing or not known
    };

    Result<std::vector<Segment>> render(const Messages& messages, bool header) const;
    Turn turnOf(std::size_t k) const;
    Range emptyAnswer(std::size_t k, const Turn& turn) const;
    bool foreign(const Rendering::Part& part, std::size_t k) const;
    std::size_t foreignEndBefore(const Rendering& rendering, std::size_t at, std::size_t k) const;
    std::size_t foreignBeginAfter(std::size_t at, std::size_t k) const;
    std::size_t startOf(std::size_t k, Range gap) const;
    std::size_t endOf(std::size_t k, std::size_t from, std::size_t limit, const Turn& turn) const;
    /// End of the last special token inside the range; absent when there is none.
    std::optional<std::size_t> markIn(Range range) const;
    std::size_t sharedWithShorter(std::size_t k, std::size_t from, std::size_t limit) const;

    const Tokenizer& m_tokenizer;
    const ChatTemplate& m_template;
    const Messages& m_messages;
    const OrderedJson& m_extra;
    const Rendering& m_whole;
    const Encoding& m_tokens;
};

} // namespace fettle::text

#pragma once

#include "text/chat_template.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace fettle::text {

/// On which tokens the loss is taken.
enum class LossOn
{
    Answers,
    All,
    LastAnswer
};

/// Token ids of one example and which of them are learned. Same length, both.
struct EncodedExample
{
    std::vector<TokenId> ids;
    std::vector<std::uint8_t> trained; ///< 1: this token is a target of the loss
    std::int64_t trainedCount() const;
};

/// Encodes a conversation with the model's own form. Trained are, for each assistant message, the
/// tokens of its text, of what the form writes around it behind the header that generation is
/// given, and of the end-of-turn mark; of a form with {% generation %} blocks, the blocks. Never a
/// token that holds a character of another message, nor the first one (nothing stands before it).
/// A message with "weight": 0 is not learned. Where a form without such blocks writes nothing
/// behind the last answer that ends it, the tokenizer's end mark is appended and learned: a model
/// would not stop otherwise. `extra`: further variables of the template. Errors: InvalidInput when
/// the template refuses the messages.
Result<EncodedExample> encodeConversation(const Tokenizer& tokenizer,
                                          const ChatTemplate& chatTemplate,
                                          const Messages& messages, LossOn lossOn,
                                          const OrderedJson& extra = OrderedJson::object());

/// The variables for a row with tools: {"tools": ...}, and none when they are null.
OrderedJson toolsVariable(const OrderedJson& tools);

/// Encodes a prompt and its completion as they stand, the end mark appended to the completion.
/// An empty prompt means running text: everything is trained. LossOn::All trains the prompt too.
EncodedExample encodeCompletion(const Tokenizer& tokenizer, std::string_view prompt,
                                std::string_view completion, LossOn lossOn);

/// Ids of a conversation up to where the answer starts: what generation is given.
Result<std::vector<TokenId>> encodePrompt(const Tokenizer& tokenizer,
                                          const ChatTemplate& chatTemplate,
                                          const Messages& messages,
                                          const OrderedJson& extra = OrderedJson::object());

} // namespace fettle::text

#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace fettle::data {

/// Canonical kinds of rows. Further kinds (preference, feedback, retrieval) come with their
/// methods.
enum class RecordKind
{
    Chat,       ///< messages with roles
    Completion, ///< prompt and completion as they stand, or running text (empty prompt)
    Labelled    ///< a text and its class
};

enum class Split
{
    Train,
    Validation,
    Test
};

/// One row as a person knows it, whatever file it came from.
struct Example
{
    RecordKind kind = RecordKind::Chat;
    /// Chat: {"role", "content", ...} with keys in the file's order; the last one is the answer.
    std::vector<OrderedJson> messages;
    OrderedJson tools; ///< Chat: what the model may call, a list as the file has it; null: nothing
    std::string prompt, completion; ///< Completion
    std::string text, label;        ///< Labelled
    std::string group;              ///< rows of one group go to one split; may be empty
    Json meta = Json::object();     ///< columns that have no role, as they were
    std::string source;             ///< file name
    std::int64_t sourceRow = 0;     ///< 1-based row (or line) in that file
};

std::string toString(RecordKind kind);
Result<RecordKind> recordKindFrom(const std::string& name);
std::string toString(Split split);
Result<Split> splitFrom(const std::string& name); ///< also "dev", "val", "valid", "training"

/// Keys are in a fixed order, those of messages and tools in their own.
OrderedJson toJson(const Example& example);
Result<Example> exampleFromJson(const OrderedJson& json);

/// What is asked and what is wanted, for lists, scores and prompts: of a conversation all but the
/// last answer joined by blank lines, and the last answer.
std::string questionOf(const Example& example);
std::string answerOf(const Example& example);

/// Key for exact duplicates: SHA-256 of the NFC text with white space collapsed, all fields.
std::string duplicateKey(const Example& example);
/// The same of the question alone (of the text where nothing is asked): equal keys in two splits
/// are a leak.
std::string questionKey(const Example& example);
/// True when question or answer (text or label) is empty or white space. Running text has no
/// question.
bool hasEmptyPart(const Example& example);

} // namespace fettle::data

#pragma once

#include "base/json.h"

#include <optional>
#include <span>

namespace fettle::text {

/// How the text is cut before byte-level BPE, for the values of tokenizer.ggml.pre that stand for
/// it. One table serves reading and writing.
struct GgufPreTokenizer
{
    std::vector<const char*> names; ///< the first one is written
    std::vector<std::string> steps; ///< see below; in order
    bool nfc = false;               ///< composed characters first
    bool ignoreMerges = false;      ///< whole words of the vocabulary stay whole
    bool addBos = false;            ///< when the file does not say
};

// A step is a regular expression whose matches stand alone, or one of these.
inline constexpr const char* kStepGpt2 = "gpt2";      ///< the pattern that is built into ByteLevel
inline constexpr const char* kStepDigits = "digit";   ///< every digit alone
inline constexpr const char* kStepNumbers = "digits"; ///< runs of digits
inline constexpr const char* kStepPunctuation = "punctuation"; ///< runs of punctuation

/// nullptr for a name that is not known.
const GgufPreTokenizer* ggufPreTokenizer(const std::string& name);

/// pre_tokenizer of tokenizer.json.
Json preTokenizerJson(const GgufPreTokenizer& pre);

/// The row that cuts as this tokenizer.json does.
/// Errors: Unsupported naming the part or the pattern that no row has.
Result<const GgufPreTokenizer*> ggufPreTokenizerOf(const Json& tokenizer);

} // namespace fettle::text

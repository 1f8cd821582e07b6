#pragma once

#include "text/json_parts.h"
#include "text/pre_tokenizers.h"

namespace fettle::text {

/// Adds the pre-tokenizers that split by kinds of characters: white space, punctuation, scripts, a
/// delimiter, a number of characters. False when the type is none of them.
Result<bool> addCharacterSplit(const JsonPart& part, const std::string& type, PreTokenizers& out);

} // namespace fettle::text

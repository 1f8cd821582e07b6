#pragma once

#include "text/added_tokens.h"

namespace fettle::text {

/// Parts put together into one text of well-formed UTF-8.
struct JoinedParts
{
    explicit JoinedParts(std::span<const TextPart> parts);

    std::string text;
    TrustedRanges trusted;
};

/// Ranges of bytes as ranges of code points. An end inside a character counts it.
std::vector<Range> inCharacters(std::string_view text, std::span<const Range> bytes);

} // namespace fettle::text

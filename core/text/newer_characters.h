#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fettle::text {

/// Characters of Unicode 15 and 16 that the reference's patterns know and PCRE2 10.42 does not.
struct NewerCharacters
{
    char32_t first = 0, last = 0;
    /// An older character of the same kind, equally long in UTF-8, that a pattern takes alike.
    char32_t standIn = 0;
};

/// Sorted, without overlap.
std::span<const NewerCharacters> newerCharacters();

/// The text with stand-ins for newer characters, at the same places; "" when it has none.
std::string withStandIns(std::string_view text);

} // namespace fettle::text

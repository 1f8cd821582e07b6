#pragma once

#include <array>
#include <string>
#include <string_view>

namespace fettle::text {

/// The byte-level alphabet of GPT-2: printable bytes stand for themselves, the other 68 for
/// U+0100 onwards. A space is U+0120.
const std::array<std::string, 256>& byteLevelAlphabet();

/// Every byte as its character of the alphabet.
std::string toByteLevel(std::string_view bytes);

/// Appends the bytes that `token` stands for; a token with a character outside the alphabet
/// contributes its own bytes.
void appendFromByteLevel(std::string& out, std::string_view token);

} // namespace fettle::text

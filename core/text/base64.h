#pragma once

#include <optional>
#include <string>

namespace fettle::text {

/// Standard base64, as tokenizer.json holds a precompiled map of characters.
std::string toBase64(const std::string& bytes);
/// Nothing for what is no base64.
std::optional<std::string> fromBase64(const std::string& text);

} // namespace fettle::text

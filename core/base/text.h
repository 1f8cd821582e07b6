#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

/// Decodes one code point at `at` (advanced past it). Ill-formed bytes give U+FFFD, one per maximal
/// ill-formed part as the Unicode standard recommends (the same as Python's "replace").
char32_t nextCodePoint(std::string_view text, std::size_t& at);
void appendUtf8(std::string& out, char32_t codePoint);
bool isValidUtf8(std::string_view text);
/// The text with every ill-formed part replaced by U+FFFD; `replaced` counts them.
std::string toValidUtf8(std::string_view text, std::int64_t* replaced = nullptr);
/// A name from a foreign file as a sentence may quote it: valid UTF-8, without control characters and
/// marks that turn the direction of writing, and at most `most` bytes long, "..." for the rest.
std::string quotable(std::string_view name, std::size_t most = 80);
/// Length of the longest prefix that does not end inside a character: for streaming output.
std::size_t completeUtf8Prefix(std::string_view text);

std::string trimmed(std::string_view text);
std::vector<std::string> splitOn(std::string_view text, char separator);
std::string lowerAscii(std::string_view text);
/// "1,204 kB"-like short form of a number of bytes: "9.1 MB".
std::string humanBytes(std::uint64_t bytes);
/// "4 min 12 s".
std::string humanDuration(double seconds);

} // namespace fettle

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fettle::eval {

/// Full Unicode lower case without a language (final sigma, U+0130 to two code points).
std::string lowerUnicode(std::string_view text);

/// Pieces between white space, as Python's str.split(): includes U+001C to U+001F and U+0085.
std::vector<std::string> splitWhitespace(std::string_view text);
/// Without white space (the same set) at both ends.
std::string strippedText(std::string_view text);

/// SQuAD normalisation: lower case, ASCII punctuation deleted, the articles a, an, the replaced by
/// a space, white space collapsed. Deleting punctuation joins digits: "3,5 mg" becomes "35 mg".
std::string squadNormalised(std::string_view text);

} // namespace fettle::eval

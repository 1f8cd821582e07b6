#pragma once

#include <string>
#include <string_view>

namespace fettle::data {

/// Unicode normalisation form C; ill-formed bytes become U+FFFD.
std::string toNfc(std::string_view text);

/// NFC with every run of white space (any script's) as one blank and none at the ends: how texts
/// are compared for doubles and leaks.
std::string comparable(std::string_view text);

/// A column name for comparison with known names: NFC, case folded, trimmed, '-' and ' ' as '_'.
std::string foldedName(std::string_view name);

} // namespace fettle::data

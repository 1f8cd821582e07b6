#pragma once

#include "base/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace fettle::model {

/// What the files of a model folder state about it, beside its shape. Nothing is guessed: a field
/// that no file states is empty.
struct ModelCard
{
    std::string title;                ///< first heading of the card's text
    std::string licence, licenceName; ///< "apache-2.0"; a name of its own where licence is "other"
    std::vector<std::string> languages;  ///< codes as stated: "en", "de"
    std::vector<std::string> baseModels; ///< names of the models it was made from
};

/// Reads README.md: its front matter and first heading. A folder without a card gives empty fields; a card that cannot be read counts as none.
ModelCard readModelCard(const std::filesystem::path& folder);

/// The values of one key in a card's front matter: the YAML block between the two "---" lines at
/// the start. Lists in either form ("- en" lines or [en, de]) give several values; quotes and
/// comments are dropped. Only keys of the first level are seen.
std::vector<std::string> frontMatter(const std::string& card, const std::string& key);

} // namespace fettle::model

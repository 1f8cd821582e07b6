#pragma once

#include "data/importers/importer.h"

namespace fettle::data {

/// Looks at name and first bytes of a file and refuses, with advice, what is no file of rows:
/// folders, empty files, model files, office files, archives, unknown endings. Gives the readers
/// that open this ending, in list order.
Result<std::vector<const Importer*>> readersFor(const std::filesystem::path& file);

} // namespace fettle::data

#pragma once

#include "data/import.h"
#include "data/importers/importer.h"
#include "data/roles.h"

#include <functional>

namespace fettle::data {

/// Called with the name of each repair that a row needed.
using RepairCounter = std::function<void(const std::string&)>;

/// Makes an example of a record. The error's `what` is the reason why the row cannot be used.
Result<ImportedRow> convertRecord(const Record& record, const Layout& layout,
                                  const std::string& instruction, const RepairCounter& repaired);

/// True when rows of this form can carry a standing instruction.
bool takesInstruction(const std::string& form);

} // namespace fettle::data

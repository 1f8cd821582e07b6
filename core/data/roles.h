#pragma once

#include "data/import.h"
#include "data/importers/importer.h"

#include <map>
#include <string>
#include <vector>

namespace fettle::data {

/// What the columns of a file mean.
struct Layout
{
    std::string form;
    std::map<std::string, std::string> roles; ///< role -> column
    bool sure = true;                         ///< false: a person must agree
    std::string doubt;                        ///< one clause when not sure
};

/// Finds form and roles from whole column names, then from the first rows; what the options say
/// holds. Errors: InvalidInput when the options name a column that is not there or an unknown form
/// or role; Unsupported for known forms that cannot be trained on here.
Result<Layout> detectLayout(const std::vector<std::string>& columns,
                            const std::vector<Record>& first, const ImportOptions& options);

/// Names of all forms, and the words for one.
std::vector<std::string> formNames();
std::string formTitle(const std::string& form);

} // namespace fettle::data

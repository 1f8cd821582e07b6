#pragma once

#include "cli/session.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fettle::cli {

struct ImportDataOptions
{
    std::vector<std::string> files, maps;
    std::string name, split, groupBy, form, encoding, delimiter, header, instruction;
    std::uint64_t seed = 42;
    bool append = false;
};
Outcome importData(Session& session, const ImportDataOptions& options);

struct ExportDataOptions
{
    std::string name, to, split;
    std::optional<int> version;
    bool forSpreadsheet = false;
};
Outcome exportData(Session& session, const ExportDataOptions& options);

} // namespace fettle::cli

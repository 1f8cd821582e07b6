#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fettle::tests {

/// One cell of docs/parity.md: the largest difference that a test measured. Added as a line to the
/// file that FETTLE_PARITY names (tests/oracles/parity_table.py makes the table of it); nothing
/// happens without the variable.
inline void parity(const std::string& row, const std::string& column, double difference)
{
    const char* path = std::getenv("FETTLE_PARITY");
    if (!path)
        return;
    if (std::FILE* file = std::fopen(path, "a")) {
        std::fprintf(file, "%s\t%s\t%.3g\n", row.c_str(), column.c_str(), difference);
        std::fclose(file);
    }
}

} // namespace fettle::tests

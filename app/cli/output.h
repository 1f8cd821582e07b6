#pragma once

#include "base/error.h"
#include "base/json.h"

#include <fmt/format.h>
#include <string>
#include <vector>

namespace fettle::cli {

/// Results: stdout.
void print(const std::string& text);
void printLine(const std::string& line);
void printJson(const OrderedJson& json);
/// Words for people while something goes on: one line on stderr, after a progress bar was wiped.
void say(const std::string& line);

/// One sentence on stderr; with --json also {"error": {...}} on stdout. Gives the exit code.
int report(const Error& error, bool json);

/// Columns of text, the wider the content the wider the column; right-aligned where asked.
class Table
{
public:
    struct Column
    {
        std::string title;
        bool right = false;
    };
    explicit Table(std::vector<Column> columns)
        : m_columns(std::move(columns))
    {
    }
    void add(std::vector<std::string> cells) { m_rows.push_back(std::move(cells)); }
    bool empty() const { return m_rows.empty(); }
    std::string text() const;

private:
    std::vector<Column> m_columns;
    std::vector<std::vector<std::string>> m_rows;
};

/// "1,204".
std::string grouped(std::int64_t number);
/// "2 rows", "1 row".
std::string counted(std::int64_t number, const std::string& noun);
/// "2026-11-24 16:30" in UTC; empty for 0.
std::string shortTime(std::int64_t milliseconds);
/// The number, or null where it is not finite.
OrderedJson finite(double value);

} // namespace fettle::cli

#include "cli/output.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fettle::cli {

namespace {

/// Places on a terminal: one per code point, which is right for all but East Asian text.
std::size_t width(const std::string& text)
{
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count)
        nextCodePoint(text, at);
    return count;
}

} // namespace

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void printLine(const std::string& line) { print(line + "\n"); }

void printJson(const OrderedJson& json)
{
    // Bytes that are no UTF-8 become U+FFFD rather than an exception.
    printLine(json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
}

void say(const std::string& line)
{
    wipeProgress();
    std::fflush(stdout);
    std::fputs((line + "\n").c_str(), stderr);
}

int report(const Error& error, bool json)
{
    say("fettle-cli: " + error.sentence());
    if (json) {
        const OrderedJson details = {{"code", toString(error.code)},
                                     {"what", error.what},
                                     {"where", error.where},
                                     {"remedy", error.remedy},
                                     {"sentence", error.sentence()}};
        printJson(OrderedJson{{"error", details}});
    }
    return exitCode(error.code);
}

std::string Table::text() const
{
    std::vector<std::size_t> widths;
    for (const auto& column : m_columns)
        widths.push_back(width(column.title));
    for (const auto& row : m_rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string out;
    const auto addRow = [&](const auto& cellOf) {
        std::string line;
        for (std::size_t i = 0; i < m_columns.size(); ++i) {
            const std::string cell = cellOf(i);
            const std::string space(widths[i] - width(cell), ' ');
            line += (i ? "  " : "") + (m_columns[i].right ? space + cell : cell + space);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    };
    addRow([&](std::size_t i) { return m_columns[i].title; });
    for (const auto& row : m_rows)
        addRow([&](std::size_t i) { return i < row.size() ? row[i] : std::string(); });
    return out;
}

std::string grouped(std::int64_t number)
{
    std::string digits = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number < 0 ? 1 : 0);
         at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}

std::string counted(std::int64_t number, const std::string& noun)
{
    return grouped(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string shortTime(std::int64_t milliseconds)
{
    if (milliseconds == 0)
        return {};
    std::string text = isoTime(milliseconds).substr(0, 16);
    std::ranges::replace(text, 'T', ' ');
    return text;
}

OrderedJson finite(double value)
{
    return std::isfinite(value) ? OrderedJson(value) : OrderedJson(nullptr);
}

} // namespace fettle::cli

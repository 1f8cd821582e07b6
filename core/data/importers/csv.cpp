#include "base/text.h"
#include "data/column_names.h"
#include "data/importers/importer.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

namespace fettle::data {

namespace {

/// The bytes of a text, with the interface of TextSource.
class HeadBytes
{
public:
    explicit HeadBytes(std::string_view text)
        : m_text(text)
    {
    }
    int get() { return m_at < m_text.size() ? static_cast<unsigned char>(m_text[m_at++]) : -1; }
    int peek() const
    {
        return m_at < m_text.size() ? static_cast<unsigned char>(m_text[m_at]) : -1;
    }

private:
    std::string_view m_text;
    std::size_t m_at = 0;
};

/// Splits a table into rows of cells as RFC 4180 says: quotes double inside quotes, delimiters and
/// line ends inside quotes are text, blanks are text, a quote inside an unquoted cell is text.
template<class Bytes> class CsvRows
{
public:
    enum class Problem
    {
        None,
        StrayQuote,
        TooLong,
        Nul
    };

    CsvRows(Bytes& bytes, char delimiter)
        : m_bytes(bytes)
        , m_delimiter(delimiter)
    {
    }

    /// Next row; false at the end.
    bool next(std::vector<std::string>& cells)
    {
        cells.clear();
        m_problem = Problem::None;
        m_quotedCell = false;
        if (m_bytes.peek() < 0)
            return false;
        ++m_row;
        std::string cell;
        while (true) {
            const int end = readCell(cell);
            cells.push_back(std::move(cell));
            if (end != m_delimiter)
                return true;
        }
    }

    std::int64_t row() const { return m_row; }
    Problem problem() const { return m_problem; }
    bool unclosedQuote() const { return m_unclosed; }
    /// A line with nothing on it, not even quotes.
    bool isBlank(const std::vector<std::string>& cells) const
    {
        return cells.size() == 1 && cells.front().empty() && !m_quotedCell;
    }

private:
    /// Gives what ended the cell: the delimiter, '\n' or -1.
    int readCell(std::string& cell)
    {
        cell.clear();
        int c = m_bytes.get();
        if (c == '"') {
            m_quotedCell = true;
            if (!readQuoted(cell))
                return -1;
            c = m_bytes.get();
            if (c != m_delimiter && c != '\n' && c != '\r' && c >= 0)
                m_problem = Problem::StrayQuote;
        }
        for (; c >= 0 && c != m_delimiter && c != '\n' && c != '\r'; c = m_bytes.get())
            append(cell, c);
        if (c == '\r') {
            if (m_bytes.peek() == '\n')
                m_bytes.get();
            c = '\n';
        }
        return c;
    }

    bool readQuoted(std::string& cell)
    {
        while (true) {
            const int c = m_bytes.get();
            if (c < 0 || cell.size() > kMaxRowBytes) {
                m_unclosed = true;
                return false;
            }
            if (c != '"') {
                append(cell, c);
            } else if (m_bytes.peek() == '"') {
                cell += '"';
                m_bytes.get();
            } else {
                return true;
            }
        }
    }

    void append(std::string& cell, int c)
    {
        if (c == 0)
            m_problem = Problem::Nul;
        if (cell.size() <= kMaxRowBytes)
            cell += static_cast<char>(c);
        else
            m_problem = Problem::TooLong;
    }

    Bytes& m_bytes;
    char m_delimiter;
    std::int64_t m_row = 0;
    Problem m_problem = Problem::None;
    bool m_quotedCell = false, m_unclosed = false;
};

constexpr std::array<char, 4> kDelimiters = {',', ';', '\t', '|'};
constexpr int kSniffRows = 200;

/// How many of the first rows have the most usual number of columns, and that number; rows of one
/// column do not count. The last row of `head` may be cut off and is left out when there are
/// others.
std::pair<int, std::size_t> agreement(std::string_view head, char delimiter)
{
    HeadBytes bytes(head);
    CsvRows rows(bytes, delimiter);
    std::vector<std::string> cells;
    std::map<std::size_t, int> counts;
    for (int i = 0; i < kSniffRows && rows.next(cells); ++i) {
        if (bytes.peek() < 0 && i > 0 && rows.unclosedQuote())
            break;
        if (!rows.isBlank(cells))
            ++counts[cells.size()];
    }
    std::pair<int, std::size_t> best{0, 1};
    for (const auto& [columns, count] : counts) {
        if (columns > 1 && count >= best.first)
            best = {count, columns};
    }
    return best;
}

char sniffDelimiter(std::string_view head)
{
    std::pair<int, std::size_t> best{0, 1};
    char delimiter = ',';
    for (const char candidate : kDelimiters) {
        const auto found = agreement(head, candidate);
        if (found > best) {
            best = found;
            delimiter = candidate;
        }
    }
    return delimiter;
}

/// "sep=;" in the first line is a hint that Excel writes and reads.
std::optional<char> excelHint(std::string_view head)
{
    if (head.size() >= 5 && lowerAscii(head.substr(0, 4)) == "sep=" && head[4] != '\n' &&
        head[4] != '\r' && (head.size() == 5 || head[5] == '\n' || head[5] == '\r'))
        return head[4];
    return {};
}

bool isNumber(const std::string& cell)
{
    return !cell.empty() && cell.find_first_not_of("0123456789.,+-eE% ") == std::string::npos;
}

struct Header
{
    bool present = true;
    bool sure = true;
};

/// Names that we know make a header for sure; short different words that are no numbers make one
/// that a person should look at.
Header detectHeader(const std::vector<std::string>& first)
{
    std::set<std::string> names;
    bool known = false, plausible = true;
    for (const auto& cell : first) {
        const std::string name = trimmed(cell);
        known = known || isKnownColumnName(name);
        plausible = plausible && !name.empty() && name.size() <= 60 && !isNumber(name) &&
                    name.find_first_of("\n.?!") == std::string::npos;
        names.insert(name);
    }
    if (known && names.size() == first.size())
        return {true, true};
    return {plausible && names.size() == first.size(), false};
}

std::vector<std::string> columnNames(const std::vector<std::string>& first, bool header)
{
    std::vector<std::string> names;
    std::set<std::string> used;
    for (std::size_t i = 0; i < first.size(); ++i) {
        std::string name = header ? toValidUtf8(trimmed(first[i])) : std::string();
        if (name.empty())
            name = fmt::format("column {}", i + 1);
        for (int copy = 2; !used.insert(name).second; ++copy)
            name = fmt::format("{} ({})", toValidUtf8(trimmed(first[i])), copy);
        names.push_back(std::move(name));
    }
    return names;
}

std::string reasonOf(CsvRows<TextSource>::Problem problem)
{
    using Problem = CsvRows<TextSource>::Problem;
    switch (problem) {
    case Problem::StrayQuote:
        return "a quoted cell goes on after its closing quote";
    case Problem::TooLong:
        return "a cell is longer than 16 MB";
    case Problem::Nul:
        return "the row holds a zero byte";
    case Problem::None:
        break;
    }
    return {};
}

class Csv final : public Importer
{
public:
    ImporterSpec spec() const override { return {"csv", "CSV", {"csv", "tsv", "tab", "psv"}}; }

    int sniff(std::string_view) const override { return 50; }

    Result<ReadFacts> read(TextSource& source, const ReadOptions& options, RecordSink& sink,
                           std::stop_token stop) const override
    {
        const auto head = source.head();
        const auto hint = excelHint(head);
        ReadFacts facts;
        facts.delimiter = options.delimiter ? options.delimiter
                          : hint            ? hint
                                            : sniffDelimiter(head);
        CsvRows rows(source, *facts.delimiter);
        std::vector<std::string> cells;
        if (hint)
            rows.next(cells);
        bool first = true, more = true;
        while (more && !stop.stop_requested() && rows.next(cells)) {
            if (rows.unclosedQuote())
                return Error{ErrorCode::InvalidInput,
                             "a quote that opens in this row is never closed",
                             fmt::format("{}, row {}", source.name(), rows.row()),
                             "Close the quote, or double each quote inside the text"};
            if (rows.isBlank(cells))
                continue;
            if (first) {
                first = false;
                if (takeHeader(cells, options, facts))
                    continue;
            }
            more = give(source, rows, cells, facts, sink);
        }
        return facts;
    }

private:
    /// True when the row is the header; names the columns in any case.
    static bool takeHeader(const std::vector<std::string>& cells, const ReadOptions& options,
                           ReadFacts& facts)
    {
        Header header = detectHeader(cells);
        if (options.headerRow)
            header = {*options.headerRow, true};
        facts.headerSure = header.sure;
        facts.columns = columnNames(cells, header.present);
        return header.present;
    }

    static bool give(const TextSource& source, const CsvRows<TextSource>& rows,
                     std::vector<std::string>& cells, const ReadFacts& facts, RecordSink& sink)
    {
        std::string reason = reasonOf(rows.problem());
        // Spreadsheets leave empty cells at the right.
        while (cells.size() > facts.columns.size() && cells.back().empty())
            cells.pop_back();
        if (reason.empty() && cells.size() != facts.columns.size())
            reason = fmt::format("the row has {} cells, the table has {} columns", cells.size(),
                                 facts.columns.size());
        if (!reason.empty()) {
            sink.badRow(rows.row(), reason);
            return true;
        }
        Record record{rows.row(), OrderedJson::object()};
        std::int64_t replaced = 0;
        auto& fields = record.fields.get_ref<OrderedJson::object_t&>();
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (source.encoding().badBytes)
                cells[i] = toValidUtf8(cells[i], &replaced);
            // The names are unique already, so the map's search for an equal key is not needed.
            fields.Container::emplace_back(facts.columns[i], std::move(cells[i]));
        }
        if (replaced > 0)
            sink.repaired("bytes that are not UTF-8 replaced");
        return sink.record(std::move(record));
    }
};

} // namespace

std::unique_ptr<const Importer> makeCsv() { return std::make_unique<Csv>(); }

} // namespace fettle::data

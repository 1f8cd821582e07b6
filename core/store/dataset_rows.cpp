// Rows and contents of a dataset: writing, health marks, filters.

#include "base/log.h"
#include "base/ordered_json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/normalise.h"
#include "store/dataset_parts.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::store {

namespace {

std::string dumped(const OrderedJson& json)
{
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::span<const std::uint8_t> blob(const std::string& bytes)
{
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

// CROSS JOIN and the unary plus keep SQLite from starting at the rows instead of at the key.

/// One mark at a time: 1 for the second and later rows in use with the key.
constexpr const char* kDoubledByKey = R"(
UPDATE rows SET doubled = coalesce(state = 0 AND id > (
    SELECT min(r.id) FROM contents c CROSS JOIN rows r ON r.content = c.id
    WHERE c.duplicate = ?1 AND +r.state = 0), 0)
WHERE content IN (SELECT id FROM contents WHERE duplicate = ?1))";

/// 1 for checking and test rows in use whose question is asked in training too.
constexpr const char* kLeakByKey = R"(
UPDATE rows SET leak = (state = 0 AND split <> 0 AND EXISTS (
    SELECT 1 FROM contents c CROSS JOIN rows r ON r.content = c.id
    WHERE c.question = ?1 AND +r.state = 0 AND +r.split = 0))
WHERE content IN (SELECT id FROM contents WHERE question = ?1))";

constexpr const char* kAllHealth = R"(
UPDATE rows SET doubled = 0, leak = 0 WHERE doubled <> 0 OR leak <> 0;
UPDATE rows SET doubled = 1 WHERE id IN (
    SELECT id FROM (
        SELECT r.id, row_number() OVER (PARTITION BY c.duplicate ORDER BY r.id) AS place
        FROM rows r JOIN contents c ON c.id = r.content WHERE r.state = 0)
    WHERE place > 1);
UPDATE rows SET leak = 1 WHERE id IN (
    SELECT r.id FROM rows r JOIN contents c ON c.id = r.content
    WHERE r.state = 0 AND r.split <> 0 AND c.question IN (
        SELECT t.question FROM rows s JOIN contents t ON t.id = s.content
        WHERE s.state = 0 AND s.split = 0));
)";

/// Words of a search as an FTS5 expression: all must occur, the last may be the start of a word.
/// Empty when nothing can be searched for.
std::string searchExpression(const std::string& text)
{
    const std::string clean = data::comparable(text);
    const bool finished = !text.empty() && (text.back() == ' ' || text.back() == '\n');
    std::string expression, last;
    for (const auto& word : splitOn(clean, ' ')) {
        const bool searchable = std::any_of(word.begin(), word.end(), [](unsigned char c) {
            return c >= 0x80 || std::isalnum(c) != 0;
        });
        if (!searchable)
            continue;
        std::string quoted = "\"";
        for (const char c : word)
            quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
        last = quoted + "\"";
        expression += (expression.empty() ? "" : " ") + last;
    }
    return expression.empty() || finished ? expression : expression + " *";
}

} // namespace

std::string bytesOfHex(const std::string& hex)
{
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
    return bytes;
}

std::string hexOfBytes(const std::string& bytes)
{
    std::string hex;
    for (const unsigned char c : bytes)
        hex += fmt::format("{:02x}", c);
    return hex;
}

RowWriter::RowWriter(Database& database)
    : m_database(database)
    , m_content(database,
                "INSERT INTO contents(example, digest, duplicate, question, label, family, empty) "
                "VALUES(?, ?, ?, ?, ?, ?, ?)")
    , m_row(database, "INSERT INTO rows(content, split, state, empty) VALUES(?, ?, ?, ?)")
    , m_index(database, "INSERT INTO search(rowid, question, answer) VALUES(?, ?, ?)")
    , m_unindex(database,
                "INSERT INTO search(search, rowid, question, answer) VALUES('delete', ?, ?, ?)")
{
}

std::int64_t RowWriter::addContent(const data::Example& example)
{
    const std::string json = dumped(toJson(example));
    const std::string digest = bytesOfHex(sha256(json));
    const std::string duplicate = bytesOfHex(duplicateKey(example));
    const std::string question = bytesOfHex(questionKey(example));
    m_content.bind(json, blob(digest), blob(duplicate), blob(question), example.label,
                   example.group, hasEmptyPart(example));
    return m_content.run() ? m_database.lastId() : 0;
}

std::int64_t RowWriter::addRow(std::int64_t content, bool empty, int split, RowState state)
{
    m_row.bind(content, split, static_cast<int>(state), empty);
    return m_row.run() ? m_database.lastId() : 0;
}

void RowWriter::index(std::int64_t row, const data::Example& example)
{
    m_index.bind(row, questionOf(example), answerOf(example)).run();
}

void RowWriter::unindex(std::int64_t row, const data::Example& example)
{
    m_unindex.bind(row, questionOf(example), answerOf(example)).run();
}

std::optional<RowMoment> momentOf(Database& database, std::int64_t row)
{
    Statement statement(database, "SELECT content, split, state FROM rows WHERE id = ?");
    if (!statement.bind(row).step())
        return {};
    return RowMoment{statement.integer(0), static_cast<int>(statement.integer(1)),
                     static_cast<int>(statement.integer(2))};
}

data::Example exampleOf(Database& database, std::int64_t content)
{
    Statement statement(database, "SELECT example FROM contents WHERE id = ?");
    if (!statement.bind(content).step())
        return {};
    auto json = parseOrderedJson(statement.text(0), "row");
    auto example = json ? data::exampleFromJson(*json) : Result<data::Example>(json.error());
    if (!example) {
        database.fail(example.error());
        return {};
    }
    return std::move(*example);
}

void refreshHealth(Database& database) { database.exec(kAllHealth); }

void refreshHealth(Database& database, const std::vector<std::int64_t>& contents)
{
    constexpr std::size_t kFewContents = 2000; // beyond, one pass over everything is faster
    if (contents.size() > kFewContents) {
        refreshHealth(database);
        return;
    }
    Statement keys(database, "SELECT duplicate, question FROM contents WHERE id = ?");
    Statement doubled(database, kDoubledByKey), leak(database, kLeakByKey);
    for (const auto content : contents) {
        if (!keys.bind(content).step())
            continue;
        const std::string duplicate = keys.text(0), question = keys.text(1);
        doubled.bind(blob(duplicate)).run();
        leak.bind(blob(question)).run();
    }
}

DatasetCounts readCounts(Database& database)
{
    DatasetCounts counts;
    Statement statement(database, "SELECT state, split, count(*) FROM rows GROUP BY state, split");
    while (statement.step()) {
        const std::int64_t rows = statement.integer(2);
        const auto state = static_cast<RowState>(statement.integer(0));
        if (state == RowState::LeftOut)
            counts.leftOut += rows;
        if (state != RowState::InUse)
            continue;
        counts.rows += rows;
        const std::int64_t split = statement.integer(1);
        (split == 0 ? counts.train : split == 1 ? counts.validation : counts.test) += rows;
    }
    Statement marks(database, "SELECT (SELECT count(*) FROM rows WHERE state = 0 AND doubled = 1), "
                              "(SELECT count(*) FROM rows WHERE state = 0 AND leak = 1), "
                              "(SELECT count(*) FROM rows WHERE state = 0 AND empty = 1)");
    if (marks.step()) {
        counts.doubled = marks.integer(0);
        counts.leaks = marks.integer(1);
        counts.empty = marks.integer(2);
    }
    Statement bad(database, "SELECT coalesce(sum(bad), 0) FROM imports "
                            "WHERE action NOT IN (SELECT id FROM actions WHERE undone = 1)");
    if (bad.step())
        counts.badRows = bad.integer(0);
    return counts;
}

std::vector<std::int64_t> readIds(Database& database, const RowFilter& filter)
{
    std::string sql = "SELECT id FROM rows WHERE state = ?1";
    if (filter.split)
        sql += fmt::format(" AND split = {}", static_cast<int>(*filter.split));
    for (const char* mark : {"doubled", "leaks", "empty"}) {
        if (filter.health == mark)
            sql += fmt::format(" AND {} = 1", filter.health == "leaks" ? "leak" : mark);
    }
    const std::string expression = searchExpression(filter.text);
    if (!expression.empty())
        sql += " AND id IN (SELECT rowid FROM search WHERE search MATCH ?2)";
    sql += " ORDER BY id";
    Statement statement(database, sql);
    const int state = static_cast<int>(filter.leftOut ? RowState::LeftOut : RowState::InUse);
    if (expression.empty())
        statement.bind(state);
    else
        statement.bind(state, expression);
    std::vector<std::int64_t> ids;
    while (statement.step())
        ids.push_back(statement.integer(0));
    return ids;
}

DatasetRow readRow(const Statement& statement)
{
    DatasetRow row;
    row.id = statement.integer(0);
    row.split = static_cast<data::Split>(statement.integer(1));
    row.leftOut = statement.integer(2) != static_cast<int>(RowState::InUse);
    if (auto json = parseOrderedJson(statement.text(3), "row")) {
        if (auto example = data::exampleFromJson(*json))
            row.example = std::move(*example);
        else
            logWarning("store", "row {} of a dataset cannot be understood", row.id);
    }
    row.duplicateKey = hexOfBytes(statement.text(4));
    row.questionKey = hexOfBytes(statement.text(5));
    return row;
}

} // namespace fettle::store

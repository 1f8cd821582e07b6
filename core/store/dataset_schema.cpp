#include "store/dataset_parts.h"

#include <fmt/format.h>

namespace fettle::store {

namespace {

// contents: examples as they were, never changed, so that undo and versions only keep their
// numbers. rows: what is there now. search: an index without texts of its own, kept in step by
// RowWriter.
constexpr const char* kSchema = R"(
CREATE TABLE facts(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contents(
    id INTEGER PRIMARY KEY, example TEXT NOT NULL, digest BLOB NOT NULL, duplicate BLOB NOT NULL,
    question BLOB NOT NULL, label TEXT NOT NULL, family TEXT NOT NULL, empty INTEGER NOT NULL);
CREATE INDEX contents_duplicate ON contents(duplicate);
CREATE INDEX contents_question ON contents(question);
CREATE INDEX contents_family ON contents(family) WHERE family <> '';
CREATE TABLE rows(
    id INTEGER PRIMARY KEY AUTOINCREMENT, content INTEGER NOT NULL REFERENCES contents(id),
    split INTEGER NOT NULL, state INTEGER NOT NULL, doubled INTEGER NOT NULL DEFAULT 0,
    leak INTEGER NOT NULL DEFAULT 0, empty INTEGER NOT NULL);
CREATE INDEX rows_content ON rows(content);
CREATE INDEX rows_state ON rows(state);
CREATE INDEX rows_split ON rows(state, split);
CREATE INDEX rows_doubled ON rows(state) WHERE doubled = 1;
CREATE INDEX rows_leak ON rows(state) WHERE leak = 1;
CREATE INDEX rows_empty ON rows(state) WHERE empty = 1;
CREATE TABLE actions(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0,
    first_row INTEGER, last_row INTEGER);
CREATE TABLE changes(
    action INTEGER NOT NULL REFERENCES actions(id) ON DELETE CASCADE, row INTEGER NOT NULL,
    content_before INTEGER, split_before INTEGER, state_before INTEGER,
    content_after INTEGER, split_after INTEGER, state_after INTEGER,
    PRIMARY KEY(action, row)) WITHOUT ROWID;
CREATE TABLE imports(action INTEGER PRIMARY KEY, info TEXT NOT NULL, bad INTEGER NOT NULL);
CREATE TABLE bad_rows(action INTEGER NOT NULL, file TEXT NOT NULL, row INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX bad_rows_action ON bad_rows(action);
CREATE TABLE versions(
    number INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, time INTEGER NOT NULL, counts TEXT NOT NULL);
CREATE TABLE version_rows(
    version INTEGER NOT NULL REFERENCES versions(number), row INTEGER NOT NULL,
    content INTEGER NOT NULL REFERENCES contents(id), split INTEGER NOT NULL,
    PRIMARY KEY(version, row)) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5(
    question, answer, content='', tokenize='unicode61 remove_diacritics 2');
)";

} // namespace

void makeSchema(Database& database, const std::string& name)
{
    database.exec(kSchema);
    setFact(database, "name", name);
    database.exec(fmt::format("PRAGMA user_version = {}", kDatasetFormat).c_str());
}

std::string fact(Database& database, const std::string& key)
{
    Statement statement(database, "SELECT value FROM facts WHERE key = ?");
    return statement.bind(key).step() ? statement.text(0) : std::string();
}

void setFact(Database& database, const std::string& key, const std::string& value)
{
    Statement(database, "INSERT OR REPLACE INTO facts(key, value) VALUES(?, ?)")
        .bind(key, value)
        .run();
}

} // namespace fettle::store

// The undo stack of a dataset: every edit is an action with the rows' states before and after.

#include "store/dataset_parts.h"

#include <fmt/format.h>

namespace fettle::store {

namespace {

constexpr int kKeptActions = 1000;

RowMoment momentFrom(const Statement& statement, int column)
{
    return {statement.integer(column), static_cast<int>(statement.integer(column + 1)),
            static_cast<int>(statement.integer(column + 2))};
}

/// Removes for good what has been undone, because a new edit makes another future.
void endRedo(Database& database)
{
    std::vector<std::pair<std::int64_t, std::int64_t>> absent;
    Statement statement(database, "SELECT id, content FROM rows WHERE state = ?");
    statement.bind(static_cast<int>(RowState::Absent));
    while (statement.step())
        absent.emplace_back(statement.integer(0), statement.integer(1));
    RowWriter writer(database);
    Statement remove(database, "DELETE FROM rows WHERE id = ?");
    for (const auto& [row, content] : absent) {
        writer.unindex(row, exampleOf(database, content));
        remove.bind(row).run();
    }
    database.exec("DELETE FROM imports WHERE action IN (SELECT id FROM actions WHERE undone = 1);"
                  "DELETE FROM bad_rows WHERE action IN (SELECT id FROM actions WHERE undone = 1);"
                  "DELETE FROM actions WHERE undone = 1");
}

/// Brings one row from one moment to another.
class Mover
{
public:
    explicit Mover(Database& database)
        : m_database(database)
        , m_writer(database)
        , m_update(database, "UPDATE rows SET content = ?2, split = ?3, state = ?4, "
                             "empty = (SELECT empty FROM contents WHERE id = ?2) WHERE id = ?1")
    {
    }

    void move(std::int64_t row, const RowMoment& from, const RowMoment& to)
    {
        m_update.bind(row, to.content, to.split, to.state).run();
        if (from.content != to.content) {
            m_writer.unindex(row, exampleOf(m_database, from.content));
            m_writer.index(row, exampleOf(m_database, to.content));
            contents.push_back(from.content);
        }
        contents.push_back(to.content);
    }

    std::vector<std::int64_t> contents; ///< whose health marks may have changed

private:
    Database& m_database;
    RowWriter m_writer;
    Statement m_update;
};

void moveChanges(Database& database, std::int64_t action, bool undo)
{
    Statement statement(database,
                        "SELECT row, content_before, split_before, state_before, content_after, "
                        "split_after, state_after FROM changes WHERE action = ?");
    statement.bind(action);
    Mover mover(database);
    while (statement.step()) {
        const RowMoment before = momentFrom(statement, 1), after = momentFrom(statement, 4);
        mover.move(statement.integer(0), undo ? after : before, undo ? before : after);
    }
    refreshHealth(database, mover.contents);
}

void moveRange(Database& database, std::int64_t first, std::int64_t last, bool undo)
{
    Statement(database, "UPDATE rows SET state = ?3 WHERE id BETWEEN ?1 AND ?2")
        .bind(first, last, static_cast<int>(undo ? RowState::Absent : RowState::InUse))
        .run();
    refreshHealth(database);
}

} // namespace

std::int64_t beginAction(Database& database, const std::string& name)
{
    endRedo(database);
    Statement(database, "INSERT INTO actions(name) VALUES(?)").bind(name).run();
    const std::int64_t action = database.lastId();
    Statement(database, "DELETE FROM actions WHERE id <= ?").bind(action - kKeptActions).run();
    return action;
}

void applyChanges(Database& database, std::int64_t action, const std::vector<RowChange>& changes)
{
    Mover mover(database);
    Statement journal(database, "INSERT INTO changes VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    for (const auto& [row, before, after] : changes) {
        journal
            .bind(action, row, before.content, before.split, before.state, after.content,
                  after.split, after.state)
            .run();
        mover.move(row, before, after);
    }
    refreshHealth(database, mover.contents);
}

Result<void> stepJournal(Database& database, bool undo)
{
    Statement statement(database,
                        undo ? "SELECT id, first_row, last_row FROM actions WHERE undone = 0 "
                               "ORDER BY id DESC LIMIT 1"
                             : "SELECT id, first_row, last_row FROM actions WHERE undone = 1 "
                               "ORDER BY id LIMIT 1");
    if (!statement.step()) {
        if (database.failed())
            return {};
        return Error{ErrorCode::NotFound,
                     undo ? "there is nothing to undo" : "there is nothing to redo", "", ""};
    }
    const std::int64_t action = statement.integer(0);
    if (!statement.isNull(1))
        moveRange(database, statement.integer(1), statement.integer(2), undo);
    moveChanges(database, action, undo);
    Statement(database, "UPDATE actions SET undone = ?2 WHERE id = ?1").bind(action, undo).run();
    return {};
}

} // namespace fettle::store

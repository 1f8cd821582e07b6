// The workspace's database: an index of what the folders hold.

#include "base/clock.h"
#include "store/workspace_parts.h"

#include <cmath>
#include <fmt/format.h>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSchema = R"(
CREATE TABLE facts(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE preferences(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, record TEXT NOT NULL,
    status TEXT NOT NULL, ended INTEGER NOT NULL, step INTEGER NOT NULL, total_steps INTEGER NOT NULL,
    loss REAL, best_loss REAL, best_step INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX runs_name ON runs(name);
CREATE TABLE steps(
    run INTEGER NOT NULL, step INTEGER NOT NULL, epoch REAL, loss REAL, learning_rate REAL, grad_norm REAL,
    tokens_per_second REAL, tokens INTEGER, trained_tokens INTEGER, seconds REAL, time INTEGER,
    PRIMARY KEY(run, step)) WITHOUT ROWID;
CREATE TABLE evaluations(
    run INTEGER NOT NULL, step INTEGER NOT NULL, loss REAL, low REAL, high REAL, rows INTEGER,
    trained_tokens INTEGER, best INTEGER, seconds REAL, time INTEGER,
    PRIMARY KEY(run, step)) WITHOUT ROWID;
CREATE TABLE samples(
    run INTEGER NOT NULL, step INTEGER NOT NULL, prompt INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY(run, step, prompt)) WITHOUT ROWID;
CREATE TABLE checkpoints(
    run INTEGER NOT NULL, step INTEGER NOT NULL, best INTEGER NOT NULL,
    PRIMARY KEY(run, step)) WITHOUT ROWID;
)";

std::optional<double> finite(double value)
{
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> realOrNothing(const Statement& statement, int column)
{
    return statement.isNull(column) ? std::nullopt : std::optional(statement.real(column));
}

} // namespace

fs::path databaseOf(const fs::path& workspace) { return workspace / "workspace.db"; }

void makeWorkspaceSchema(Database& database)
{
    database.exec(kSchema);
    database.exec(fmt::format("PRAGMA user_version = {}", kWorkspaceFormat).c_str());
}

void writeRunRow(Database& database, const RunRecord& record)
{
    Statement(database,
              "INSERT INTO runs(number, id, name, record, status, ended, step, total_steps, "
              "best_step, message) VALUES(?1, ?2, ?3, ?4, '', 0, 0, 0, 0, '') "
              "ON CONFLICT(number) DO UPDATE SET id = ?2, name = ?3, record = ?4")
        .bind(record.number, record.id, record.name,
              toJson(record).dump(-1, ' ', false, Json::error_handler_t::replace))
        .run();
    writeProgress(database, record, true);
}

void writeProgress(Database& database, const RunRecord& record, bool withStatus)
{
    Statement(database, "UPDATE runs SET step = ?2, total_steps = ?3, loss = ?4, best_loss = ?5, "
                        "best_step = ?6 WHERE number = ?1")
        .bind(record.number, record.step, record.totalSteps, record.loss, record.bestEvalLoss,
              record.bestStep)
        .run();
    if (withStatus)
        Statement(database,
                  "UPDATE runs SET status = ?2, ended = ?3, message = ?4 WHERE number = ?1")
            .bind(record.number, toString(record.status), record.endedAt, record.message)
            .run();
}

std::vector<RunRecord> readRunRows(Database& database, const std::string& condition,
                                   const std::string& value)
{
    std::vector<RunRecord> runs;
    Statement statement(database,
                        fmt::format("SELECT record, status, ended, step, total_steps, loss, "
                                    "best_loss, best_step, message, id FROM runs {} "
                                    "ORDER BY number DESC",
                                    condition));
    if (!value.empty())
        statement.bind(value);
    while (statement.step()) {
        const auto json = OrderedJson::parse(statement.text(0), nullptr, false);
        auto record = runRecordFromJson(json);
        const auto status = runStatusFrom(statement.text(1));
        if (!record || !status)
            continue;
        record->status = *status;
        record->endedAt = statement.integer(2);
        record->step = statement.integer(3);
        record->totalSteps = statement.integer(4);
        record->loss = realOrNothing(statement, 5);
        record->bestEvalLoss = realOrNothing(statement, 6);
        record->bestStep = statement.integer(7);
        record->message = statement.text(8);
        record->id = statement.text(9);
        runs.push_back(std::move(*record));
    }
    return runs;
}

std::int64_t numberOfRun(Database& database, const std::string& id)
{
    Statement statement(database, "SELECT number FROM runs WHERE id = ?");
    return statement.bind(id).step() ? statement.integer(0) : 0;
}

void removeRunRows(Database& database, std::int64_t number)
{
    for (const char* table : {"steps", "evaluations", "samples", "checkpoints"})
        Statement(database, fmt::format("DELETE FROM {} WHERE run = ?", table)).bind(number).run();
    Statement(database, "DELETE FROM runs WHERE number = ?").bind(number).run();
}

MetricWriter::MetricWriter(Database& database)
    : m_database(database)
    , m_step(database, "INSERT OR REPLACE INTO steps VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    , m_eval(database, "INSERT OR REPLACE INTO evaluations VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    , m_sample(database, "INSERT OR REPLACE INTO samples VALUES(?, ?, ?, ?)")
    , m_checkpoint(database, "INSERT OR REPLACE INTO checkpoints VALUES(?, ?, ?)")
{
}

void MetricWriter::write(std::int64_t run, const jobs::Event& event)
{
    if (const auto* s = std::get_if<jobs::StepDone>(&event))
        m_step
            .bind(run, s->step, finite(s->epoch), finite(s->loss), finite(s->learningRate),
                  finite(s->gradNorm), finite(s->tokensPerSecond), s->tokens, s->trainedTokens,
                  finite(s->seconds), s->time)
            .run();
    else if (const auto* e = std::get_if<jobs::EvalDone>(&event))
        m_eval
            .bind(run, e->step, finite(e->loss), finite(e->low), finite(e->high), e->rows,
                  e->trainedTokens, e->best, finite(e->seconds), e->time)
            .run();
    else if (const auto* a = std::get_if<jobs::SampleDone>(&event))
        m_sample.bind(run, a->step, a->prompt, a->answer).run();
    else if (const auto* c = std::get_if<jobs::CheckpointSaved>(&event))
        m_checkpoint.bind(run, c->step, c->best).run();
    else if (const auto* r = std::get_if<jobs::Resumed>(&event))
        forgetAfter(run, r->step);
}

void MetricWriter::forgetAfter(std::int64_t run, std::int64_t step)
{
    for (const char* table : {"steps", "evaluations", "samples", "checkpoints"})
        Statement(m_database, fmt::format("DELETE FROM {} WHERE run = ? AND step > ?", table))
            .bind(run, step)
            .run();
}

Result<RunRecord> indexRun(Database& database, const fs::path& runFolder)
{
    auto record = readRunFile(runFolder);
    if (!record)
        return record;
    removeRunRows(database, record->number);
    MetricWriter writer(database);
    RunProgress progress;
    auto damaged = readEvents(runFolder, [&](const jobs::Event& event) {
        progress.fold(event);
        writer.write(record->number, event);
    });
    if (!damaged)
        return damaged.error();
    progress.apply(*record);
    writeRunRow(database, *record);
    return record;
}

} // namespace fettle::store

// Runs of a workspace: folders first, rows of the index behind them.

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/places.h"
#include "store/workspace_store.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <set>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

constexpr int kColours = 8;

Error noSuchRun(const std::string& which)
{
    return {ErrorCode::NotFound, fmt::format("there is no run \"{}\"", which), "run",
            "See runs list"};
}

/// "12" or "0012" -> 12.
std::optional<std::int64_t> wholeNumber(std::string_view text)
{
    std::int64_t number = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc() || end != text.data() + text.size() || text.empty())
        return {};
    return number;
}

/// Number at the start of a run's folder name, also behind the bin's prefix; 0 when there is none.
std::int64_t numberInName(const std::string& folder)
{
    const std::size_t mark = folder.find("-run-");
    std::string_view name(folder);
    if (mark != std::string::npos)
        name.remove_prefix(mark + 5);
    return wholeNumber(name.substr(0, name.find('-'))).value_or(0);
}

} // namespace

std::string toString(RunStatus status)
{
    switch (status) {
    case RunStatus::Waiting:
        return "waiting";
    case RunStatus::Running:
        return "running";
    case RunStatus::Paused:
        return "paused";
    case RunStatus::Finished:
        return "finished";
    case RunStatus::Stopped:
        return "stopped";
    case RunStatus::Failed:
        return "failed";
    case RunStatus::Interrupted:
        break;
    }
    return "interrupted";
}

Result<RunStatus> runStatusFrom(const std::string& name)
{
    for (const auto status :
         {RunStatus::Waiting, RunStatus::Running, RunStatus::Paused, RunStatus::Finished,
          RunStatus::Stopped, RunStatus::Failed, RunStatus::Interrupted}) {
        if (toString(status) == name)
            return status;
    }
    return Error{ErrorCode::InvalidInput, "this is not a state of a run", "status", ""};
}

fs::path WorkspaceStore::runFolder(const std::string& id) const { return m_folder / "runs" / id; }

std::vector<RunRecord> WorkspaceStore::runs() const
{
    const std::lock_guard lock(m_readMutex);
    auto list = readRunRows(*m_read, "", "");
    logReadError();
    return list;
}

Result<RunRecord> WorkspaceStore::run(const std::string& which) const
{
    const std::lock_guard lock(m_readMutex);
    std::vector<RunRecord> found;
    if (which == "last") {
        found = readRunRows(*m_read, "WHERE number = (SELECT max(number) FROM runs)", "");
    } else if (!which.empty()) {
        found = readRunRows(*m_read, "WHERE id = ?", which);
        if (const auto number = wholeNumber(which); found.empty() && number)
            found =
                readRunRows(*m_read, "WHERE number = CAST(? AS INTEGER)", std::to_string(*number));
        if (found.empty())
            found = readRunRows(*m_read, "WHERE name = ?", which);
    }
    if (auto status = m_read->takeError(); !status)
        return status.error();
    if (found.empty())
        return noSuchRun(which);
    return std::move(found.front());
}

/// One above every number that was ever given, in the index, the folders and the bin.
std::int64_t WorkspaceStore::nextRunNumber()
{
    std::int64_t highest = 0;
    Statement statement(*m_write, "SELECT max((SELECT coalesce(max(number), 0) FROM runs), "
                                  "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM facts "
                                  "WHERE key = 'lastRun'))");
    if (statement.step())
        highest = statement.integer(0);
    std::error_code ec;
    for (const char* place : {"runs", "bin"}) {
        for (fs::directory_iterator it(m_folder / place, ec), end; !ec && it != end;
             it.increment(ec))
            highest = std::max(highest, numberInName(it->path().filename().string()));
    }
    return highest + 1;
}

Result<RunRecord> WorkspaceStore::createRun(RunRecord record)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    record.number = nextRunNumber();
    record.id = fmt::format("{:04}-{}", record.number, slugOf(record.name));
    if (record.name.empty())
        record.name = record.id;
    record.colour = static_cast<int>((record.number - 1) % kColours);
    if (record.createdAt == 0)
        record.createdAt = nowMilliseconds();
    const fs::path folder = runFolder(record.id);
    if (auto made = makePrivateFolder(folder / "checkpoints"); !made)
        return made.error();
    writeOwner(folder, false);
    auto written = writeRunFile(folder, record);
    if (written) {
        writeRunRow(*m_write, record);
        Statement(*m_write, "INSERT OR REPLACE INTO facts(key, value) VALUES('lastRun', ?)")
            .bind(std::to_string(record.number))
            .run();
        written = transaction.commit();
    }
    if (!written) {
        std::error_code ec;
        fs::remove_all(folder, ec);
        return written.error();
    }
    return record;
}

Result<void> WorkspaceStore::updateRun(const RunRecord& record)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    if (numberOfRun(*m_write, record.id) != record.number || record.number == 0) {
        if (m_write->failed())
            return transaction.commit();
        return noSuchRun(record.id);
    }
    if (auto written = writeRunFile(runFolder(record.id), record); !written)
        return written;
    writeRunRow(*m_write, record);
    return transaction.commit();
}

Result<void> WorkspaceStore::removeRun(const std::string& id)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    const std::int64_t number = numberOfRun(*m_write, id);
    if (number == 0) {
        if (m_write->failed())
            return transaction.commit();
        return noSuchRun(id);
    }
    const Owner owner = ownerOf(runFolder(id));
    if (owner.alive && owner.recording)
        return Error{ErrorCode::Busy, "the run is going on", id, "Stop it first"};
    removeRunRows(*m_write, number);
    auto moved = moveToBin(m_folder, runFolder(id), "run");
    if (!moved)
        return moved.error();
    auto done = transaction.commit();
    std::error_code ec;
    if (!done)
        fs::rename(*moved, runFolder(id), ec);
    return done;
}

std::vector<MetricPoint> WorkspaceStore::metric(const std::string& run,
                                                const std::string& name) const
{
    struct Source
    {
        const char* name;
        const char* sql;
    };
    // Evaluations keep no count of tokens of their own: it is that of the last step before them.
    static constexpr Source kSources[] = {
        {"loss", "SELECT step, loss, tokens, seconds, time FROM steps"},
        {"learningRate", "SELECT step, learning_rate, tokens, seconds, time FROM steps"},
        {"gradNorm", "SELECT step, grad_norm, tokens, seconds, time FROM steps"},
        {"tokensPerSecond", "SELECT step, tokens_per_second, tokens, seconds, time FROM steps"},
        {"epoch", "SELECT step, epoch, tokens, seconds, time FROM steps"},
        {"evalLoss",
         "SELECT step, loss, coalesce((SELECT tokens FROM steps s WHERE s.run = e.run AND "
         "s.step <= e.step ORDER BY s.step DESC LIMIT 1), 0), seconds, time FROM evaluations e"},
    };
    const auto* source = std::find_if(std::begin(kSources), std::end(kSources),
                                      [&](const Source& each) { return name == each.name; });
    std::vector<MetricPoint> points;
    if (source == std::end(kSources))
        return points;
    const std::lock_guard lock(m_readMutex);
    Statement statement(*m_read, fmt::format("{} WHERE run = ? ORDER BY step", source->sql));
    statement.bind(numberOfRun(*m_read, run));
    while (statement.step())
        points.push_back({statement.integer(0), statement.real(1), statement.real(2),
                          statement.real(3), statement.integer(4)});
    logReadError();
    return points;
}

std::vector<jobs::EvalDone> WorkspaceStore::evaluations(const std::string& run) const
{
    const std::lock_guard lock(m_readMutex);
    std::vector<jobs::EvalDone> list;
    Statement statement(*m_read,
                        "SELECT step, loss, low, high, rows, trained_tokens, best, seconds, time "
                        "FROM evaluations WHERE run = ? ORDER BY step");
    statement.bind(numberOfRun(*m_read, run));
    while (statement.step())
        list.push_back({statement.integer(0), statement.real(1), statement.real(2),
                        statement.real(3), statement.integer(4), statement.integer(5),
                        statement.integer(6) != 0, statement.real(7), statement.integer(8)});
    logReadError();
    return list;
}

std::vector<jobs::SampleDone> WorkspaceStore::samples(const std::string& run) const
{
    const std::lock_guard lock(m_readMutex);
    std::vector<jobs::SampleDone> list;
    Statement statement(
        *m_read, "SELECT step, prompt, answer FROM samples WHERE run = ? ORDER BY step, prompt");
    statement.bind(numberOfRun(*m_read, run));
    while (statement.step())
        list.push_back({statement.integer(0), statement.integer(1), statement.text(2)});
    logReadError();
    return list;
}

std::vector<CheckpointRecord> WorkspaceStore::checkpoints(const std::string& run) const
{
    auto list = verifiedCheckpoints(runFolder(run));
    const std::lock_guard lock(m_readMutex);
    Statement statement(*m_read, "SELECT step FROM checkpoints WHERE run = ? AND best = 1 "
                                 "ORDER BY step DESC LIMIT 1");
    const std::int64_t best =
        statement.bind(numberOfRun(*m_read, run)).step() ? statement.integer(0) : -1;
    for (auto& checkpoint : list)
        checkpoint.best = checkpoint.step == best;
    logReadError();
    return list;
}

} // namespace fettle::store

// The index of a workspace from its folders, whole or in part.

#include "base/clock.h"
#include "base/log.h"
#include "store/places.h"
#include "store/workspace_store.h"

#include <fmt/format.h>
#include <set>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

std::set<std::string> runFolders(const fs::path& workspace)
{
    std::set<std::string> names;
    std::error_code ec;
    for (fs::directory_iterator it(workspace / "runs", ec), end; !ec && it != end;
         it.increment(ec)) {
        std::error_code each;
        if (it->is_directory(each) && fs::exists(it->path() / "run.json", each))
            names.insert(it->path().filename().string());
    }
    return names;
}

/// Writes records for model folders that have none, and names what cannot be read.
void settleModels(const fs::path& workspace, std::vector<std::string>& damaged)
{
    std::error_code ec;
    for (fs::directory_iterator it(workspace / "models", ec), end; !ec && it != end;
         it.increment(ec)) {
        const fs::path path = it->path();
        std::error_code each;
        if (path.extension() == ".json" && it->is_regular_file(each)) {
            if (auto record = readModelFile(workspace, path); !record)
                damaged.push_back((fs::path("models") / path.filename()).string());
            continue;
        }
        if (!it->is_directory(each) || fs::exists(path.string() + ".json", each) ||
            !checkName(path.filename().string(), "model"))
            continue;
        auto record = describeModelFolder(path);
        if (record)
            record->addedAt = nowMilliseconds();
        if (!record || !writeModelFile(workspace, *record))
            damaged.push_back((fs::path("models") / path.filename()).string());
    }
}

void checkDatasets(const fs::path& workspace, std::vector<std::string>& damaged)
{
    std::error_code ec;
    for (fs::directory_iterator it(workspace / "datasets", ec), end; !ec && it != end;
         it.increment(ec)) {
        std::error_code each;
        if (it->is_directory(each) && !Dataset::open(it->path() / "rows.db"))
            damaged.push_back((fs::path("datasets") / it->path().filename()).string());
    }
}

/// Indexes one folder; a damaged one is named and what the index had of it stays out.
void indexOrName(Database& database, const fs::path& workspace, const std::string& id,
                 std::vector<std::string>& damaged)
{
    if (auto record = indexRun(database, workspace / "runs" / id); !record) {
        logWarning("store", "the folder of a run cannot be read: {}", record.error().what);
        damaged.push_back((fs::path("runs") / id).string());
    }
}

} // namespace

Result<std::vector<std::string>> WorkspaceStore::rebuildIndex()
{
    std::vector<std::string> damaged;
    {
        const std::lock_guard lock(m_writeMutex);
        Transaction transaction(*m_write);
        for (const char* table : {"runs", "steps", "evaluations", "samples", "checkpoints"})
            m_write->exec(fmt::format("DELETE FROM {}", table).c_str());
        for (const auto& id : runFolders(m_folder))
            indexOrName(*m_write, m_folder, id, damaged);
        if (auto done = transaction.commit(); !done)
            return done.error();
    }
    settleModels(m_folder, damaged);
    checkDatasets(m_folder, damaged);
    return damaged;
}

Result<std::vector<std::string>> WorkspaceStore::reconcile()
{
    std::vector<std::string> damaged;
    const std::lock_guard lock(m_writeMutex);
    std::set<std::string> known;
    Statement statement(*m_write, "SELECT id FROM runs");
    while (statement.step())
        known.insert(statement.text(0));
    if (auto status = m_write->takeError(); !status)
        return status.error();
    const auto folders = runFolders(m_folder);
    if (known == folders)
        return damaged;
    Transaction transaction(*m_write);
    for (const auto& id : known) {
        if (!folders.contains(id))
            removeRunRows(*m_write, numberOfRun(*m_write, id));
    }
    for (const auto& id : folders) {
        if (!known.contains(id))
            indexOrName(*m_write, m_folder, id, damaged);
    }
    if (auto done = transaction.commit(); !done)
        return done.error();
    return damaged;
}

Result<int> WorkspaceStore::markInterrupted()
{
    const std::lock_guard lock(m_writeMutex);
    int count = 0;
    const auto open = readRunRows(*m_write, "WHERE status IN ('waiting', 'running', 'paused')", "");
    if (auto status = m_write->takeError(); !status)
        return status.error();
    for (const auto& run : open) {
        const fs::path folder = runFolder(run.id);
        if (ownerOf(folder).alive)
            continue;
        Transaction transaction(*m_write);
        // The last second of events may not have reached the index; the folder has them.
        auto record = indexRun(*m_write, folder);
        if (!record) {
            logWarning("store", "the folder of a run cannot be read: {}", record.error().what);
            continue;
        }
        const bool ended = record->status == RunStatus::Finished ||
                           record->status == RunStatus::Stopped ||
                           record->status == RunStatus::Failed;
        if (!ended) {
            record->status = RunStatus::Interrupted;
            record->message =
                record->step > 0
                    ? fmt::format("the program ended at step {} of the run", record->step)
                    : "the program ended before the first step of the run";
            ++count;
        }
        if (record->endedAt == 0)
            record->endedAt = nowMilliseconds();
        if (auto written = writeRunFile(folder, *record); !written)
            return written.error();
        writeRunRow(*m_write, *record);
        if (auto done = transaction.commit(); !done)
            return done.error();
        removeOwner(folder);
    }
    return count;
}

} // namespace fettle::store

#pragma once

// Parts of the workspace that the files workspace*.cpp, run_recorder.cpp and bin.cpp share.

#include "store/run_files.h"
#include "store/sqlite.h"
#include "store/workspace.h"

#include <map>
#include <mutex>

namespace fettle::store {

inline constexpr int kWorkspaceFormat = 1;

std::filesystem::path databaseOf(const std::filesystem::path& workspace);
void makeWorkspaceSchema(Database& database);

/// Writes the row of a run: all of the record, or only what its events change.
void writeRunRow(Database& database, const RunRecord& record);
void writeProgress(Database& database, const RunRecord& record, bool withStatus);
std::vector<RunRecord> readRunRows(Database& database, const std::string& condition,
                                   const std::string& value);
/// The run's number behind its id, or 0.
std::int64_t numberOfRun(Database& database, const std::string& id);
void removeRunRows(Database& database, std::int64_t number);

/// Puts one event into the tables of metrics, evaluations, samples and checkpoints.
class MetricWriter
{
public:
    explicit MetricWriter(Database& database);
    void write(std::int64_t run, const jobs::Event& event);

private:
    void forgetAfter(std::int64_t run, std::int64_t step);

    Database& m_database;
    Statement m_step, m_eval, m_sample, m_checkpoint;
};

/// Reads run.json and events.jsonl of a folder into the database. Errors: what is wrong with the
/// folder.
Result<RunRecord> indexRun(Database& database, const std::filesystem::path& runFolder);

/// Moves a folder into the bin under a name that says when and what.
Result<std::filesystem::path> moveToBin(const std::filesystem::path& workspace,
                                        const std::filesystem::path& folder,
                                        const std::string& kind);
/// Removes what has been in the bin for 30 days.
void emptyOldBin(const std::filesystem::path& workspace, std::int64_t now);

// Records of models: models/<name>.json.
Result<ModelRecord> readModelFile(const std::filesystem::path& workspace,
                                  const std::filesystem::path& file);
Result<void> writeModelFile(const std::filesystem::path& workspace, const ModelRecord& record);
/// A record for a model folder that was put there by hand. Errors: it is no model folder.
Result<ModelRecord> describeModelFolder(const std::filesystem::path& folder);

} // namespace fettle::store

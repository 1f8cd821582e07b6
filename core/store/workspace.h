#pragma once

#include "jobs/event.h"
#include "store/dataset.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fettle::store {

struct ModelRecord
{
    std::string name; ///< unique in the workspace
    std::filesystem::path
        folder; ///< Hugging Face folder (absolute; stored relative when inside the workspace)
    std::string family; ///< "llama"
    std::int64_t parameters = 0;
    std::int64_t contextLength = 0;
    std::uint64_t bytes = 0;    ///< on disk
    std::string licence;        ///< as the files state; may be empty
    std::string digest;         ///< SHA-256 over config and weight files' SHA-256
    std::int64_t addedAt = 0;   ///< ms since 1970
    Json info = Json::object(); ///< origin, notes of the import
};

struct DatasetRecord
{
    std::string name;
    std::filesystem::path file;
    std::string kind; ///< data::toString(RecordKind) of the first row
    DatasetCounts counts;
    std::int64_t changedAt = 0;
};

enum class RunStatus
{
    Waiting,
    Running,
    Paused,
    Finished,
    Stopped,
    Failed,
    Interrupted
};
std::string toString(RunStatus status);
Result<RunStatus> runStatusFrom(const std::string& name);

struct RunRecord
{
    std::string id;          ///< folder name under runs/: "0012-letters"
    std::int64_t number = 0; ///< 12
    std::string name;
    RunStatus status = RunStatus::Waiting;
    std::string model, modelDigest;
    std::string dataset, datasetDigest;
    int datasetVersion = 0;
    OrderedJson settings; ///< every value, defaults included
    std::uint64_t seed = 0;
    std::int64_t createdAt = 0, endedAt = 0;
    std::int64_t step = 0, totalSteps = 0;
    std::optional<double> loss, bestEvalLoss;
    std::int64_t bestStep = 0;
    std::string message;         ///< why it failed or stopped, one sentence
    int colour = 0;              ///< 0 .. 7, for life
    Json extra = Json::object(); ///< prompts, versions, device, evaluations summary
};

struct MetricPoint
{
    std::int64_t step = 0;
    double value = 0;   ///< NaN where the number was not finite
    double tokens = 0;  ///< real tokens read by then
    double seconds = 0; ///< training time by then
    std::int64_t time = 0;
};

struct CheckpointRecord
{
    std::int64_t step = 0;
    std::string folder;  ///< inside the run folder
    bool best = false;   ///< the last one that CheckpointSaved called best
    bool pinned = false; ///< a file named PINNED lies in it
};

/// One folder with everything; `workspace.db` is an index that can be rebuilt from the folders.
/// All functions may be called from any thread, and several processes may have it open.
class Workspace
{
public:
    /// Opens or makes a workspace. Errors: Io, Busy, InvalidInput (network file system, damaged and
    /// not repairable, made by a newer version).
    static Result<std::shared_ptr<Workspace>> open(const std::filesystem::path& folder);
    virtual ~Workspace() = default;

    virtual const std::filesystem::path& folder() const = 0;

    virtual std::vector<ModelRecord> models() const = 0;
    virtual Result<ModelRecord> model(const std::string& name) const = 0;
    virtual Result<void> addModel(const ModelRecord& record) = 0;
    virtual Result<void>
    removeModel(const std::string& name) = 0; ///< deletes its folder when inside the workspace
    /// Where a model of this name is to be written: models/<name>.
    virtual std::filesystem::path modelFolder(const std::string& name) const = 0;

    virtual std::vector<DatasetRecord> datasets() const = 0;
    virtual Result<std::shared_ptr<Dataset>> dataset(const std::string& name) = 0;
    virtual Result<std::shared_ptr<Dataset>> createDataset(const std::string& name) = 0;
    virtual Result<void> removeDataset(const std::string& name) = 0; ///< into the bin

    virtual std::vector<RunRecord> runs() const = 0; ///< newest first
    /// By id, number, or name; "last" is the newest.
    virtual Result<RunRecord> run(const std::string& which) const = 0;
    /// Makes the folder, assigns id, number and colour, writes run.json and the row.
    virtual Result<RunRecord> createRun(RunRecord record) = 0;
    virtual Result<void> updateRun(const RunRecord& record) = 0; ///< run.json and the row
    virtual Result<void> removeRun(const std::string& id) = 0;   ///< into the bin
    virtual std::filesystem::path runFolder(const std::string& id) const = 0;

    /// Names as in events: "loss", "evalLoss", "learningRate", "gradNorm", "tokensPerSecond".
    virtual std::vector<MetricPoint> metric(const std::string& run,
                                            const std::string& name) const = 0;
    virtual std::vector<jobs::EvalDone> evaluations(const std::string& run) const = 0;
    virtual std::vector<jobs::SampleDone> samples(const std::string& run) const = 0;
    /// Folders checkpoints/step-N whose MANIFEST.json ({"files": [{"name", "size", "sha256"}]})
    /// names files that are there in the right sizes, by step. Checksums are for the reader to
    /// verify.
    virtual std::vector<CheckpointRecord> checkpoints(const std::string& run) const = 0;

    /// Rebuilds the index from the folders; damaged folders are named in the result and left alone.
    virtual Result<std::vector<std::string>> rebuildIndex() = 0;
    /// Runs that were waiting, running or paused when their process died are Interrupted now, with
    /// all that their folders know. Gives how many. Runs of living processes are left alone.
    virtual Result<int> markInterrupted() = 0;

    /// Small preferences of the workspace (last place, recent choices).
    virtual Json preference(const std::string& key) const = 0;
    virtual void setPreference(const std::string& key, const Json& value) = 0;
};

/// Writes what a run does: appends each event to runs/<id>/events.jsonl first, then updates the
/// database (metric rows in batches, at most one second late) and the run's row. Resumed removes
/// later rows in one transaction. Opening it makes the run Running, an end event sets the state
/// that belongs to it. TextPiece is not kept. Used by one thread. Errors of open(): NotFound; Busy
/// when another living process records this run. Errors of record(): DiskFull, Io; what was
/// recorded before is safe, and recording can go on when there is room again.
class RunRecorder
{
public:
    static Result<std::unique_ptr<RunRecorder>> open(std::shared_ptr<Workspace> workspace,
                                                     const std::string& runId);
    virtual ~RunRecorder() = default; ///< flushes
    virtual Result<void> record(const jobs::Event& event) = 0;
    /// What was recorded is on the disk and survives a power failure.
    virtual Result<void> flush() = 0;
};

} // namespace fettle::store

#pragma once

#include "store/workspace_parts.h"

namespace fettle::store {

/// The one kind of Workspace: two connections to its index.
class WorkspaceStore final : public Workspace
{
public:
    WorkspaceStore(std::filesystem::path folder, std::unique_ptr<Database> write,
                   std::unique_ptr<Database> read)
        : m_folder(std::move(folder))
        , m_write(std::move(write))
        , m_read(std::move(read))
    {
    }

    const std::filesystem::path& folder() const override { return m_folder; }
    std::vector<ModelRecord> models() const override;
    Result<ModelRecord> model(const std::string& name) const override;
    Result<void> addModel(const ModelRecord& record) override;
    Result<void> removeModel(const std::string& name) override;
    std::filesystem::path modelFolder(const std::string& name) const override;
    std::vector<DatasetRecord> datasets() const override;
    Result<std::shared_ptr<Dataset>> dataset(const std::string& name) override;
    Result<std::shared_ptr<Dataset>> createDataset(const std::string& name) override;
    Result<void> removeDataset(const std::string& name) override;
    std::vector<RunRecord> runs() const override;
    Result<RunRecord> run(const std::string& which) const override;
    Result<RunRecord> createRun(RunRecord record) override;
    Result<void> updateRun(const RunRecord& record) override;
    Result<void> removeRun(const std::string& id) override;
    std::filesystem::path runFolder(const std::string& id) const override;
    std::vector<MetricPoint> metric(const std::string& run, const std::string& name) const override;
    std::vector<jobs::EvalDone> evaluations(const std::string& run) const override;
    std::vector<jobs::SampleDone> samples(const std::string& run) const override;
    std::vector<CheckpointRecord> checkpoints(const std::string& run) const override;
    Result<std::vector<std::string>> rebuildIndex() override;
    Result<int> markInterrupted() override;
    Json preference(const std::string& key) const override;
    void setPreference(const std::string& key, const Json& value) override;

    /// Brings the index in step with the run folders that were added or removed meanwhile. Gives
    /// the damaged ones.
    Result<std::vector<std::string>> reconcile();

private:
    std::filesystem::path datasetFile(const std::string& name) const;
    Result<std::shared_ptr<Dataset>> openDataset(const std::string& name) const;
    Result<DatasetRecord> describeDataset(const std::string& name) const;
    std::int64_t nextRunNumber();
    void logReadError() const;

    const std::filesystem::path m_folder;
    std::mutex m_writeMutex;
    std::unique_ptr<Database> m_write; // guarded by m_writeMutex
    mutable std::mutex m_readMutex;
    std::unique_ptr<Database> m_read; // guarded by m_readMutex
    mutable std::mutex m_datasetMutex;
    // One object per open dataset, so that its users share it; both guarded by m_datasetMutex.
    mutable std::map<std::string, std::weak_ptr<Dataset>> m_datasets;
    mutable std::map<std::string, DatasetRecord> m_described;
};

} // namespace fettle::store

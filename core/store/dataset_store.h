#pragma once

#include "store/dataset.h"
#include "store/dataset_parts.h"

#include <mutex>

namespace fettle::store {

/// The one kind of Dataset: two connections to its database.
class DatasetStore final : public Dataset
{
public:
    DatasetStore(std::unique_ptr<Database> write, std::unique_ptr<Database> read, std::string name)
        : m_name(std::move(name))
        , m_write(std::move(write))
        , m_read(std::move(read))
    {
    }

    const std::string& name() const override { return m_name; }
    DatasetCounts counts() const override;
    std::int64_t count(const RowFilter& filter) const override;
    std::vector<DatasetRow> rows(const RowFilter& filter, std::int64_t offset,
                                 std::int64_t limit) const override;
    Result<DatasetRow> row(std::int64_t id) const override;
    Result<data::ImportReport> import(const std::vector<std::filesystem::path>& files,
                                      const data::ImportOptions& options,
                                      const data::SplitPlan& plan,
                                      const data::ImportProgress& progress,
                                      std::stop_token stop) override;
    std::vector<data::BadRow> badRows() const override;
    Json importInfo() const override;
    Result<std::int64_t> add(const data::Example& example, data::Split split) override;
    Result<void> update(std::int64_t id, const data::Example& example) override;
    Result<void> drop(const std::vector<std::int64_t>& ids) override;
    Result<void> restore(const std::vector<std::int64_t>& ids) override;
    Result<void> setSplit(const std::vector<std::int64_t>& ids, data::Split split) override;
    Result<void> splitAgain(const data::SplitPlan& plan) override;
    std::string undoName() const override;
    std::string redoName() const override;
    Result<void> undo() override { return step(true); }
    Result<void> redo() override { return step(false); }
    Result<DatasetVersion> snapshot() override;
    std::vector<DatasetVersion> versions() const override;
    Result<std::vector<DatasetRow>> rowsOf(int version,
                                           std::optional<data::Split> split) const override;

private:
    /// Changes some rows in one action; `change` gives the row's next moment.
    template<class Change>
    Result<void> changeRows(const std::vector<std::int64_t>& ids, const std::string& verb,
                            const std::string& suffix, Change change);
    Result<void> step(bool undo);
    std::string actionName(const char* sql) const;
    /// Row ids behind a filter, read again when anybody has changed the database. m_readMutex is
    /// held.
    const std::vector<std::int64_t>& idsOf(const RowFilter& filter) const;
    void forgetIfChanged() const;
    void logReadError() const;

    const std::string m_name;
    std::mutex m_writeMutex;
    std::unique_ptr<Database> m_write; // guarded by m_writeMutex
    // A second connection, so that lists can be read while an import writes.
    mutable std::mutex m_readMutex;
    std::unique_ptr<Database> m_read; // guarded by m_readMutex, like the caches
    mutable std::int64_t m_seenVersion = -1;
    mutable std::optional<DatasetCounts> m_counts;
    mutable std::map<std::string, std::vector<std::int64_t>> m_ids;
};

/// For ids that the dataset does not have.
Error noSuchRow(std::int64_t id);

} // namespace fettle::store

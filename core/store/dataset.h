#pragma once

#include "data/example.h"
#include "data/import.h"
#include "data/splits.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>

namespace fettle::store {

struct DatasetRow
{
    std::int64_t id = 0; ///< stable for the life of the dataset
    data::Example example;
    data::Split split = data::Split::Train;
    bool leftOut = false; ///< dropped by a person; undo brings it back
    std::string duplicateKey, questionKey;
};

struct RowFilter
{
    std::optional<data::Split> split;
    bool leftOut = false; ///< true: only dropped rows; false: only rows in use
    std::string text;     ///< all words must occur (full-text search); empty: all
    std::string health;   ///< "", "doubled", "leaks", "empty"
};

struct DatasetCounts
{
    std::int64_t rows = 0, train = 0, validation = 0, test = 0, leftOut = 0, badRows = 0;
    std::int64_t doubled = 0; ///< rows in use that equal an earlier one: dropping them ends it
    std::int64_t leaks = 0;   ///< checking and test rows whose question is asked in training too
    std::int64_t empty = 0;   ///< rows without question or answer
};

/// An immutable snapshot: what a run was trained on.
struct DatasetVersion
{
    int number = 0;
    std::string digest;    ///< SHA-256 of all rows in use and their splits
    std::int64_t time = 0; ///< ms since 1970
    DatasetCounts counts;
};

/// Rows of one dataset in their own SQLite database: transactional edits with undo, full-text
/// search. All functions may be called from any thread; each edit is durable when it returns.
class Dataset
{
public:
    /// Errors: NotFound, Busy, Io, InvalidInput when the file is damaged.
    static Result<std::shared_ptr<Dataset>> open(const std::filesystem::path& file);
    static Result<std::shared_ptr<Dataset>> create(const std::filesystem::path& file,
                                                   const std::string& name);
    virtual ~Dataset() = default;

    virtual const std::string& name() const = 0;
    virtual DatasetCounts counts() const = 0;
    virtual std::int64_t count(const RowFilter& filter) const = 0;
    virtual std::vector<DatasetRow> rows(const RowFilter& filter, std::int64_t offset,
                                         std::int64_t limit) const = 0;
    virtual Result<DatasetRow> row(std::int64_t id) const = 0;

    /// Appends rows in one transaction (all or none); splits that are not stated are assigned by
    /// the plan.
    virtual Result<data::ImportReport> import(const std::vector<std::filesystem::path>& files,
                                              const data::ImportOptions& options,
                                              const data::SplitPlan& plan,
                                              const data::ImportProgress& progress,
                                              std::stop_token stop) = 0;
    virtual std::vector<data::BadRow> badRows() const = 0;
    /// Facts of the last import: form, roles, encoding, instruction (which rows with classes do not
    /// carry themselves), counts, split plan; "files" of all imports with their SHA-256.
    virtual Json importInfo() const = 0;

    // Edits. Each is one entry of the undo stack, unless it changes nothing.
    virtual Result<std::int64_t> add(const data::Example& example, data::Split split) = 0;
    virtual Result<void> update(std::int64_t id, const data::Example& example) = 0;
    virtual Result<void> drop(const std::vector<std::int64_t>& ids) = 0;
    virtual Result<void> restore(const std::vector<std::int64_t>& ids) = 0;
    virtual Result<void> setSplit(const std::vector<std::int64_t>& ids, data::Split split) = 0;
    virtual Result<void> splitAgain(const data::SplitPlan& plan) = 0;
    /// Names of what undo and redo would do: "drop 10 rows"; empty when there is nothing.
    virtual std::string undoName() const = 0;
    virtual std::string redoName() const = 0;
    virtual Result<void> undo() = 0;
    virtual Result<void> redo() = 0;

    /// Freezes the present state; gives the existing version when nothing has changed since.
    virtual Result<DatasetVersion> snapshot() = 0;
    virtual std::vector<DatasetVersion> versions() const = 0;
    /// Rows of a version in row order. Errors: NotFound.
    virtual Result<std::vector<DatasetRow>> rowsOf(int version,
                                                   std::optional<data::Split> split) const = 0;
};

} // namespace fettle::store

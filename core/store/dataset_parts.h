#pragma once

// Parts of a dataset's database that the files dataset*.cpp share. Functions work on a connection
// that the caller holds; their errors stay in it (see Database) unless they give a Result.

#include "store/dataset.h"
#include "store/sqlite.h"

#include <functional>

namespace fettle::store {

inline constexpr int kDatasetFormat = 1;

/// Whether a row is there, as kept in rows.state.
enum class RowState : int
{
    InUse = 0,
    LeftOut = 1,
    Absent = 2 ///< its making was undone; it goes for good when the next edit ends the redo stack
};

/// What a row is at one moment: everything that undo brings back.
struct RowMoment
{
    std::int64_t content = 0;
    int split = 0;
    int state = 0;
    bool operator==(const RowMoment&) const = default;
};

struct RowChange
{
    std::int64_t row = 0;
    RowMoment before, after;
};

void makeSchema(Database& database, const std::string& name);
std::string fact(Database& database, const std::string& key);
void setFact(Database& database, const std::string& key, const std::string& value);

std::string bytesOfHex(const std::string& hex);
std::string hexOfBytes(const std::string& bytes);

/// Statements for making rows, prepared once for many.
class RowWriter
{
public:
    explicit RowWriter(Database& database);
    /// Keeps an example and gives its id; contents are never changed afterwards.
    std::int64_t addContent(const data::Example& example);
    std::int64_t addRow(std::int64_t content, bool empty, int split, RowState state);
    void index(std::int64_t row, const data::Example& example);
    void unindex(std::int64_t row, const data::Example& example);

private:
    Database& m_database;
    Statement m_content, m_row, m_index, m_unindex;
};

std::optional<RowMoment> momentOf(Database& database, std::int64_t row);
data::Example exampleOf(Database& database, std::int64_t content);

/// Ends the redo stack, begins an entry of the undo stack and gives its number.
std::int64_t beginAction(Database& database, const std::string& name);
/// Carries out changes and writes them to the journal.
void applyChanges(Database& database, std::int64_t action, const std::vector<RowChange>& changes);
/// Takes back the newest entry or carries it out again. Errors: NotFound when there is none.
Result<void> stepJournal(Database& database, bool undo);

/// Sets rows.doubled and rows.leak for everything, or for the rows that share a key with one of the
/// contents.
void refreshHealth(Database& database);
void refreshHealth(Database& database, const std::vector<std::int64_t>& contents);

DatasetCounts readCounts(Database& database);
/// Ids of the rows that the filter lets through, in row order.
std::vector<std::int64_t> readIds(Database& database, const RowFilter& filter);
DatasetRow readRow(const Statement& statement);
/// What the select behind readRow must name.
inline constexpr const char* kRowColumns =
    "r.id, r.split, r.state, c.example, c.duplicate, c.question";

/// The import inside the caller's transaction.
Result<data::ImportReport> importInto(Database& database,
                                      const std::vector<std::filesystem::path>& files,
                                      const data::ImportOptions& options,
                                      const data::SplitPlan& plan,
                                      const data::ImportProgress& progress, std::stop_token stop);
/// SHA-256, size and name of each file, and whether the disk has room for the rows.
Result<Json> describeFiles(const std::vector<std::filesystem::path>& files, std::stop_token stop);

Result<DatasetVersion> makeVersion(Database& database);
std::vector<DatasetVersion> readVersions(Database& database);

} // namespace fettle::store

#include "base/log.h"
#include "store/dataset_store.h"
#include "store/places.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::store {

namespace fs = std::filesystem;

Error noSuchRow(std::int64_t id)
{
    return {ErrorCode::NotFound, "there is no such row", fmt::format("row {}", id),
            "Read the list again"};
}

void DatasetStore::forgetIfChanged() const
{
    const std::int64_t version = m_read->dataVersion();
    if (version == m_seenVersion)
        return;
    m_seenVersion = version;
    m_counts.reset();
    m_ids.clear();
}

void DatasetStore::logReadError() const
{
    if (auto status = m_read->takeError(); !status)
        logWarning("store", "reading the dataset failed: {}", status.error().what);
}

const std::vector<std::int64_t>& DatasetStore::idsOf(const RowFilter& filter) const
{
    constexpr std::size_t kKeptLists = 8;
    forgetIfChanged();
    const std::string key =
        fmt::format("{}/{}/{}/{}", filter.split ? static_cast<int>(*filter.split) : -1,
                    filter.leftOut, filter.health, filter.text);
    const auto found = m_ids.find(key);
    if (found != m_ids.end())
        return found->second;
    if (m_ids.size() >= kKeptLists)
        m_ids.clear();
    return m_ids[key] = readIds(*m_read, filter);
}

DatasetCounts DatasetStore::counts() const
{
    const std::lock_guard lock(m_readMutex);
    forgetIfChanged();
    if (!m_counts)
        m_counts = readCounts(*m_read);
    logReadError();
    return *m_counts;
}

std::int64_t DatasetStore::count(const RowFilter& filter) const
{
    const std::lock_guard lock(m_readMutex);
    const auto size = static_cast<std::int64_t>(idsOf(filter).size());
    logReadError();
    return size;
}

std::vector<DatasetRow> DatasetStore::rows(const RowFilter& filter, std::int64_t offset,
                                           std::int64_t limit) const
{
    const std::lock_guard lock(m_readMutex);
    const auto& ids = idsOf(filter);
    const auto size = static_cast<std::int64_t>(ids.size());
    const std::int64_t first = std::clamp<std::int64_t>(offset, 0, size);
    const std::int64_t count = std::clamp<std::int64_t>(limit, 0, size - first);
    std::vector<DatasetRow> result;
    result.reserve(static_cast<std::size_t>(count));
    Statement statement(*m_read,
                        fmt::format("SELECT {} FROM rows r JOIN contents c ON c.id = r.content "
                                    "WHERE r.id = ?",
                                    kRowColumns));
    for (std::int64_t i = first; i < first + count; ++i) {
        if (statement.bind(ids[static_cast<std::size_t>(i)]).step())
            result.push_back(readRow(statement));
    }
    logReadError();
    return result;
}

Result<DatasetRow> DatasetStore::row(std::int64_t id) const
{
    const std::lock_guard lock(m_readMutex);
    Statement statement(*m_read,
                        fmt::format("SELECT {} FROM rows r JOIN contents c ON c.id = r.content "
                                    "WHERE r.id = ? AND r.state <> 2",
                                    kRowColumns));
    if (statement.bind(id).step())
        return readRow(statement);
    if (auto status = m_read->takeError(); !status)
        return status.error();
    return noSuchRow(id);
}

std::vector<data::BadRow> DatasetStore::badRows() const
{
    const std::lock_guard lock(m_readMutex);
    std::vector<data::BadRow> rows;
    Statement statement(*m_read, "SELECT file, row, reason FROM bad_rows WHERE action NOT IN "
                                 "(SELECT id FROM actions WHERE undone = 1) ORDER BY rowid");
    while (statement.step())
        rows.push_back({statement.text(0), statement.integer(1), statement.text(2)});
    logReadError();
    return rows;
}

Json DatasetStore::importInfo() const
{
    const std::lock_guard lock(m_readMutex);
    Json info = Json::object(), files = Json::array();
    Statement statement(*m_read, "SELECT info FROM imports WHERE action NOT IN "
                                 "(SELECT id FROM actions WHERE undone = 1) ORDER BY action");
    while (statement.step()) {
        if (auto json = parseJson(statement.text(0), "import")) {
            files.insert(files.end(), (*json)["files"].begin(), (*json)["files"].end());
            info = std::move(*json);
        }
    }
    if (!files.empty())
        info["files"] = files;
    logReadError();
    return info;
}

std::string DatasetStore::actionName(const char* sql) const
{
    const std::lock_guard lock(m_readMutex);
    Statement statement(*m_read, sql);
    const std::string name = statement.step() ? statement.text(0) : std::string();
    logReadError();
    return name;
}

std::string DatasetStore::undoName() const
{
    return actionName("SELECT name FROM actions WHERE undone = 0 ORDER BY id DESC LIMIT 1");
}

std::string DatasetStore::redoName() const
{
    return actionName("SELECT name FROM actions WHERE undone = 1 ORDER BY id LIMIT 1");
}

std::vector<DatasetVersion> DatasetStore::versions() const
{
    const std::lock_guard lock(m_readMutex);
    auto versions = readVersions(*m_read);
    logReadError();
    return versions;
}

Result<std::vector<DatasetRow>> DatasetStore::rowsOf(int version,
                                                     std::optional<data::Split> split) const
{
    const std::lock_guard lock(m_readMutex);
    Statement known(*m_read, "SELECT 1 FROM versions WHERE number = ?");
    if (!known.bind(version).step()) {
        if (auto status = m_read->takeError(); !status)
            return status.error();
        return Error{ErrorCode::NotFound, "the dataset has no such version",
                     fmt::format("{}, version {}", m_name, version), "Choose one of its versions"};
    }
    std::vector<DatasetRow> rows;
    Statement statement(*m_read,
                        "SELECT v.row, v.split, 0, c.example, c.duplicate, c.question "
                        "FROM version_rows v JOIN contents c ON c.id = v.content "
                        "WHERE v.version = ?1 AND (?2 < 0 OR v.split = ?2) ORDER BY v.row");
    statement.bind(version, split ? static_cast<int>(*split) : -1);
    while (statement.step())
        rows.push_back(readRow(statement));
    if (auto status = m_read->takeError(); !status)
        return status.error();
    return rows;
}

namespace {

Result<std::shared_ptr<Dataset>> connect(std::unique_ptr<Database> write, const fs::path& file)
{
    auto read = Database::open(file, Durability::Full);
    if (!read)
        return read.error();
    std::string name = fact(*write, "name");
    if (auto status = write->takeError(); !status)
        return status.error();
    return std::shared_ptr<Dataset>(
        std::make_shared<DatasetStore>(std::move(write), std::move(*read), std::move(name)));
}

} // namespace

Result<std::shared_ptr<Dataset>> Dataset::create(const fs::path& file, const std::string& name)
{
    std::error_code ec;
    if (fs::exists(file, ec))
        return Error{ErrorCode::InvalidInput, "there is a dataset of this name already", name,
                     "Choose another name"};
    if (auto local = refuseNetworkFolder(file.parent_path()); !local)
        return local.error();
    auto database = Database::open(file, Durability::Full, true);
    if (!database)
        return database.error();
    Transaction transaction(**database);
    makeSchema(**database, name);
    if (auto done = transaction.commit(); !done)
        return done.error();
    return connect(std::move(*database), file);
}

Result<std::shared_ptr<Dataset>> Dataset::open(const fs::path& file)
{
    if (auto local = refuseNetworkFolder(file.parent_path()); !local)
        return local.error();
    const bool unclean = wasLeftOpen(file);
    auto database = Database::open(file, Durability::Full);
    if (!database)
        return database.error();
    if (unclean) {
        if (auto sound = (*database)->quickCheck(); !sound)
            return sound.error();
    }
    const std::int64_t format = (*database)->userVersion();
    if (auto status = (*database)->takeError(); !status)
        return status.error();
    if (format > kDatasetFormat)
        return Error{ErrorCode::InvalidInput,
                     "this dataset was made by a newer version of the program",
                     file.filename().string(), "Open it with that version"};
    if (format != kDatasetFormat)
        return Error{ErrorCode::InvalidInput, "this is not a dataset of this program",
                     file.filename().string(), "Choose another file"};
    return connect(std::move(*database), file);
}

} // namespace fettle::store

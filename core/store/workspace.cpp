#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/places.h"
#include "store/workspace_store.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kDay = std::int64_t{24} * 60 * 60 * 1000;

bool hasPlaces(const fs::path& folder)
{
    std::error_code ec;
    return fs::is_directory(folder / "runs", ec) || fs::is_directory(folder / "datasets", ec) ||
           fs::is_directory(folder / "models", ec);
}

/// A workspace may be made in an empty folder only, so that nobody's home fills with ours.
Result<void> checkFolder(const fs::path& folder)
{
    std::error_code ec;
    if (!fs::exists(folder, ec))
        return {};
    if (!fs::is_directory(folder, ec))
        return Error{ErrorCode::InvalidInput, "this is a file, not a folder", folder.string(),
                     "Choose a folder for the workspace"};
    if (fs::exists(databaseOf(folder), ec) || hasPlaces(folder) || fs::is_empty(folder, ec))
        return {};
    return Error{ErrorCode::InvalidInput, "this folder holds other things and no workspace",
                 folder.string(), "Choose an empty folder or a workspace"};
}

/// Programs open a workspace one after the other, so that none sees one that is half made. Whoever
/// waits too long goes on without its turn: the one before it may hang.
class OpeningTurn
{
public:
    explicit OpeningTurn(const fs::path& folder)
        : m_folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    {
        for (int i = 0; i < 600 && m_folder >= 0 && ::flock(m_folder, LOCK_EX | LOCK_NB) != 0; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ~OpeningTurn()
    {
        if (m_folder >= 0)
            ::close(m_folder);
    }
    OpeningTurn(const OpeningTurn&) = delete;
    OpeningTurn& operator=(const OpeningTurn&) = delete;

private:
    int m_folder;
};

void removeOldTemporaries(const fs::path& folder)
{
    std::error_code ec;
    const auto limit = fs::file_time_type::clock::now() - std::chrono::hours(24);
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code each;
        if (it->path().extension() != ".tmp" || !it->is_regular_file(each) ||
            it->last_write_time(each) > limit)
            continue;
        logInfo("store", "removing an unfinished file of an earlier day");
        fs::remove(it->path(), each);
    }
}

/// Makes the tables when they are not there. Gives whether it did. Two programs may do this at
/// once.
Result<bool> settleSchema(Database& database, const fs::path& file)
{
    Transaction transaction(database);
    const std::int64_t format = database.userVersion();
    const bool fresh = format == 0;
    if (fresh)
        makeWorkspaceSchema(database);
    if (auto done = transaction.commit(); !done)
        return done.error();
    if (format > kWorkspaceFormat)
        return Error{ErrorCode::InvalidInput,
                     "this workspace was made by a newer version of the program",
                     file.parent_path().string(), "Open it with that version"};
    return fresh;
}

/// Opens the index. A damaged one is put aside and made anew, because the folders hold everything.
Result<std::unique_ptr<Database>> openIndex(const fs::path& file, bool& fresh)
{
    const bool unclean = wasLeftOpen(file);
    for (int attempt = 0;; ++attempt) {
        auto database = Database::open(file, Durability::Full, true);
        Result<bool> settled(false);
        if (database) {
            if (unclean) {
                if (auto sound = (*database)->quickCheck(); !sound)
                    settled = sound.error();
            }
            if (settled)
                settled = settleSchema(**database, file);
            if (settled) {
                fresh = *settled;
                return database;
            }
        }
        const Error error = database ? settled.error() : database.error();
        if (attempt > 0 || error.code != ErrorCode::InvalidInput ||
            error.what.find("damaged") == std::string::npos)
            return error;
        if (database)
            database->reset();
        logWarning("store", "the index of the workspace is damaged and will be rebuilt");
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::error_code ec;
            fs::rename(file.string() + suffix,
                       fmt::format("{}.damaged-{}{}", file.string(), nowMilliseconds(), suffix),
                       ec);
        }
    }
}

} // namespace

Result<std::shared_ptr<Workspace>> Workspace::open(const fs::path& folder)
{
    std::error_code ec;
    const fs::path absolute = fs::absolute(folder, ec).lexically_normal();
    if (auto local = refuseNetworkFolder(absolute); !local)
        return local.error();
    if (!fs::exists(absolute, ec)) {
        if (auto made = makePrivateFolder(absolute); !made)
            return made.error();
    }
    const OpeningTurn turn(absolute);
    if (auto usable = checkFolder(absolute); !usable)
        return usable.error();
    for (const char* place : {"", "models", "datasets", "runs", "bin"}) {
        if (auto made = makePrivateFolder(*place ? absolute / place : absolute); !made)
            return made.error();
    }
    bool fresh = false;
    auto write = openIndex(databaseOf(absolute), fresh);
    if (!write)
        return write.error();
    auto read = Database::open(databaseOf(absolute), Durability::Full);
    if (!read)
        return read.error();
    auto workspace =
        std::make_shared<WorkspaceStore>(absolute, std::move(*write), std::move(*read));
    if (auto settled = fresh ? workspace->rebuildIndex() : workspace->reconcile(); !settled)
        return settled.error();
    removeOldTemporaries(absolute);
    removeOldTemporaries(absolute / "models");
    emptyOldBin(absolute, nowMilliseconds());
    return std::shared_ptr<Workspace>(std::move(workspace));
}

void WorkspaceStore::logReadError() const
{
    if (auto status = m_read->takeError(); !status)
        logWarning("store", "reading the workspace failed: {}", status.error().what);
}

// ---- models

std::vector<ModelRecord> WorkspaceStore::models() const
{
    std::vector<ModelRecord> list;
    std::error_code ec;
    for (fs::directory_iterator it(m_folder / "models", ec), end; !ec && it != end;
         it.increment(ec)) {
        if (it->path().extension() != ".json")
            continue;
        if (auto record = readModelFile(m_folder, it->path()))
            list.push_back(std::move(*record));
        else
            logWarning("store", "{}", record.error().what);
    }
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
        return std::tie(a.addedAt, a.name) < std::tie(b.addedAt, b.name);
    });
    return list;
}

Result<ModelRecord> WorkspaceStore::model(const std::string& name) const
{
    std::error_code ec;
    const fs::path file = m_folder / "models" / (name + ".json");
    if (!checkName(name, "model") || !fs::exists(file, ec))
        return Error{ErrorCode::NotFound, fmt::format("there is no model \"{}\"", name), "model",
                     "See model list, or import it first"};
    return readModelFile(m_folder, file);
}

Result<void> WorkspaceStore::addModel(const ModelRecord& record)
{
    if (auto named = checkName(record.name, "model"); !named)
        return named;
    if (model(record.name))
        return Error{ErrorCode::InvalidInput,
                     fmt::format("there is a model \"{}\" already", record.name), "model",
                     "Choose another name"};
    ModelRecord dated = record;
    if (dated.addedAt == 0)
        dated.addedAt = nowMilliseconds();
    return writeModelFile(m_folder, dated);
}

Result<void> WorkspaceStore::removeModel(const std::string& name)
{
    auto record = model(name);
    if (!record)
        return record.error();
    std::error_code ec;
    // The record goes last: after a crash the model is still listed and can be removed again.
    if (record->folder == modelFolder(name).lexically_normal())
        fs::remove_all(record->folder, ec);
    if (!ec)
        fs::remove(m_folder / "models" / (name + ".json"), ec);
    if (ec)
        return Error{ErrorCode::Io,
                     fmt::format("the model could not be removed ({})", ec.message()), name,
                     "Check the permissions"};
    return {};
}

fs::path WorkspaceStore::modelFolder(const std::string& name) const
{
    return m_folder / "models" / name;
}

// ---- datasets

fs::path WorkspaceStore::datasetFile(const std::string& name) const
{
    return m_folder / "datasets" / name / "rows.db";
}

std::vector<DatasetRecord> WorkspaceStore::datasets() const
{
    std::vector<DatasetRecord> list;
    std::error_code ec;
    for (fs::directory_iterator it(m_folder / "datasets", ec), end; !ec && it != end;
         it.increment(ec)) {
        const std::string name = it->path().filename().string();
        std::error_code each;
        if (!fs::exists(datasetFile(name), each))
            continue;
        if (auto record = describeDataset(name))
            list.push_back(std::move(*record));
        else
            logWarning("store", "a dataset cannot be opened: {}", record.error().what);
    }
    std::sort(list.begin(), list.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return list;
}

Result<DatasetRecord> WorkspaceStore::describeDataset(const std::string& name) const
{
    const fs::path file = datasetFile(name);
    const auto stamp = [&] {
        std::int64_t newest = 0;
        for (const char* suffix : {"", "-wal"}) {
            std::error_code ec;
            const auto time = fs::last_write_time(file.string() + suffix, ec);
            if (!ec)
                newest = std::max<std::int64_t>(
                    newest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::file_clock::to_sys(time).time_since_epoch())
                                .count());
        }
        return newest;
    };
    {
        const std::lock_guard lock(m_datasetMutex);
        const auto known = m_described.find(name);
        if (known != m_described.end() && known->second.changedAt == stamp())
            return known->second;
    }
    auto dataset = openDataset(name);
    if (!dataset)
        return dataset.error();
    DatasetRecord record;
    record.name = name;
    record.file = file;
    record.counts = (*dataset)->counts();
    if (const auto first = (*dataset)->rows({}, 0, 1); !first.empty())
        record.kind = data::toString(first.front().example.kind);
    dataset->reset(); // closing may write the log back into the file, so the time is read behind it
    record.changedAt = stamp();
    const std::lock_guard lock(m_datasetMutex);
    return m_described[name] = record;
}

Result<std::shared_ptr<Dataset>> WorkspaceStore::openDataset(const std::string& name) const
{
    std::error_code ec;
    if (!checkName(name, "dataset") || !fs::exists(datasetFile(name), ec))
        return Error{ErrorCode::NotFound, fmt::format("there is no dataset \"{}\"", name),
                     "dataset", "See data list, or import it first"};
    const std::lock_guard lock(m_datasetMutex);
    if (auto open = m_datasets[name].lock())
        return open;
    auto dataset = Dataset::open(datasetFile(name));
    if (dataset)
        m_datasets[name] = *dataset;
    return dataset;
}

Result<std::shared_ptr<Dataset>> WorkspaceStore::dataset(const std::string& name)
{
    return openDataset(name);
}

Result<std::shared_ptr<Dataset>> WorkspaceStore::createDataset(const std::string& name)
{
    if (auto named = checkName(name, "dataset"); !named)
        return named.error();
    std::error_code ec;
    if (fs::exists(datasetFile(name), ec))
        return Error{ErrorCode::InvalidInput,
                     fmt::format("there is a dataset \"{}\" already", name), "dataset",
                     "Choose another name"};
    if (auto made = makePrivateFolder(datasetFile(name).parent_path()); !made)
        return made.error();
    const std::lock_guard lock(m_datasetMutex);
    auto dataset = Dataset::create(datasetFile(name), name);
    if (dataset)
        m_datasets[name] = *dataset;
    else
        fs::remove_all(datasetFile(name).parent_path(), ec);
    return dataset;
}

Result<void> WorkspaceStore::removeDataset(const std::string& name)
{
    std::error_code ec;
    if (!checkName(name, "dataset") || !fs::exists(datasetFile(name), ec))
        return Error{ErrorCode::NotFound, fmt::format("there is no dataset \"{}\"", name),
                     "dataset", "See data list"};
    const std::lock_guard lock(m_datasetMutex);
    auto moved = moveToBin(m_folder, datasetFile(name).parent_path(), "dataset");
    if (!moved)
        return moved.error();
    m_datasets.erase(name);
    m_described.erase(name);
    return {};
}

// ---- preferences

Json WorkspaceStore::preference(const std::string& key) const
{
    const std::lock_guard lock(m_readMutex);
    Statement statement(*m_read, "SELECT value FROM preferences WHERE key = ?");
    Json value;
    if (statement.bind(key).step())
        value = Json::parse(statement.text(0), nullptr, false);
    logReadError();
    return value.is_discarded() ? Json() : value;
}

void WorkspaceStore::setPreference(const std::string& key, const Json& value)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    Statement(*m_write, "INSERT OR REPLACE INTO preferences(key, value) VALUES(?, ?)")
        .bind(key, value.dump(-1, ' ', false, Json::error_handler_t::replace))
        .run();
    if (auto done = transaction.commit(); !done)
        logWarning("store", "a preference was not kept: {}", done.error().what);
}

} // namespace fettle::store

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/workspace_parts.h"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 250ms, kPatienceAtTheEnd = 5s;

/// events.jsonl, open for appending whole lines.
class EventFile
{
public:
    ~EventFile()
    {
        if (m_fd >= 0)
            ::close(m_fd);
    }

    /// Opens, locks, and cuts off a last line that a crash left unfinished. The lock ends with the
    /// process, however that ends. Errors: Busy when somebody else has it.
    Result<void> open(const fs::path& file)
    {
        m_path = file;
        m_fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        if (m_fd < 0)
            return failure("opening");
        if (::flock(m_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return Error{ErrorCode::Busy, "another program is working on this run",
                         file.parent_path().filename().string(), "Stop it there first"};
        struct stat status
        {
        };
        if (::fstat(m_fd, &status) != 0)
            return failure("opening");
        m_size = status.st_size;
        char c = '\n';
        off_t end = m_size;
        for (; end > 0; --end) {
            if (::pread(m_fd, &c, 1, end - 1) != 1)
                return failure("reading");
            if (c == '\n')
                break;
        }
        if (end != m_size && ::ftruncate(m_fd, end) != 0)
            return failure("repairing");
        m_size = end;
        return {};
    }

    Result<void> append(std::string line)
    {
        line += '\n';
        std::size_t done = 0;
        while (done < line.size()) {
            const ssize_t count = ::pwrite(m_fd, line.data() + done, line.size() - done,
                                           m_size + static_cast<off_t>(done));
            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0) {
                const Error error = failure("writing");
                // Half a line would spoil the next one as well.
                if (::ftruncate(m_fd, m_size) != 0)
                    logWarning("store", "an unfinished event could not be cut off");
                return error;
            }
            done += static_cast<std::size_t>(count);
        }
        m_size += static_cast<off_t>(line.size());
        return {};
    }

    Result<void> sync() { return ::fdatasync(m_fd) == 0 ? Result<void>() : failure("syncing"); }

private:
    Error failure(const char* action) const
    {
        if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
            return {ErrorCode::DiskFull, "the disk is full, the run cannot be recorded",
                    m_path.string(), "Free some space and resume the run"};
        return {ErrorCode::Io,
                fmt::format("{} the events failed ({})", action, std::strerror(errno)),
                m_path.string(), "Check the disk and the permissions"};
    }

    fs::path m_path;
    int m_fd = -1;
    off_t m_size = 0;
};

bool isLandmark(const jobs::Event& event)
{
    return std::holds_alternative<jobs::CheckpointSaved>(event) ||
           std::holds_alternative<jobs::Resumed>(event) || jobs::isEnd(event);
}

class Recorder final : public RunRecorder
{
public:
    Recorder(std::shared_ptr<Workspace> workspace, RunRecord run)
        : m_workspace(std::move(workspace))
        , m_run(std::move(run))
        , m_folder(m_workspace->runFolder(m_run.id))
    {
    }

    ~Recorder() override
    {
        m_flusher.request_stop();
        if (m_flusher.joinable())
            m_flusher.join();
        if (auto flushed = flush(); !flushed)
            logWarning("store", "the last events of a run are only in its folder: {}",
                       flushed.error().what);
        removeOwner(m_folder);
    }

    Result<void> start()
    {
        auto database = Database::open(databaseOf(m_workspace->folder()), Durability::Normal);
        if (!database)
            return database.error();
        m_database = std::move(*database);
        // A step must not wait for another program; what cannot be written now is written later.
        m_database->setPatience(kPatience);
        if (auto opened = m_events.open(m_folder / "events.jsonl"); !opened)
            return opened;
        auto damaged =
            readEvents(m_folder, [this](const jobs::Event& event) { m_progress.fold(event); });
        if (!damaged)
            return damaged.error();
        writeOwner(m_folder, true);
        m_run.status = RunStatus::Running;
        m_run.message.clear();
        m_run.endedAt = 0;
        if (auto written = m_workspace->updateRun(m_run); !written)
            return written;
        m_flusher = std::jthread([this](std::stop_token stop) { flushLater(stop); });
        return {};
    }

    Result<void> record(const jobs::Event& event) override
    {
        if (std::holds_alternative<jobs::TextPiece>(event))
            return {}; // pieces of answers belong to conversations, not to runs
        const std::lock_guard lock(m_mutex);
        if (auto kept =
                m_events.append(toJson(event).dump(-1, ' ', false, Json::error_handler_t::replace));
            !kept)
            return kept;
        m_progress.fold(event);
        m_progress.apply(m_run);
        m_pending.push_back(event);
        if (isLandmark(event))
            return settleLandmark(event);
        if (m_sinceFlush.seconds() >= 1)
            return unlessBusy(flushNow());
        m_wake.notify_one();
        return {};
    }

    Result<void> flush() override
    {
        const std::lock_guard lock(m_mutex);
        if (auto synced = m_events.sync(); !synced)
            return synced;
        return unlessBusy(flushNow());
    }

private:
    /// Events that must survive more than a kill: the file is synced and run.json written.
    Result<void> settleLandmark(const jobs::Event& event)
    {
        if (auto synced = m_events.sync(); !synced)
            return synced;
        const bool end = jobs::isEnd(event);
        if (end) {
            m_run.endedAt = nowMilliseconds();
            m_database->setPatience(kPatienceAtTheEnd);
        }
        // These rows are to survive a power failure too; others come back from the file.
        m_database->exec("PRAGMA synchronous = FULL");
        auto flushed = flushNow(end);
        m_database->exec("PRAGMA synchronous = NORMAL");
        if (!flushed)
            return unlessBusy(std::move(flushed));
        // Read back, so that a name that was changed meanwhile stays.
        auto current = m_workspace->run(m_run.id);
        if (!current)
            return unlessBusy(current.error());
        if (auto written = writeRunFile(m_folder, *current); !written)
            return written;
        if (end)
            removeOwner(m_folder);
        return {};
    }

    /// The file has the events and the index is made from it, so a run does not end because another
    /// program holds the index: what waits is written when it lets go, at the latest at the next start.
    Result<void> unlessBusy(Result<void> done)
    {
        if (done || done.error().code != ErrorCode::Busy)
            return done;
        if (!m_saidBusy)
            logWarning("store", "another program holds the index of the workspace; the run goes on "
                                "and is written to its folder meanwhile");
        m_saidBusy = true;
        return {};
    }

    /// The state of the run is only written at its end: meanwhile others may have set it to paused.
    Result<void> flushNow(bool withStatus = false)
    {
        if (m_pending.empty())
            return {};
        Transaction transaction(*m_database);
        {
            MetricWriter writer(*m_database);
            for (const auto& event : m_pending)
                writer.write(m_run.number, event);
        }
        writeProgress(*m_database, m_run, withStatus);
        auto done = transaction.commit();
        if (done)
            m_pending.clear(), m_saidBusy = false;
        m_sinceFlush.restart();
        return done;
    }

    /// Writes rows that wait for a second while no further event comes.
    void flushLater(std::stop_token stop)
    {
        std::unique_lock lock(m_mutex);
        while (!stop.stop_requested()) {
            m_wake.wait(lock, stop, [this] { return !m_pending.empty(); });
            if (stop.stop_requested())
                return;
            m_wake.wait_for(lock, stop, 900ms, [] { return false; });
            if (auto flushed = unlessBusy(flushNow()); !flushed)
                logWarning("store", "the metrics of a run wait to be written: {}",
                           flushed.error().what);
        }
    }

    const std::shared_ptr<Workspace> m_workspace;
    std::mutex m_mutex;
    std::condition_variable_any m_wake;
    // guarded by m_mutex
    RunRecord m_run;
    const fs::path m_folder;
    std::unique_ptr<Database> m_database;
    EventFile m_events;
    RunProgress m_progress;
    std::vector<jobs::Event> m_pending;
    Stopwatch m_sinceFlush;
    bool m_saidBusy = false;
    std::jthread m_flusher;
};

} // namespace

Result<std::unique_ptr<RunRecorder>> RunRecorder::open(std::shared_ptr<Workspace> workspace,
                                                       const std::string& runId)
{
    auto run = workspace->run(runId);
    if (!run)
        return run.error();
    const Owner owner = ownerOf(workspace->runFolder(run->id));
    if (owner.alive && owner.recording && !owner.self)
        return Error{ErrorCode::Busy, "another program is working on this run", run->id,
                     "Stop it there first"};
    auto recorder = std::make_unique<Recorder>(std::move(workspace), std::move(*run));
    if (auto started = recorder->start(); !started)
        return started.error();
    return std::unique_ptr<RunRecorder>(std::move(recorder));
}

} // namespace fettle::store

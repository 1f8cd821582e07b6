#pragma once

#include "jobs/event.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace fettle::jobs {

/// Ordered events of one job, from its thread to one listener. Never blocks the job: when more than
/// 10,000 wait, the oldest StepDone is dropped (the store has them all); an end never is.
class EventQueue
{
public:
    void push(Event event);
    /// Everything that waits, oldest first; does not block.
    std::vector<Event> takeAll();
    /// As takeAll(), but waits up to `milliseconds` for the first one.
    std::vector<Event> waitAll(int milliseconds);

private:
    std::mutex m_mutex;
    std::condition_variable m_arrived;
    std::deque<Event> m_events;  // guarded by m_mutex
};

/// How a job ended when nothing failed.
using JobEnd = std::variant<Finished, Stopped>;

/// What a job sees of the world: where events go, and whether to stop or to pause.
class JobContext
{
public:
    JobContext(std::shared_ptr<EventQueue> events, std::stop_token stop)
        : m_events(std::move(events)), m_stop(std::move(stop))
    {
    }

    void emit(Event event) { m_events->push(std::move(event)); }
    /// Ask once per micro-batch, generated token or 1,000 rows.
    bool stopRequested() const { return m_stop.stop_requested(); }
    std::stop_token stopToken() const { return m_stop; }
    /// Returns at once unless paused; then waits until resumed or stopped. Gives the seconds waited.
    double waitWhilePaused();

    void setPaused(bool paused);
    bool paused() const;

private:
    std::shared_ptr<EventQueue> m_events;
    std::stop_token m_stop;
    mutable std::mutex m_mutex;
    std::condition_variable_any m_changed;
    bool m_paused = false;  // guarded by m_mutex
};

/// A long piece of work with progress, stop, and one end. Runs on a worker's thread; owns its
/// parameters. Everything that it loads it must free before run() returns.
class Job
{
public:
    virtual ~Job() = default;
    virtual std::string title() const = 0;
    virtual Result<JobEnd> run(JobContext& context) = 0;
};

/// Runs a job, catches what escapes from libraries, and gives the one end event.
Event runGuarded(Job& job, JobContext& context);

/// True for what the libraries throw when an allocation fails, on the processor or on a device.
bool meansOutOfMemory(const std::exception& problem);
/// What escaped from a library as an error: OutOfMemory, or Internal with its text in the log only.
Error errorFrom(const std::exception& problem, const std::string& title);

enum class JobState { Waiting, Running, Paused, Ended };

/// A submitted job as the rest of the program sees it. All functions may be called from any thread.
class JobHandle
{
public:
    explicit JobHandle(std::shared_ptr<Job> job);

    std::string title() const { return m_job->title(); }
    std::shared_ptr<EventQueue> events() const { return m_events; }
    void requestStop() { m_stop.request_stop(); }
    void pause() { m_context.setPaused(true); }
    void resume() { m_context.setPaused(false); }
    JobState state() const;
    /// Blocks until the job has ended (command line, tests, closing the program).
    void wait();

private:
    friend class Worker;
    void run();

    std::shared_ptr<Job> m_job;
    std::shared_ptr<EventQueue> m_events = std::make_shared<EventQueue>();
    std::stop_source m_stop;
    JobContext m_context;
    mutable std::mutex m_mutex;
    std::condition_variable m_ended;
    bool m_running = false, m_done = false;  // guarded by m_mutex
};

/// One long-lived thread that runs jobs one after another: all tensors of a device live on it.
class Worker
{
public:
    /// `atStart` runs first on the thread (number of compute threads, device libraries).
    explicit Worker(std::function<void()> atStart = {});
    /// Asks the running job to stop, drops the waiting ones, and joins.
    ~Worker();

    std::shared_ptr<JobHandle> submit(std::shared_ptr<Job> job);
    /// The job that runs now, then those that wait.
    std::vector<std::shared_ptr<JobHandle>> jobs() const;

private:
    void loop(std::stop_token stop);

    mutable std::mutex m_mutex;
    std::condition_variable_any m_arrived;
    std::deque<std::shared_ptr<JobHandle>> m_waiting;  // guarded by m_mutex
    std::shared_ptr<JobHandle> m_current;              // guarded by m_mutex
    std::function<void()> m_atStart;                   // set before start, then const
    std::jthread m_thread;                             // last: starts when all else is there
};

} // namespace fettle::jobs

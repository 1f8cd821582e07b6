#include "jobs/job.h"

#include "base/clock.h"
#include "base/log.h"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <system_error>

namespace fettle::jobs {

namespace {

constexpr std::size_t kMaxWaiting = 10'000;

Error outOfMemory()
{
    return {ErrorCode::OutOfMemory, "there is not enough memory for this", "memory",
            "Close other programs, lower \"training.microBatchTokens\" or choose a smaller model"};
}

} // namespace

void EventQueue::push(Event event)
{
    {
        const std::lock_guard lock(m_mutex);
        if (m_events.size() >= kMaxWaiting) {
            const auto oldest = std::ranges::find_if(
                m_events, [](const Event& e) { return std::holds_alternative<StepDone>(e); });
            if (oldest != m_events.end())
                m_events.erase(oldest);
        }
        m_events.push_back(std::move(event));
    }
    m_arrived.notify_all();
}

std::vector<Event> EventQueue::takeAll() { return waitAll(0); }

std::vector<Event> EventQueue::waitAll(int milliseconds)
{
    std::unique_lock lock(m_mutex);
    if (milliseconds > 0)
        m_arrived.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return !m_events.empty(); });
    std::vector<Event> out(std::make_move_iterator(m_events.begin()), std::make_move_iterator(m_events.end()));
    m_events.clear();
    return out;
}

double JobContext::waitWhilePaused()
{
    std::unique_lock lock(m_mutex);
    if (!m_paused)
        return 0;
    const Stopwatch watch;
    m_changed.wait(lock, m_stop, [&] { return !m_paused; });
    return watch.seconds();
}

void JobContext::setPaused(bool paused)
{
    {
        const std::lock_guard lock(m_mutex);
        m_paused = paused;
    }
    m_changed.notify_all();
}

bool JobContext::paused() const
{
    const std::lock_guard lock(m_mutex);
    return m_paused;
}

Event runGuarded(Job& job, JobContext& context)
{
    try {
        auto end = job.run(context);
        if (!end)
            return Failed{end.error()};
        return std::visit([](auto&& e) { return Event{std::move(e)}; }, *std::move(end));
    } catch (const std::exception& e) {
        return Failed{errorFrom(e, job.title())};
    }
}

bool meansOutOfMemory(const std::exception& problem)
{
    if (dynamic_cast<const std::bad_alloc*>(&problem) != nullptr)
        return true;
    // A thread that cannot be started for lack of room for its stack.
    const auto* system = dynamic_cast<const std::system_error*>(&problem);
    if (system != nullptr && (system->code() == std::errc::resource_unavailable_try_again
                              || system->code() == std::errc::not_enough_memory))
        return true;
    // LibTorch reports a failed allocation as an ordinary error with one of these texts.
    const std::string_view what = problem.what();
    return std::ranges::any_of(std::array{"not enough memory", "allocate memory", "out of memory", "bad_alloc", "ALLOC_FAILED"},
                               [&](const char* words) { return what.find(words) != std::string_view::npos; });
}

Error errorFrom(const std::exception& problem, const std::string& title)
{
    if (meansOutOfMemory(problem))
        return outOfMemory();
    logLine(LogLevel::Error, "jobs", problem.what());
    return {ErrorCode::Internal, "a rule inside the program was broken; the work so far is kept", title,
            "Start again; if it happens again, the log has the details"};
}

JobHandle::JobHandle(std::shared_ptr<Job> job) : m_job(std::move(job)), m_context(m_events, m_stop.get_token()) {}

JobState JobHandle::state() const
{
    const std::lock_guard lock(m_mutex);
    if (m_done)
        return JobState::Ended;
    if (!m_running)
        return JobState::Waiting;
    return m_context.paused() ? JobState::Paused : JobState::Running;
}

void JobHandle::wait()
{
    std::unique_lock lock(m_mutex);
    m_ended.wait(lock, [&] { return m_done; });
}

void JobHandle::run()
{
    {
        const std::lock_guard lock(m_mutex);
        m_running = true;
    }
    Event end = m_stop.stop_requested() ? Event{Stopped{}} : runGuarded(*m_job, m_context);
    m_events->push(std::move(end));
    {
        const std::lock_guard lock(m_mutex);
        m_done = true;
    }
    m_ended.notify_all();
}

Worker::Worker(std::function<void()> atStart)
    : m_atStart(std::move(atStart)), m_thread([this](std::stop_token stop) { loop(stop); })
{
}

Worker::~Worker()
{
    {
        const std::lock_guard lock(m_mutex);
        for (const auto& handle : m_waiting)
            handle->requestStop();
        if (m_current)
            m_current->requestStop();
    }
    m_thread.request_stop();
    m_arrived.notify_all();
}

std::shared_ptr<JobHandle> Worker::submit(std::shared_ptr<Job> job)
{
    auto handle = std::make_shared<JobHandle>(std::move(job));
    {
        const std::lock_guard lock(m_mutex);
        m_waiting.push_back(handle);
    }
    m_arrived.notify_all();
    return handle;
}

std::vector<std::shared_ptr<JobHandle>> Worker::jobs() const
{
    const std::lock_guard lock(m_mutex);
    std::vector<std::shared_ptr<JobHandle>> all;
    if (m_current)
        all.push_back(m_current);
    all.insert(all.end(), m_waiting.begin(), m_waiting.end());
    return all;
}

void Worker::loop(std::stop_token stop)
{
    if (m_atStart)
        m_atStart();
    while (true) {
        {
            std::unique_lock lock(m_mutex);
            m_current.reset();
            m_arrived.wait(lock, stop, [&] { return !m_waiting.empty(); });
            if (m_waiting.empty())
                return;  // asked to stop, and every submitted job has had its end
            m_current = m_waiting.front();
            m_waiting.pop_front();
        }
        m_current->run();
    }
}

} // namespace fettle::jobs

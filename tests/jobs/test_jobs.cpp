#include "jobs/job.h"
#include "jobs/watchdog.h"

#include <QtTest>
#include <atomic>
#include <limits>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>

using namespace fettle;
using namespace fettle::jobs;

namespace {

class FunctionJob final : public Job
{
public:
    explicit FunctionJob(std::function<Result<JobEnd>(JobContext&)> work)
        : m_work(std::move(work))
    {
    }
    std::string title() const override { return "test"; }
    Result<JobEnd> run(JobContext& context) override { return m_work(context); }

private:
    std::function<Result<JobEnd>(JobContext&)> m_work;
};

std::shared_ptr<JobHandle> submit(Worker& worker, std::function<Result<JobEnd>(JobContext&)> work)
{
    return worker.submit(std::make_shared<FunctionJob>(std::move(work)));
}

/// Counts steps until somebody stops it.
Result<JobEnd> countUntilStopped(JobContext& context, std::atomic<int>& count)
{
    while (!context.stopRequested()) {
        context.waitWhilePaused();
        ++count;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return JobEnd{Stopped{}};
}

} // namespace

class TestJobs : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void lateStepsAreNoticed();
    void fullMemoryIsToldApart();
    void jobsRunInOrderOnOneThread()
    {
        std::atomic<int> started{0};
        Worker worker([&] { ++started; });
        std::vector<int> order;
        std::set<std::thread::id> threads;
        std::vector<std::shared_ptr<JobHandle>> handles;
        for (int i = 0; i < 5; ++i)
            handles.push_back(submit(worker, [&, i](JobContext&) -> Result<JobEnd> {
                order.push_back(i);
                threads.insert(std::this_thread::get_id());
                return JobEnd{Finished{{{"number", i}}}};
            }));
        for (const auto& handle : handles)
            handle->wait();
        QCOMPARE(order, (std::vector<int>{0, 1, 2, 3, 4}));
        QCOMPARE(threads.size(), std::size_t{1});
        QCOMPARE(started.load(), 1);
        const auto events = handles[3]->events()->takeAll();
        QCOMPARE(events.size(), std::size_t{1});
        QCOMPARE(std::get<Finished>(events[0]).result["number"].get<int>(), 3);
        QVERIFY(handles[3]->state() == JobState::Ended);
    }

    void errorsAndExceptionsBecomeTheOneEnd()
    {
        Worker worker;
        const auto failed = submit(worker, [](JobContext&) -> Result<JobEnd> {
            return Error{ErrorCode::DiskFull, "no room", "here", "Free some space"};
        });
        const auto thrown = submit(worker, [](JobContext&) -> Result<JobEnd> {
            throw std::runtime_error("from a library");
        });
        const auto memory =
            submit(worker, [](JobContext&) -> Result<JobEnd> { throw std::bad_alloc(); });
        const auto after =
            submit(worker, [](JobContext&) -> Result<JobEnd> { return JobEnd{Finished{}}; });
        after->wait();
        const auto end = [](const auto& handle) {
            const auto events = handle->events()->takeAll();
            return std::get<Failed>(events.back()).error.code;
        };
        QVERIFY(end(failed) == ErrorCode::DiskFull);
        QVERIFY(end(thrown) == ErrorCode::Internal);
        QVERIFY(end(memory) == ErrorCode::OutOfMemory);
    }

    void pauseHoldsAndStopEnds()
    {
        Worker worker;
        std::atomic<int> count{0};
        const auto handle =
            submit(worker, [&](JobContext& context) { return countUntilStopped(context, count); });
        QTRY_VERIFY(count > 3);
        handle->pause();
        QTest::qWait(30);
        const int held = count;
        QTest::qWait(60);
        QVERIFY(count <= held + 1);
        QVERIFY(handle->state() == JobState::Paused);
        handle->resume();
        QTRY_VERIFY(count > held + 3);
        handle->pause(); // a paused job can be stopped
        handle->requestStop();
        handle->wait();
        QVERIFY(std::holds_alternative<Stopped>(handle->events()->takeAll().back()));
    }

    void closingStopsTheRunningAndDropsTheWaiting()
    {
        std::atomic<int> count{0}, later{0};
        std::shared_ptr<JobHandle> running, waiting;
        {
            Worker worker;
            running = submit(
                worker, [&](JobContext& context) { return countUntilStopped(context, count); });
            waiting = submit(worker, [&](JobContext&) -> Result<JobEnd> {
                ++later;
                return JobEnd{Finished{}};
            });
            QTRY_VERIFY(count > 0);
            QCOMPARE(worker.jobs().size(), std::size_t{2});
        }
        QVERIFY(running->state() == JobState::Ended);
        QCOMPARE(later.load(), 0);
        QVERIFY(waiting->state() == JobState::Ended);
    }

    void aFullQueueDropsStepsButNeverAnEnd()
    {
        EventQueue queue;
        queue.push(Warning{"first", "kept"});
        for (int i = 1; i <= 20'000; ++i) {
            StepDone step;
            step.step = i;
            queue.push(step);
        }
        queue.push(Finished{});
        const auto events = queue.takeAll();
        QVERIFY(events.size() <= 10'002);
        QVERIFY(std::holds_alternative<Warning>(events.front()));
        QVERIFY(std::holds_alternative<Finished>(events.back()));
        QCOMPARE(std::get<StepDone>(events[events.size() - 2]).step, 20'000);
        QVERIFY(queue.waitAll(1).empty());
    }

    void eventsSurviveTheirJson()
    {
        StepDone step;
        step.step = 12, step.totalSteps = 40, step.loss = 1.25, step.tokens = 900;
        step.gradNorm = std::numeric_limits<double>::infinity();
        EvalDone check;
        check.step = 12, check.loss = 2, check.low = 1.5, check.high = 2.5, check.best = true;
        const std::vector<Event> all = {PhaseChanged{"train", 0.5, "row 3"},
                                        step,
                                        check,
                                        SampleDone{12, 1, "an answer\n\"quoted\""},
                                        CheckpointSaved{12, "checkpoints/step-0000012", true},
                                        Resumed{7},
                                        Warning{"early_stop", "stopped"},
                                        TextPiece{1, "ä"},
                                        Finished{{{"a", 1}}},
                                        Stopped{{{"step", 3}}},
                                        Failed{{ErrorCode::Io, "what", "where", "remedy"}}};
        for (const auto& event : all) {
            const Json json = toJson(event);
            const auto again = eventFromJson(Json::parse(json.dump()));
            QVERIFY2(again, json.dump().c_str());
            QCOMPARE(again->index(), event.index());
            QCOMPARE(toJson(*again).dump(), json.dump());
        }
        QVERIFY(toJson(Event(step))["gradNorm"].is_null());
        QVERIFY(isEnd(all.back()) && !isEnd(all.front()));
        QVERIFY(!eventFromJson(Json{{"event", "dance"}}));
    }
};

void TestJobs::lateStepsAreNoticed()
{
    using namespace std::chrono_literals;
    std::mutex mutex;
    std::vector<Watchdog::Late> barks;
    const auto heard = [&] {
        const std::lock_guard lock(mutex);
        return barks.size();
    };
    Watchdog dog(
        [&](const Watchdog::Late& late) {
            const std::lock_guard lock(mutex);
            barks.push_back(late);
        },
        {.factor = 10, .least = 100ms});
    const auto step = [&](std::int64_t number, std::chrono::milliseconds length) {
        dog.begin(number);
        std::this_thread::sleep_for(length);
        return dog.end();
    };
    QVERIFY(!step(1, 150ms)); // nothing to measure it by yet
    for (std::int64_t i = 2; i < 10; ++i)
        QVERIFY(!step(i, 1ms));
    QCOMPARE(heard(), std::size_t{0});
    dog.begin(10);
    QTRY_COMPARE(heard(), std::size_t{1}); // while it goes on
    const auto late = dog.end();
    QVERIFY(late && late->step == 10 && late->seconds >= 0.1 && late->median < 0.05);
    QCOMPARE(barks[0].step, std::int64_t{10});
    QVERIFY(!step(11, 1ms));
    dog.begin(12);
    dog.rest(); // a save point or a check may take its time
    QTest::qWait(250);
    QCOMPARE(heard(), std::size_t{1});
    QVERIFY(step(13, 150ms)); // once more, and again only once
    QTRY_COMPARE(heard(), std::size_t{2});
}

void TestJobs::fullMemoryIsToldApart()
{
    QVERIFY(meansOutOfMemory(std::bad_alloc()));
    QVERIFY(meansOutOfMemory(std::runtime_error("CUDA out of memory. Tried to allocate 2 GiB")));
    QVERIFY(meansOutOfMemory(
        std::runtime_error("[enforce fail] DefaultCPUAllocator: not enough memory: you tried")));
    QVERIFY(meansOutOfMemory(std::runtime_error(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 8 bytes. Error code 12 (Cannot allocate memory)")));
    QVERIFY(meansOutOfMemory(
        std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again))));
    QVERIFY(meansOutOfMemory(
        std::runtime_error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")));
    QVERIFY(!meansOutOfMemory(std::runtime_error("shapes differ")));
    QVERIFY(errorFrom(std::bad_alloc(), "run").code == ErrorCode::OutOfMemory);
    const auto other = errorFrom(std::runtime_error("a text of a user"), "run");
    QVERIFY(other.code == ErrorCode::Internal &&
            other.sentence().find("a text of a user") == std::string::npos);
}

QTEST_GUILESS_MAIN(TestJobs)
#include "test_jobs.moc"

#include "store/workspace.h"
#include "store_help.h"

#include <QtTest>
#include <cmath>
#include <limits>

using namespace fettle;
using namespace fettle::store;

namespace {

struct Recording
{
    QTemporaryDir folder;
    std::shared_ptr<Workspace> workspace = Workspace::open(folder / "work").value();
    std::string id = workspace->createRun({}).value().id;
    std::unique_ptr<RunRecorder> recorder = RunRecorder::open(workspace, id).value();

    QByteArray events() const
    {
        QFile file(QString::fromStdString((workspace->runFolder(id) / "events.jsonl").string()));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
};

} // namespace

class TestRunRecorder : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void recordsFileFirstThenDatabase();
    void waitingRowsComeWithinASecond();
    void endSetsTheState_data();
    void endSetsTheState();
    void resumedRemovesLaterRows();
    void notFiniteValues();
    void tornLineIsCutOff();
    void checkpointsAreVerified();
    void pausedStays();
    void unknownNames();
};

void TestRunRecorder::recordsFileFirstThenDatabase()
{
    const Recording r;
    QVERIFY(r.workspace->run(r.id)->status == RunStatus::Running);
    QVERIFY(r.recorder->record(stepEvent(1, 2.5)));
    QCOMPARE(r.events().count('\n'), 1); // in the file before anything else
    QVERIFY(r.recorder->record(jobs::PhaseChanged{"train", 0.5, ""}));
    QVERIFY(r.recorder->record(jobs::TextPiece{0, "not kept"}));
    QVERIFY(r.recorder->record(jobs::Warning{"w", "text"}));
    QCOMPARE(r.events().count('\n'), 3);
    QVERIFY(r.recorder->flush());
    const auto points = r.workspace->metric(r.id, "loss");
    QCOMPARE(points.size(), std::size_t{1});
    QCOMPARE(points[0].value, 2.5);
    QCOMPARE(points[0].seconds, 0.5);
    QCOMPARE(r.workspace->metric(r.id, "learningRate")[0].value, 1e-4);
    QCOMPARE(r.workspace->metric(r.id, "gradNorm")[0].value, 1.5);
    QCOMPARE(r.workspace->metric(r.id, "tokensPerSecond")[0].value, 500.0);
    const auto run = r.workspace->run(r.id).value();
    QCOMPARE(run.step, 1);
    QCOMPARE(run.totalSteps, 100);
    QCOMPARE(run.loss, std::optional(2.5));
}

void TestRunRecorder::waitingRowsComeWithinASecond()
{
    const Recording r;
    QVERIFY(r.recorder->record(stepEvent(1, 2.5)));
    QTRY_COMPARE_WITH_TIMEOUT(r.workspace->metric(r.id, "loss").size(), std::size_t{1}, 10000);
}

void TestRunRecorder::endSetsTheState_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<QString>("state");
    QTest::addColumn<QString>("message");
    QTest::newRow("finished") << 0 << "finished"
                              << "";
    QTest::newRow("stopped") << 1 << "stopped"
                             << "stopped by hand, kept at step 5";
    QTest::newRow("failed") << 2 << "failed"
                            << "step 6: not enough memory. Lower the batch size.";
    QTest::newRow("nothing") << 3 << "running"
                             << "";
}

void TestRunRecorder::endSetsTheState()
{
    QFETCH(int, kind);
    QFETCH(QString, state);
    QFETCH(QString, message);
    Recording r;
    QVERIFY(r.recorder->record(stepEvent(5, 1)));
    if (kind == 0)
        QVERIFY(r.recorder->record(jobs::Finished{}));
    if (kind == 1)
        QVERIFY(r.recorder->record(jobs::Stopped{{{"step", 5}}}));
    if (kind == 2)
        QVERIFY(r.recorder->record(jobs::Failed{
            {ErrorCode::OutOfMemory, "not enough memory", "step 6", "Lower the batch size"}}));
    r.recorder.reset();
    const auto run = r.workspace->run(r.id).value();
    QCOMPARE(QString::fromStdString(toString(run.status)), state);
    QCOMPARE(QString::fromStdString(run.message), message);
    QCOMPARE(run.endedAt > 0, kind != 3);
    // The folder says the same.
    QVERIFY(r.workspace->rebuildIndex());
    QCOMPARE(QString::fromStdString(toString(r.workspace->run(r.id)->status)), state);
    QCOMPARE(QString::fromStdString(r.workspace->run(r.id)->message), message);
    // Nobody works on it any more: without an end it was interrupted.
    QCOMPARE(r.workspace->markInterrupted().value(), kind == 3 ? 1 : 0);
}

void TestRunRecorder::resumedRemovesLaterRows()
{
    Recording r;
    for (int i = 1; i <= 10; ++i)
        QVERIFY(r.recorder->record(stepEvent(i, 10.0 - i)));
    QVERIFY(r.recorder->record(evalEvent(5, 2.0)));
    QVERIFY(r.recorder->record(evalEvent(10, 1.0)));
    QVERIFY(r.recorder->record(jobs::SampleDone{10, 0, "late"}));
    r.recorder.reset();
    QCOMPARE(r.workspace->run(r.id)->bestStep, 10);
    r.recorder = RunRecorder::open(r.workspace, r.id).value();
    QVERIFY(r.recorder->record(jobs::Resumed{6}));
    QCOMPARE(r.workspace->metric(r.id, "loss").size(), std::size_t{6});
    QCOMPARE(r.workspace->evaluations(r.id).size(), std::size_t{1});
    QVERIFY(r.workspace->samples(r.id).empty());
    QCOMPARE(r.workspace->run(r.id)->bestStep, 5);
    QCOMPARE(r.workspace->run(r.id)->step, 6);
    QVERIFY(r.recorder->record(stepEvent(7, 0.5)));
    QVERIFY(r.recorder->flush());
    const auto before = r.workspace->metric(r.id, "loss");
    QCOMPARE(before.size(), std::size_t{7});
    QCOMPARE(before.back().value, 0.5);
    // events.jsonl keeps what was taken back, and reading it again gives the same rows.
    QCOMPARE(r.events().count("\"step\":8"), 1);
    QVERIFY(r.workspace->rebuildIndex());
    QCOMPARE(r.workspace->metric(r.id, "loss").size(), std::size_t{7});
    QCOMPARE(r.workspace->metric(r.id, "loss").back().value, 0.5);
    QCOMPARE(r.workspace->run(r.id)->bestStep, 5);
}

void TestRunRecorder::notFiniteValues()
{
    const Recording r;
    auto event = stepEvent(1, std::numeric_limits<double>::quiet_NaN());
    event.gradNorm = std::numeric_limits<double>::infinity();
    QVERIFY(r.recorder->record(event));
    QVERIFY(r.recorder->flush());
    QVERIFY(std::isnan(r.workspace->metric(r.id, "loss")[0].value));
    QVERIFY(std::isnan(r.workspace->metric(r.id, "gradNorm")[0].value));
    QVERIFY(!r.workspace->run(r.id)->loss);
}

void TestRunRecorder::tornLineIsCutOff()
{
    Recording r;
    QVERIFY(r.recorder->record(stepEvent(1, 1)));
    r.recorder.reset();
    QFile file(QString::fromStdString((r.workspace->runFolder(r.id) / "events.jsonl").string()));
    QVERIFY(file.open(QIODevice::Append));
    file.write("{\"event\":\"st");
    file.close();
    r.recorder = RunRecorder::open(r.workspace, r.id).value();
    QVERIFY(r.recorder->record(stepEvent(2, 1)));
    const auto lines = r.events().split('\n');
    QCOMPARE(lines.size(), 3);
    for (const auto& line : lines.first(2))
        QVERIFY(Json::accept(line.toStdString()));
}

void TestRunRecorder::checkpointsAreVerified()
{
    Recording r;
    const auto make = [&](const char* name, const char* manifest) {
        const auto folder = r.workspace->runFolder(r.id) / "checkpoints" / name;
        std::filesystem::create_directories(folder);
        written(folder / "weights.bin", "12345");
        if (manifest)
            written(folder / "MANIFEST.json", manifest);
    };
    const char* good = R"({"format":1,"files":[{"name":"weights.bin","size":5,"sha256":"x"}]})";
    make("step-0000020", good);
    make("step-0000010", good);
    make("step-0000030", nullptr);
    make("step-0000040", R"({"format":1,"files":[{"name":"weights.bin","size":6,"sha256":"x"}]})");
    make("step-0000050", R"({"format":1,"files":[{"name":"gone.bin","size":5,"sha256":"x"}]})");
    make("step-0000060.partial", good);
    make("step-0000070", "{\"files\": [");
    QVERIFY(r.recorder->record(jobs::CheckpointSaved{10, "checkpoints/step-0000010", true}));
    QVERIFY(r.recorder->record(jobs::CheckpointSaved{20, "checkpoints/step-0000020", false}));
    const auto list = r.workspace->checkpoints(r.id);
    QCOMPARE(list.size(), std::size_t{2});
    QCOMPARE(list[0].step, 10);
    QVERIFY(list[0].best);
    QVERIFY(!list[1].best);
    QCOMPARE(list[1].folder, std::string("checkpoints/step-0000020"));
}

void TestRunRecorder::pausedStays()
{
    const Recording r;
    auto run = r.workspace->run(r.id).value();
    run.status = RunStatus::Paused;
    QVERIFY(r.recorder->record(stepEvent(1, 1)));
    QVERIFY(r.workspace->updateRun(run));
    QVERIFY(r.recorder->flush());
    QVERIFY(r.workspace->run(r.id)->status == RunStatus::Paused);
    QCOMPARE(r.workspace->run(r.id)->step, 1);
}

void TestRunRecorder::unknownNames()
{
    const Recording r;
    QVERIFY(r.workspace->metric(r.id, "other").empty());
    QVERIFY(r.workspace->metric("0099-x", "loss").empty());
    QVERIFY(r.workspace->checkpoints("0099-x").empty());
    QVERIFY(!RunRecorder::open(r.workspace, "0099-x"));
}

QTEST_GUILESS_MAIN(TestRunRecorder)
#include "test_run_recorder.moc"

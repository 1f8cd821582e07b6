#include "base/clock.h"
#include "store/workspace.h"
#include "store_help.h"

#include <QProcess>
#include <QtTest>
#include <atomic>
#include <set>
#include <sys/stat.h>
#include <thread>

using namespace fettle;
using namespace fettle::store;
namespace fs = std::filesystem;

namespace {

std::shared_ptr<Workspace> opened(const QTemporaryDir& folder)
{
    return Workspace::open(folder / "work").value();
}

RunRecord plannedRun(const std::string& name)
{
    RunRecord record;
    record.name = name;
    record.model = "base";
    record.dataset = "letters";
    record.datasetVersion = 2;
    record.datasetDigest = "d1";
    record.seed = 18446744073709551615u;
    record.settings = {{"training", {{"learningRate", 1e-4}, {"batch", 8}}}, {"method", "lora"}};
    record.extra = {{"prompts", {"a", "b"}}};
    return record;
}

ModelRecord plannedModel(const std::string& name, const fs::path& folder)
{
    ModelRecord record;
    record.name = name;
    record.folder = folder;
    record.family = "llama";
    record.parameters = 135000000;
    record.contextLength = 2048;
    record.bytes = 5;
    record.licence = "Apache-2.0";
    record.digest = "m1";
    record.info = {{"origin", "a file"}};
    return record;
}

void makeFolder(const fs::path& folder)
{
    fs::create_directories(folder);
    written(folder / "config.json", R"({"model_type":"llama","max_position_embeddings":2048})");
}

} // namespace

class TestWorkspace : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void makesAPrivateFolder();
    void refusesOtherFolders();
    void names_data();
    void names();
    void models();
    void datasets();
    void datasetsAreShared();
    void runs();
    void runsAreFoundByAllNames();
    void removedThingsLieInTheBin();
    void binIsEmptiedAfterThirtyDays();
    void numbersAreNeverUsedAgain();
    void preferences();
    void databaseDeleted();
    void databaseDamaged();
    void damagedFoldersAreNamedAndLeft();
    void foldersThatComeAndGo();
    void canBeMoved();
    void deadRunsAreInterrupted();
    void newerVersionIsRefused();
    void severalProgramsAtOnce();
};

void TestWorkspace::makesAPrivateFolder()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    struct stat status
    {
    };
    QVERIFY(::stat((folder / "work").c_str(), &status) == 0);
    QCOMPARE(status.st_mode & 0777, mode_t{0700});
    QVERIFY(::stat((folder / "work/workspace.db").c_str(), &status) == 0);
    QCOMPARE(status.st_mode & 0777, mode_t{0600});
    QCOMPARE(workspace->folder(), folder / "work");
    QVERIFY(workspace->runs().empty());
    QVERIFY(workspace->models().empty());
    QVERIFY(workspace->datasets().empty());
}

void TestWorkspace::refusesOtherFolders()
{
    const QTemporaryDir folder;
    written(folder / "letter.txt", "private");
    auto result = Workspace::open(folder.path().toStdString());
    QVERIFY(!result);
    QVERIFY(result.error().code == ErrorCode::InvalidInput);
    QCOMPARE(QDir(folder.path()).entryList(QDir::AllEntries | QDir::NoDotAndDotDot).size(), 1);
    result = Workspace::open(folder / "letter.txt");
    QVERIFY(!result);
    QVERIFY(Workspace::open(folder / "deep/er"));
}

void TestWorkspace::names_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("good");
    QTest::newRow("words") << "Letters of 2024 (a-b)" << true;
    QTest::newRow("other scripts") << "Größe 字" << true;
    QTest::newRow("empty") << "" << false;
    QTest::newRow("dot") << "." << false;
    QTest::newRow("parent") << ".." << false;
    QTest::newRow("hidden") << ".x" << false;
    QTest::newRow("path") << "a/b" << false;
    QTest::newRow("backslash") << "a\\b" << false;
    QTest::newRow("blank at the end") << "a " << false;
    QTest::newRow("line end") << "a\nb" << false;
    QTest::newRow("long") << QString(101, 'a') << false;
}

void TestWorkspace::names()
{
    QFETCH(QString, name);
    QFETCH(bool, good);
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    QCOMPARE(bool(workspace->createDataset(name.toStdString())), good);
    QCOMPARE(bool(workspace->addModel(plannedModel(name.toStdString(), folder / "m"))), good);
    QVERIFY(!workspace->dataset("no " + name.toStdString()));
}

void TestWorkspace::models()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    makeFolder(workspace->modelFolder("inside"));
    makeFolder(folder / "outside");
    QVERIFY(workspace->addModel(plannedModel("inside", workspace->modelFolder("inside"))));
    QVERIFY(workspace->addModel(plannedModel("outside", folder / "outside")));
    QVERIFY(!workspace->addModel(plannedModel("inside", folder / "other")));
    QCOMPARE(workspace->models().size(), std::size_t{2});
    const auto record = workspace->model("inside");
    QVERIFY(record);
    QCOMPARE(record->folder, workspace->modelFolder("inside"));
    QCOMPARE(record->parameters, 135000000);
    QCOMPARE(record->info, Json({{"origin", "a file"}}));
    QVERIFY(record->addedAt > 0);
    QVERIFY(workspace->removeModel("inside"));
    QVERIFY(!fs::exists(workspace->modelFolder("inside")));
    QVERIFY(workspace->removeModel("outside"));
    QVERIFY(fs::exists(folder / "outside/config.json")); // not ours
    QVERIFY(workspace->removeModel("outside").error().code == ErrorCode::NotFound);
}

void TestWorkspace::datasets()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    {
        const auto dataset = workspace->createDataset("letters");
        QVERIFY(dataset);
        QVERIFY(
            (*dataset)->import({written(folder / "t.jsonl", questionLines(50))}, {}, {}, {}, {}));
    }
    QVERIFY(!workspace->createDataset("letters"));
    QVERIFY(workspace->createDataset("another"));
    auto list = workspace->datasets();
    QCOMPARE(list.size(), std::size_t{2});
    QCOMPARE(list[1].name, std::string("letters"));
    QCOMPARE(list[1].kind, std::string("chat"));
    QCOMPARE(list[1].counts.rows, 50);
    QVERIFY(list[1].changedAt > 0);
    // The list follows an edit, made here or by another program.
    const auto other = opened(folder);
    QVERIFY(other->dataset("letters").value()->drop({1, 2}));
    QCOMPARE(workspace->datasets()[1].counts.rows, 48);
    QVERIFY(workspace->dataset("nothing").error().code == ErrorCode::NotFound);
}

void TestWorkspace::datasetsAreShared()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    const auto one = workspace->createDataset("letters").value();
    QVERIFY(workspace->dataset("letters").value() == one);
}

void TestWorkspace::runs()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    const auto first = workspace->createRun(plannedRun("Letters, LoRA"));
    QVERIFY(first);
    QCOMPARE(first->id, std::string("0001-letters-lora"));
    QCOMPARE(first->number, 1);
    QVERIFY(fs::is_directory(workspace->runFolder(first->id) / "checkpoints"));
    for (int i = 2; i <= 9; ++i)
        QVERIFY(workspace->createRun(plannedRun("")));
    const auto list = workspace->runs();
    QCOMPARE(list.size(), std::size_t{9});
    QCOMPARE(list.front().number, 9);
    QCOMPARE(list.front().colour, 0);
    QCOMPARE(list[1].colour, 7);
    RunRecord record = workspace->run("1").value();
    QCOMPARE(record.seed, std::uint64_t{18446744073709551615u});
    // Settings keep the order in which they were written.
    QCOMPARE(record.settings.dump(), plannedRun("").settings.dump());
    QCOMPARE(record.extra, plannedRun("").extra);
    record.status = RunStatus::Failed;
    record.message = "no room";
    record.loss = 1.25;
    record.name = "renamed";
    QVERIFY(workspace->updateRun(record));
    const auto again = workspace->run("renamed").value();
    QVERIFY(again.status == RunStatus::Failed);
    QCOMPARE(again.loss, std::optional(1.25));
    QVERIFY(!again.bestEvalLoss);
    RunRecord unknown = record;
    unknown.id = "0099-x";
    QVERIFY(workspace->updateRun(unknown).error().code == ErrorCode::NotFound);
}

void TestWorkspace::runsAreFoundByAllNames()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    const auto a = workspace->createRun(plannedRun("same")).value();
    const auto b = workspace->createRun(plannedRun("same")).value();
    for (const auto& which :
         {std::string("last"), std::string("2"), std::string("0002"), b.id, std::string("same")})
        QCOMPARE(workspace->run(which).value().id, b.id);
    QCOMPARE(workspace->run("1").value().id, a.id);
    for (const char* which : {"", "3", "other", "-1", "1x"})
        QVERIFY2(workspace->run(which).error().code == ErrorCode::NotFound, which);
}

void TestWorkspace::removedThingsLieInTheBin()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    QVERIFY(workspace->createDataset("letters"));
    const auto run = workspace->createRun(plannedRun("x")).value();
    QVERIFY(workspace->removeDataset("letters"));
    QVERIFY(workspace->removeRun(run.id));
    QVERIFY(workspace->datasets().empty());
    QVERIFY(workspace->runs().empty());
    QVERIFY(workspace->createDataset("letters"));
    int found = 0;
    for (const auto& entry : fs::directory_iterator(folder / "work/bin"))
        found += fs::exists(entry.path() / "rows.db") || fs::exists(entry.path() / "run.json");
    QCOMPARE(found, 2);
    QVERIFY(workspace->removeRun(run.id).error().code == ErrorCode::NotFound);
    QVERIFY(workspace->removeDataset("nothing").error().code == ErrorCode::NotFound);
}

void TestWorkspace::binIsEmptiedAfterThirtyDays()
{
    const QTemporaryDir folder;
    opened(folder);
    const std::int64_t day = 86400000, now = nowMilliseconds();
    fs::create_directories(folder / "work/bin" /
                           (std::to_string(now - 31 * day) + "-run-0001-old"));
    fs::create_directories(folder / "work/bin" /
                           (std::to_string(now - 29 * day) + "-run-0002-new"));
    fs::create_directories(folder / "work/bin/mine");
    opened(folder);
    QCOMPARE(QDir(QString::fromStdString((folder / "work/bin").string()))
                 .entryList(QDir::Dirs | QDir::NoDotAndDotDot)
                 .size(),
             2);
    QVERIFY(fs::exists(folder / "work/bin/mine"));
}

void TestWorkspace::numbersAreNeverUsedAgain()
{
    const QTemporaryDir folder;
    {
        const auto workspace = opened(folder);
        const auto run = workspace->createRun(plannedRun("x")).value();
        QVERIFY(workspace->removeRun(run.id));
        QCOMPARE(workspace->createRun(plannedRun("y"))->number, 2);
        QVERIFY(workspace->removeRun("0002-y"));
    }
    fs::remove(folder / "work/workspace.db");
    QCOMPARE(opened(folder)->createRun(plannedRun("z"))->number, 3);
}

void TestWorkspace::preferences()
{
    const QTemporaryDir folder;
    opened(folder)->setPreference("place", {{"name", "Data"}});
    QCOMPARE(opened(folder)->preference("place"), Json({{"name", "Data"}}));
    QVERIFY(opened(folder)->preference("other").is_null());
}

void TestWorkspace::databaseDeleted()
{
    const QTemporaryDir folder;
    std::string runBefore, rowsBefore;
    {
        const auto workspace = opened(folder);
        makeFolder(workspace->modelFolder("m"));
        QVERIFY(workspace->addModel(plannedModel("m", workspace->modelFolder("m"))));
        makeFolder(workspace->modelFolder("copied")); // a folder that somebody put there
        const auto dataset = workspace->createDataset("letters").value();
        QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(20))}, {}, {}, {}, {}));
        rowsBefore = seen(*dataset);
        const auto run = workspace->createRun(plannedRun("x")).value();
        const auto recorder = RunRecorder::open(workspace, run.id).value();
        for (int i = 1; i <= 20; ++i)
            QVERIFY(recorder->record(stepEvent(i, 3.0 / i)));
        QVERIFY(recorder->record(evalEvent(20, 0.5)));
        QVERIFY(recorder->record(jobs::SampleDone{20, 0, "answer"}));
        QVERIFY(recorder->record(jobs::Finished{}));
        QVERIFY(recorder->flush());
    }
    for (const char* suffix : {"", "-wal", "-shm"})
        fs::remove((folder / "work/workspace.db").string() + suffix);
    // A crash can leave half a line at the end.
    QFile events(QString::fromStdString((folder / "work/runs/0001-x/events.jsonl").string()));
    QVERIFY(events.open(QIODevice::Append));
    events.write("{\"event\":\"step\",\"st");
    events.close();
    const auto workspace = opened(folder);
    const auto run = workspace->run("last").value();
    QVERIFY(run.status == RunStatus::Finished);
    QCOMPARE(run.step, 20);
    QCOMPARE(run.bestEvalLoss, std::optional(0.5));
    QCOMPARE(run.bestStep, 20);
    QCOMPARE(run.settings.dump(), plannedRun("").settings.dump());
    const auto points = workspace->metric(run.id, "loss");
    QCOMPARE(points.size(), std::size_t{20});
    QCOMPARE(points[3].value, 0.75);
    QCOMPARE(points[3].tokens, 4 * 512.0);
    QCOMPARE(workspace->metric(run.id, "evalLoss").front().tokens, 20 * 512.0);
    QCOMPARE(workspace->evaluations(run.id).size(), std::size_t{1});
    QCOMPARE(workspace->samples(run.id).front().answer, std::string("answer"));
    QCOMPARE(workspace->model("m")->digest, std::string("m1"));
    QCOMPARE(workspace->model("copied")->family, std::string("llama"));
    QCOMPARE(seen(*workspace->dataset("letters").value()), rowsBefore);
}

void TestWorkspace::databaseDamaged()
{
    const QTemporaryDir folder;
    {
        const auto workspace = opened(folder);
        QVERIFY(workspace->createRun(plannedRun("x")));
    }
    written(folder / "work/workspace.db", QByteArray(20000, 'x'));
    const auto workspace = opened(folder);
    QCOMPARE(workspace->runs().size(), std::size_t{1});
    QVERIFY(workspace->createRun(plannedRun("y")));
}

void TestWorkspace::damagedFoldersAreNamedAndLeft()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    const auto good = workspace->createRun(plannedRun("good")).value();
    const auto bad = workspace->createRun(plannedRun("bad")).value();
    written(workspace->runFolder(bad.id) / "run.json", "{\"id\": \"0002");
    QVERIFY(workspace->createDataset("letters"));
    written(folder / "work/datasets/letters/rows.db", QByteArray(5000, 'x'));
    written(folder / "work/models/m.json", "[]");
    const auto damaged = workspace->rebuildIndex();
    QVERIFY(damaged);
    QCOMPARE(std::set<std::string>(damaged->begin(), damaged->end()),
             (std::set<std::string>{"runs/0002-bad", "datasets/letters", "models/m.json"}));
    QCOMPARE(workspace->runs().size(), std::size_t{1});
    QCOMPARE(workspace->runs().front().id, good.id);
    QVERIFY(fs::exists(workspace->runFolder(bad.id) / "run.json"));
}

void TestWorkspace::foldersThatComeAndGo()
{
    const QTemporaryDir folder;
    const auto a = opened(folder)->createRun(plannedRun("a")).value();
    const auto b = opened(folder)->createRun(plannedRun("b")).value();
    fs::rename(folder / "work/runs" / a.id, folder / "kept");
    QCOMPARE(opened(folder)->runs().size(), std::size_t{1});
    fs::rename(folder / "kept", folder / "work/runs" / a.id);
    QCOMPARE(opened(folder)->runs().size(), std::size_t{2});
}

void TestWorkspace::canBeMoved()
{
    const QTemporaryDir folder;
    {
        const auto workspace = opened(folder);
        makeFolder(workspace->modelFolder("m"));
        QVERIFY(workspace->addModel(plannedModel("m", workspace->modelFolder("m"))));
        QVERIFY(workspace->createRun(plannedRun("x")));
    }
    fs::rename(folder / "work", folder / "elsewhere");
    const auto workspace = Workspace::open(folder / "elsewhere").value();
    QCOMPARE(workspace->model("m")->folder, folder / "elsewhere/models/m");
    QVERIFY(fs::exists(workspace->runFolder(workspace->run("last")->id)));
}

void TestWorkspace::deadRunsAreInterrupted()
{
    const QTemporaryDir folder;
    const auto workspace = opened(folder);
    const auto mine = workspace->createRun(plannedRun("mine")).value();
    auto dead = workspace->createRun(plannedRun("dead")).value();
    dead.status = RunStatus::Running;
    QVERIFY(workspace->updateRun(dead));
    auto done = workspace->createRun(plannedRun("done")).value();
    done.status = RunStatus::Finished;
    QVERIFY(workspace->updateRun(done));
    QCOMPARE(workspace->markInterrupted().value(), 0); // this process lives
    // A number that was used again: same process number, other start.
    const auto owner = workspace->runFolder(dead.id) / "owner.json";
    written(owner, R"({"pid":1,"start":12345678901,"boot":"x","recording":true,"time":1})");
    written(workspace->runFolder(done.id) / "owner.json", "{}");
    // The last events reached only the folder.
    QFile events(QString::fromStdString((workspace->runFolder(dead.id) / "events.jsonl").string()));
    QVERIFY(events.open(QIODevice::WriteOnly));
    events.write(QByteArray::fromStdString(toJson(jobs::Event(stepEvent(7, 2.0))).dump()) + "\n");
    events.close();
    QCOMPARE(workspace->markInterrupted().value(), 1);
    const auto after = workspace->run("dead").value();
    QVERIFY(after.status == RunStatus::Interrupted);
    QCOMPARE(after.step, 7);
    QCOMPARE(workspace->metric(after.id, "loss").size(), std::size_t{1});
    QVERIFY(workspace->run("mine")->status == RunStatus::Waiting);
    QVERIFY(workspace->run("done")->status == RunStatus::Finished);
    QCOMPARE(workspace->markInterrupted().value(), 0);
}

void TestWorkspace::newerVersionIsRefused()
{
    const QTemporaryDir folder;
    opened(folder);
    // user_version lies at byte 60 of the file, big-endian.
    QFile file(QString::fromStdString((folder / "work/workspace.db").string()));
    QVERIFY(file.open(QIODevice::ReadWrite));
    file.seek(60);
    file.write(QByteArray("\0\0\0\x63", 4));
    file.close();
    const auto result = Workspace::open(folder / "work");
    QVERIFY(!result);
    QCOMPARE(result.error().what,
             std::string("this workspace was made by a newer version of the program"));
}

void TestWorkspace::severalProgramsAtOnce()
{
    // Threads with workspaces of their own stand for programs: SQLite keeps its locks per
    // connection.
    const QTemporaryDir folder;
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            const auto workspace = Workspace::open(folder / "work");
            if (!workspace) {
                qWarning("%s", workspace.error().sentence().c_str());
                ++failures;
                return;
            }
            for (int i = 0; i < 5; ++i) {
                if (const auto run = (*workspace)->createRun(plannedRun("r")); !run) {
                    qWarning("%s", run.error().sentence().c_str());
                    ++failures;
                }
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    QCOMPARE(failures.load(), 0);
    std::set<std::int64_t> numbers;
    for (const auto& run : opened(folder)->runs())
        numbers.insert(run.number);
    QCOMPARE(numbers.size(), std::size_t{20});
    QCOMPARE(*numbers.rbegin(), 20);
}

QTEST_APPLESS_MAIN(TestWorkspace)
#include "test_workspace.moc"

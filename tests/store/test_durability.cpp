// Kills and full disks: what was acknowledged is there afterwards, nothing is half-written.
// The program starts itself again as the victim ("victim" KIND FOLDER).

#include "base/rng.h"
#include "store/workspace.h"
#include "store_help.h"

#include <QCoreApplication>
#include <QProcess>
#include <QtTest>
#include <csignal>
#include <iostream>
#include <map>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace fettle;
using namespace fettle::store;
namespace fs = std::filesystem;

namespace {

/// Edits for ever; writes a line after each edit that was acknowledged.
int editForEver(const fs::path& folder)
{
    const auto dataset = Workspace::open(folder).value()->dataset("letters").value();
    for (int i = 0;; ++i) {
        const auto id = dataset->add(question("q" + std::to_string(i), "a"), data::Split::Train);
        if (!id)
            return 1;
        std::cout << "add " << *id << " " << i << std::endl;
        if (i % 3 == 0) {
            if (!dataset->update(*id, question("changed" + std::to_string(i), "a")))
                return 1;
            std::cout << "update " << *id << " " << i << std::endl;
        }
    }
}

/// Records steps for ever; writes a line after each.
int recordForEver(const fs::path& folder)
{
    const auto workspace = Workspace::open(folder).value();
    const auto run = workspace->createRun({}).value();
    const auto recorder = RunRecorder::open(workspace, run.id).value();
    for (int i = 1;; ++i) {
        if (!recorder->record(stepEvent(i, 1.0 / i)))
            return 1;
        std::cout << i << std::endl;
    }
}

/// Imports for ever into new datasets; writes a line after each.
int importForEver(const fs::path& folder)
{
    const auto workspace = Workspace::open(folder).value();
    for (int i = 0;; ++i) {
        const auto dataset = workspace->createDataset("set " + std::to_string(i)).value();
        if (!dataset->import({folder.parent_path() / "t.jsonl"}, {}, {}, {}, {}))
            return 1;
        std::cout << i << std::endl;
    }
}

/// Runs the victim, kills it after some lines and gives the whole lines that it wrote.
QList<QByteArray> linesBeforeKill(const QString& kind, const fs::path& folder, int lines)
{
    QProcess victim;
    victim.start(QCoreApplication::applicationFilePath(),
                 {"victim", kind, QString::fromStdString(folder.string())});
    QByteArray output;
    while (output.count('\n') < lines && victim.waitForReadyRead(20000))
        output += victim.readAllStandardOutput();
    victim.kill(); // SIGKILL
    victim.waitForFinished();
    output += victim.readAllStandardOutput();
    auto list = output.split('\n');
    list.removeLast();
    return list;
}

} // namespace

class TestDurability : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void killedWhileEditing();
    void killedWhileRecording();
    void killedWhileImporting();
    void fullDisk();
    void fileSizeLimit();
};

void TestDurability::killedWhileEditing()
{
    const QTemporaryDir folder;
    QVERIFY(Workspace::open(folder / "work").value()->createDataset("letters"));
    const Rng rng(1, "kills");
    std::map<std::int64_t, std::string> acknowledged;
    for (std::uint64_t round = 0; round < 8; ++round) {
        const auto lines =
            linesBeforeKill("edit", folder / "work", 1 + static_cast<int>(rng.bits(round, 0) % 40));
        QVERIFY(!lines.isEmpty());
        for (const auto& line : lines) {
            const auto parts = line.split(' ');
            acknowledged[parts[1].toLongLong()] =
                (parts[0] == "add" ? "q" : "changed") + parts[2].toStdString();
        }
        const auto dataset = Workspace::open(folder / "work").value()->dataset("letters");
        QVERIFY2(dataset, dataset ? "" : dataset.error().sentence().c_str());
        for (auto& [id, text] : acknowledged) {
            const auto row = (*dataset)->row(id);
            QVERIFY(row);
            // An update that was carried out but not yet acknowledged may be there as well.
            const auto found = questionOf(row->example);
            QVERIFY2(found == text ||
                         (id == acknowledged.rbegin()->first && found.starts_with("changed")),
                     found.c_str());
            text = found; // a later round must find the same
        }
        const auto rows = (*dataset)->counts().rows;
        QVERIFY(rows >= std::int64_t(acknowledged.size()) &&
                rows <= std::int64_t(acknowledged.size() + round + 1));
    }
}

void TestDurability::killedWhileRecording()
{
    for (const int wanted : {1, 200, 3000}) {
        const QTemporaryDir folder;
        Workspace::open(folder / "work").value();
        const auto lines = linesBeforeKill("record", folder / "work", wanted);
        QVERIFY(lines.size() >= wanted);
        const auto workspace = Workspace::open(folder / "work").value();
        QCOMPARE(workspace->markInterrupted().value(), 1);
        const auto run = workspace->run("last").value();
        QVERIFY(run.status == RunStatus::Interrupted);
        QVERIFY(run.step >= lines.last().toLongLong() && run.step <= lines.last().toLongLong() + 1);
        const auto points = workspace->metric(run.id, "loss");
        QCOMPARE(std::int64_t(points.size()), run.step);
        for (std::size_t i = 0; i < points.size(); ++i)
            QCOMPARE(points[i].value, 1.0 / static_cast<double>(i + 1));
    }
}

void TestDurability::killedWhileImporting()
{
    const QTemporaryDir folder;
    written(folder / "t.jsonl", questionLines(1500));
    Workspace::open(folder / "work").value();
    const auto lines = linesBeforeKill("import", folder / "work", 3);
    QVERIFY(lines.size() >= 3);
    const auto workspace = Workspace::open(folder / "work").value();
    for (const auto& record : workspace->datasets()) {
        // The one that was under way has all rows or none.
        QVERIFY2(record.counts.rows == 1500 || record.counts.rows == 0, record.name.c_str());
    }
    QVERIFY(workspace->datasets().size() >= std::size_t(lines.size()));
}

void TestDurability::fullDisk()
{
    const QTemporaryDir folder;
    fs::create_directories(folder / "disk");
    if (::mount("none", (folder / "disk").c_str(), "tmpfs", 0, "size=3m") != 0)
        QSKIP("a small file system cannot be mounted here (needs root)");
    {
        const auto workspace = Workspace::open(folder / "disk/work").value();
        const auto dataset = workspace->createDataset("letters").value();
        std::int64_t kept = 0;
        Result<std::int64_t> last = std::int64_t{0};
        while (last && kept < 100000) {
            last = dataset->add(question(std::string(2000, 'x') + std::to_string(kept), "a"),
                                data::Split::Train);
            kept += bool(last);
        }
        QVERIFY(!last);
        QVERIFY2(last.error().code == ErrorCode::DiskFull, last.error().sentence().c_str());
        QCOMPARE(dataset->counts().rows, kept);
        const auto imported =
            dataset->import({written(folder / "t.jsonl", questionLines(20000))}, {}, {}, {}, {});
        QVERIFY(!imported);
        QVERIFY2(imported.error().code == ErrorCode::DiskFull, imported.error().sentence().c_str());
        QCOMPARE(dataset->counts().rows, kept);
        QVERIFY(kept > 10);
    }
    ::umount((folder / "disk").c_str());
}

void TestDurability::fileSizeLimit()
{
    // Stands for a full disk where nothing can be mounted: no file may grow beyond the limit.
    const QTemporaryDir folder;
    const auto workspace = Workspace::open(folder / "work").value();
    const auto dataset = workspace->createDataset("letters").value();
    QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(100))}, {}, {}, {}, {}));
    const auto run = workspace->createRun({}).value();
    auto recorder = RunRecorder::open(workspace, run.id).value();
    const auto before = seen(*dataset);
    written(folder / "big.jsonl", questionLines(30000));
    struct rlimit old
    {
    };
    ::getrlimit(RLIMIT_FSIZE, &old);
    const struct rlimit small
    {
        1 << 20, old.rlim_max
    };
    std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto imported = dataset->import({folder / "big.jsonl"}, {}, {}, {}, {});
    int steps = 0;
    Result<void> recorded;
    while (recorded && steps < 100000)
        recorded = recorder->record(jobs::SampleDone{++steps, 0, std::string(5000, 'x')});
    ::setrlimit(RLIMIT_FSIZE, &old);
    QVERIFY(!imported);
    QVERIFY2(imported.error().code == ErrorCode::DiskFull, imported.error().sentence().c_str());
    QCOMPARE(seen(*dataset), before);
    QVERIFY(!recorded);
    QVERIFY2(recorded.error().code == ErrorCode::DiskFull, recorded.error().sentence().c_str());
    // With room again both go on, and no line is torn.
    QVERIFY(dataset->import({folder / "big.jsonl"}, {}, {}, {}, {}));
    QVERIFY(recorder->record(stepEvent(1, 1)));
    recorder.reset();
    QVERIFY(workspace->rebuildIndex()->empty());
    QCOMPARE(workspace->metric(run.id, "loss").size(), std::size_t{1});
    QVERIFY(std::int64_t(workspace->samples(run.id).size()) >= steps - 1);
}

int main(int argc, char** argv)
{
    if (argc == 4 && QByteArray(argv[1]) == "victim") {
        const QByteArray kind = argv[2];
        return kind == "edit"     ? editForEver(argv[3])
               : kind == "record" ? recordForEver(argv[3])
                                  : importForEver(argv[3]);
    }
    QCoreApplication app(argc, argv);
    TestDurability test;
    return QTest::qExec(&test, argc, argv);
}
#include "test_durability.moc"

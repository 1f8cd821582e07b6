#include "base/atomic_file.h"
#include "base/rng.h"
#include "train/training_help.h"

#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <set>

using namespace fettle;
using namespace fettle::tests;
namespace fs = std::filesystem;

namespace {

/// A run with its save points, made once.
const fs::path& trainedFolder()
{
    static const QTemporaryDir folder;
    static const fs::path path = [] {
        auto values = settingsFor("lora");
        values.set("checkpoints.keep", 5).value();
        carryOut(values, folder.path().toStdString());
        return fs::path(folder.path().toStdString());
    }();
    return path;
}

void overwrite(const fs::path& file, const std::string& bytes)
{
    std::ofstream(file, std::ios::binary) << bytes;
}

fs::path copyOfTrained(const QTemporaryDir& folder)
{
    const fs::path target = fs::path(folder.path().toStdString()) / "run";
    fs::copy(trainedFolder(), target, fs::copy_options::recursive);
    return target;
}

/// A folder that looks like a save point: a manifest and the file that it lists.
void pretend(const fs::path& run, std::int64_t step, bool whole = true)
{
    const auto folder = run / "checkpoints" / fmt::format("step-{:07}", step);
    fs::create_directories(folder);
    overwrite(folder / "a", whole ? "1" : "");
    overwrite(folder / "MANIFEST.json", R"({"files":[{"name":"a","size":1,"sha256":""}]})");
}

std::set<std::int64_t> stepsIn(const fs::path& run)
{
    std::set<std::int64_t> steps;
    for (const auto& folder : train::listCheckpoints(run))
        steps.insert(*train::stepOfCheckpoint(folder));
    return steps;
}

} // namespace

class TestSavePoints : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everyFlippedBitIsSeen_data()
    {
        QTest::addColumn<QString>("file");
        for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors", "state.json", "adapter_config.json", "MANIFEST.json"})
            QTest::newRow(name) << name;
    }
    void everyFlippedBitIsSeen()
    {
        QFETCH(QString, file);
        const QTemporaryDir folder;
        const auto point = train::listCheckpoints(copyOfTrained(folder)).back();
        const auto path = point / file.toStdString();
        const auto good = readFile(path).value();
        QVERIFY(train::verifyCheckpoint(point));
        const Rng rng(3, "flips");
        int harmless = 0;
        for (std::uint64_t i = 0; i < 400; ++i) {
            auto bytes = good;
            const auto at = rng.bits(i, 0) % bytes.size();
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << rng.bits(i, 1) % 8);
            overwrite(path, bytes);
            harmless += bool(train::verifyCheckpoint(point));
        }
        // The manifest's date and its layout are not what it is for.
        QVERIFY2(file == "MANIFEST.json" ? harmless < 100 : harmless == 0, qPrintable(QString::number(harmless)));
    }

    void whatIsNotWholeIsNotUsed_data()
    {
        QTest::addColumn<QString>("how");
        for (const char* how : {"cut file", "file gone", "manifest gone", "manifest empty", "manifest lists nothing",
                                "manifest lists numbers", "manifest without state", "named for another step"})
            QTest::newRow(how) << how;
    }
    void whatIsNotWholeIsNotUsed()
    {
        QFETCH(QString, how);
        const QTemporaryDir folder;
        const auto run = copyOfTrained(folder);
        const auto all = train::listCheckpoints(run);
        QVERIFY(all.size() >= 3);
        const auto point = all.back(), manifest = point / "MANIFEST.json";
        if (how == "cut file")
            fs::resize_file(point / "optimizer.safetensors", 100);
        if (how == "file gone")
            fs::remove(point / "adapter_config.json");
        if (how == "manifest gone")
            fs::remove(manifest);
        if (how == "manifest empty")
            overwrite(manifest, "");
        if (how == "manifest lists nothing")
            overwrite(manifest, R"({"format":1,"files":[]})");
        if (how == "manifest lists numbers")
            overwrite(manifest, R"({"format":1,"files":[1,{"name":2,"size":"x","sha256":[]}]})");
        if (how == "manifest without state") {
            auto json = readJsonFile(manifest).value();
            std::erase_if(json["files"].get_ref<Json::array_t&>(), [](const Json& f) { return f["name"] == "state.json"; });
            overwrite(manifest, json.dump());
        }
        if (how == "named for another step")
            fs::rename(point, run / "checkpoints/step-0000099");
        const auto found = train::findCheckpoint(run);
        QCOMPARE(found.folder->filename().string(), all[all.size() - 2].filename().string());
        QCOMPARE(found.damaged.size(), how == "manifest gone" ? std::size_t{0} : std::size_t{1});
    }

    void fallsBackToTheOneBefore()
    {
        auto values = settingsFor("lora");
        values.set("checkpoints.keep", 5).value();
        const QTemporaryDir folder, other;
        const auto run = copyOfTrained(folder);
        const auto whole = carryOut(values, other.path().toStdString());
        const auto last = train::listCheckpoints(run).back();
        overwrite(last / "optimizer.safetensors", "");
        const auto again = carryOut(values, run, {.resume = true});
        QVERIFY(!again.error);
        QVERIFY(!again.steps.empty());
        for (std::size_t i = 0; i < whole.weights.size(); ++i)
            QVERIFY(at::equal(whole.weights[i], again.weights[i]));
        QVERIFY(train::verifyCheckpoint(last));  // made anew in its place
    }

    void aStepIsSavedAgainInOneMove()
    {
        const QTemporaryDir folder;
        const auto run = copyOfTrained(folder);
        const auto values = settingsFor("lora");
        const auto before = train::listCheckpoints(run).size();
        const auto again = carryOut(values, run, {.resume = true, .from = 6});
        QVERIFY(!again.error);
        QVERIFY(train::listCheckpoints(run).size() <= before);
        for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
            QVERIFY2(train::verifyCheckpoint(entry.path()), entry.path().c_str());
    }

    /// Random sequences of saving, damage, going back and rotating: the newest and the protected ones stay.
    void rotationKeepsWhatCounts()
    {
        const Rng rng(11, "rotation");
        int looks = 0;
        for (std::uint64_t sequence = 0; sequence < 60; ++sequence) {
            const QTemporaryDir folder;
            const fs::path run = folder.path().toStdString();
            std::int64_t step = 0, best = -1;
            const auto keep = 1 + static_cast<std::int64_t>(rng.bits(sequence, 999) % 3);
            std::set<std::int64_t> damaged;
            for (std::uint64_t turn = 0; turn < 25; ++turn) {
                const auto dice = rng.bits(sequence, turn) % 10;
                if (dice == 0 && step > 3)
                    step -= 3;  // goes on from an earlier one
                step += 1 + static_cast<std::int64_t>(rng.bits(sequence, 100 + turn) % 3);
                pretend(run, step);
                damaged.erase(step);
                if (dice == 1)
                    best = step;
                if (best > step)
                    best = -1;
                train::rotateCheckpoints(run, step, keep, {best});
                const auto left = stepsIn(run);
                QVERIFY(left.contains(step));
                QVERIFY(best < 0 || left.contains(best));
                QVERIFY(std::ssize(left) <= keep + 1);
                QVERIFY(std::ranges::all_of(left, [&](auto each) { return each <= step; }));
                if (dice == 2) {
                    pretend(run, step, false);
                    damaged.insert(step);
                }
                ++looks;
            }
        }
        QCOMPARE(looks, 1500);
    }

    void rotationCountsWholeOnesOnly()
    {
        const QTemporaryDir folder;
        const fs::path run = folder.path().toStdString();
        pretend(run, 2);
        pretend(run, 4, false);  // cut short
        pretend(run, 9, false);  // from a course that was given up
        fs::create_directories(run / "checkpoints/step-0000005.partial");
        pretend(run, 6);
        train::rotateCheckpoints(run, 6, 2, {});
        QVERIFY((stepsIn(run) == std::set<std::int64_t>{2, 6}));
        QVERIFY(!fs::exists(run / "checkpoints/step-0000005.partial"));
        train::rotateCheckpoints(run, 7, 1, {});  // step 7 is not there: nothing may go
        QVERIFY((stepsIn(run) == std::set<std::int64_t>{2, 6}));
        overwrite(run / "checkpoints/step-0000002/PINNED", "");
        train::rotateCheckpoints(run, 6, 1, {});
        QVERIFY((stepsIn(run) == std::set<std::int64_t>{2, 6}));
    }
};

QTEST_GUILESS_MAIN(TestSavePoints)
#include "test_save_points.moc"

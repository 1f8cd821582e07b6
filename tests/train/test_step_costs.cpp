// What a step may cost, by counts that a busy machine does not change: threads, memory, and positions that
// are computed for nothing. Times are measured by tests/bench, never here.

#include "bench/process_facts.h"
#include "bench/toy_model.h"
#include "methods/method.h"
#include "model/load.h"
#include "recipes/settings.h"
#include "sanitized.h"
#include "tensor/device.h"
#include "train/trainer.h"

#include <QTemporaryDir>
#include <QtTest>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

using namespace fettle;

namespace {

/// Lengths of a lognormal law, cut at both ends.
std::vector<std::int64_t> lengthsOf(double median, double sigma, std::int64_t lowest, std::int64_t highest, std::size_t count)
{
    const Rng rng(11, "lengths");
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < count; ++i) {
        const double radius = std::sqrt(-2 * std::log(1 - rng.uniform(0, i)));
        const double normal = radius * std::cos(2 * std::numbers::pi * rng.uniform(1, i));
        out.push_back(std::clamp(static_cast<std::int64_t>(median * std::exp(sigma * normal)), lowest, highest));
    }
    return out;
}

std::size_t threadsOfThisProcess()
{
    const std::filesystem::directory_iterator threads("/proc/self/task"), end;
    return static_cast<std::size_t>(std::distance(threads, end));
}

std::vector<train::EncodedRow> randomRows(std::size_t count)
{
    const Rng rng(12, "rows");
    const auto lengths = lengthsOf(140, 0.9, 24, 256, count);
    std::vector<train::EncodedRow> rows;
    for (std::size_t r = 0; r < count; ++r) {
        train::EncodedRow row;
        row.row = static_cast<std::int64_t>(r);
        for (std::int64_t t = 0; t < lengths[r]; ++t) {
            row.ids.push_back(static_cast<std::int32_t>(rng.bits(r, static_cast<std::uint64_t>(t)) % 8192));
            row.trained.push_back(t > 0 && t >= lengths[r] * 9 / 10);
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

} // namespace

class TestStepCosts : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void packingLeavesLittleRoom_data()
    {
        QTest::addColumn<double>("median");
        QTest::addColumn<double>("sigma");
        QTest::addColumn<int>("lowest");
        QTest::addColumn<int>("highest");
        QTest::addColumn<int>("capacity");
        QTest::newRow("short conversations") << 180.0 << 0.8 << 24 << 1024 << 4096;
        QTest::newRow("mixed documents") << 420.0 << 1.0 << 32 << 2048 << 8192;
        QTest::newRow("long documents") << 1800.0 << 0.9 << 128 << 8192 << 16384;
    }
    void packingLeavesLittleRoom()
    {
        QFETCH(double, median);
        QFETCH(double, sigma);
        QFETCH(int, lowest);
        QFETCH(int, highest);
        QFETCH(int, capacity);
        const auto lengths = lengthsOf(median, sigma, lowest, highest, 4000);
        const auto bins = train::packFirstFit(lengths, capacity);
        std::int64_t tokens = 0;
        std::vector<int> seen(lengths.size());
        for (const auto& bin : bins) {
            std::int64_t used = 0;
            for (const auto item : bin)
                used += lengths[item], ++seen[item];
            QVERIFY(used <= capacity);
            tokens += used;
        }
        QVERIFY(std::ranges::all_of(seen, [](int times) { return times == 1; }));
        const double share = static_cast<double>(tokens) / static_cast<double>(bins.size()) / capacity;
        QVERIFY2(share >= 0.99, qPrintable(QString::number(share)));
    }

    void aMicroBatchHoldsNothingButItsRows()
    {
        objectives::Batch batch;
        std::int64_t tokens = 0;
        for (const auto& row : randomRows(20)) {
            batch.add(row.ids, row.trained, row.row);
            tokens += static_cast<std::int64_t>(row.ids.size());
        }
        QCOMPARE(batch.tokens.size(), tokens);
    }

    void stepsAddNeitherThreadsNorMemory_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("lora") << "lora";
        QTest::newRow("full") << "full";
    }
    /// After the first steps on the same rows everything that is needed is there: further ones take no more.
    void stepsAddNeitherThreadsNorMemory()
    {
        QFETCH(QString, method);
        QTemporaryDir folder;
        const auto path = std::filesystem::path(folder.path().toStdString());
        QVERIFY(bench::writeToyModel(path));
        const int cores = tensor::availableCores();
        tensor::useComputeThreads(cores);
        auto decoder = model::loadDecoder(model::ModelFiles::open(path).value(), c10::kCPU, at::kFloat).value();
        ParamValues values(recipes::trainingSettings());
        values.set("method", method.toStdString()).value();
        auto attached = methods::makeMethod(method.toStdString()).value()->attach(*decoder, values, Rng(1, "x")).value();
        const auto objective = objectives::makeObjective("sft").value();
        auto settings = train::TrainerSettings::from(values, 1);
        settings.passes = 12, settings.batchSize = 8, settings.learningRate = 1e-4, settings.schedule = "constant";
        settings.checkEvery = settings.checkpointEvery = 1000, settings.earlyStop = settings.stopOnRise = false;

        std::vector<std::uint64_t> peaks;
        std::vector<std::size_t> threads;
        std::vector<std::int64_t> tokens;
        jobs::JobContext context(std::make_shared<jobs::EventQueue>(), {});
        auto rows = randomRows(8);
        std::int64_t each = 0;
        for (const auto& row : rows)
            each += static_cast<std::int64_t>(row.ids.size());
        train::Trainer trainer({*decoder, *attached, *objective, std::move(rows), {}, settings, path / "run", "toy", Json(),
                                [&](const jobs::Event& event) -> Result<void> {
                                    if (const auto* done = std::get_if<jobs::StepDone>(&event)) {
                                        peaks.push_back(bench::statusBytes("VmHWM"));
                                        threads.push_back(threadsOfThisProcess());
                                        tokens.push_back(done->tokens);
                                    }
                                    return {};
                                },
                                {}},
                               context);
        const auto end = trainer.run();
        QVERIFY2(end, end ? "" : end.error().sentence().c_str());
        QCOMPARE(peaks.size(), std::size_t{12});
        QCOMPARE(tokens.back(), 12 * each);
        // A step's kept activations are a third of all this; the allocator alone moves a few MiB.
        // The sanitizer keeps what was freed for a while.
        QVERIFY2(fettle::tests::kSanitized || peaks[11] <= peaks[3] + peaks[3] / 20,
                 qPrintable(QString("%1 MiB after the fourth step, %2 after the twelfth").arg(peaks[3] >> 20).arg(peaks[11] >> 20)));
        QCOMPARE(threads[11], threads[1]);
        // The team, the watchdog, autograd's own and the one that runs the tests.
        QVERIFY2(threads[11] <= static_cast<std::size_t>(cores) + 3,
                 qPrintable(QString("%1 threads on %2 cores").arg(threads[11]).arg(cores)));
    }
};

QTEST_GUILESS_MAIN(TestStepCosts)
#include "test_step_costs.moc"

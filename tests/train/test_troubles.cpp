#include "train/loss_watch.h"
#include "train/training_help.h"

#include <QTemporaryDir>
#include <QTest>
#include <new>

using namespace fettle;
using namespace fettle::tests;

namespace {

/// Fine-tuning that meets a full memory: at one computation, or whenever more tokens come together.
class ShortOfMemory final : public objectives::Objective
{
public:
    std::int64_t failAt = -1, mostTokens = std::numeric_limits<std::int64_t>::max();
    bool quiet = false;  ///< says it as LibTorch does

    objectives::ObjectiveSpec spec() const override { return m_inner->spec(); }
    objectives::Totals measure(const objectives::Batch& batch) const override { return m_inner->measure(batch); }
    objectives::Loss compute(objectives::TrainContext& context, const objectives::Batch& batch,
                             const objectives::Totals& window) const override
    {
        if (++m_calls == failAt || batch.tokens.size() > mostTokens) {
            if (quiet)
                throw std::runtime_error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes");
            throw std::bad_alloc();
        }
        return m_inner->compute(context, batch, window);
    }

private:
    std::unique_ptr<objectives::Objective> m_inner = objectives::makeObjective("sft").value();
    mutable std::int64_t m_calls = 0;
};

ParamValues withoutDropout()
{
    auto values = settingsFor("lora");
    values.set("lora.dropout", 0.0).value();
    return values;
}

/// Thirty calm steps of a longer run.
ParamValues longRun()
{
    auto values = settingsFor("lora");
    values.set("training.passes", 6.0).value();
    values.set("training.learningRate", 1e-4).value();
    values.set("checks.everySteps", 1000).value();
    values.set("checkpoints.everySteps", 5).value();
    return values;
}

/// Fine-tuning whose loss is three nats higher from one step on.
class Rising final : public objectives::Objective
{
public:
    std::uint64_t after = 33;

    objectives::ObjectiveSpec spec() const override { return m_inner->spec(); }
    objectives::Totals measure(const objectives::Batch& batch) const override { return m_inner->measure(batch); }
    objectives::Loss compute(objectives::TrainContext& context, const objectives::Batch& batch,
                             const objectives::Totals& window) const override
    {
        auto loss = m_inner->compute(context, batch, window);
        if (context.pass.draw >= after)
            loss.sum += 3 * loss.weight;
        return loss;
    }

private:
    std::unique_ptr<objectives::Objective> m_inner = objectives::makeObjective("sft").value();
};

} // namespace

class TestTroubles : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void fullMemoryOnceHalvesTheMicroBatches_data()
    {
        QTest::addColumn<int>("at");
        QTest::addColumn<bool>("quiet");
        for (const int at : {1, 2, 5, 20})
            QTest::addRow("computation %d", at) << at << (at % 2 == 0);
    }
    void fullMemoryOnceHalvesTheMicroBatches()
    {
        QFETCH(int, at);
        QFETCH(bool, quiet);
        auto values = withoutDropout();
        values.set("training.microBatchTokens", 320).value();
        const QTemporaryDir a, b;
        const auto whole = carryOut(values, a.path().toStdString());
        ShortOfMemory objective;
        objective.failAt = at;
        objective.quiet = quiet;
        const auto run = carryOut(values, b.path().toStdString(), {.objective = &objective});
        QVERIFY2(!run.error, run.error ? run.error->sentence().c_str() : "");
        QCOMPARE(run.warnings.size(), std::size_t{1});
        QCOMPARE(run.warnings[0].code, std::string("memory_short"));
        QVERIFY2(run.warnings[0].text.find("training.microBatchTokens went from 320 to 160") != std::string::npos, run.warnings[0].text.c_str());
        QCOMPARE(run.steps.size(), whole.steps.size());
        for (std::size_t i = 0; i < run.steps.size(); ++i) {
            QVERIFY(near(run.steps[i].loss, whole.steps[i].loss, 1e-5, 0));
            QCOMPARE(run.steps[i].trainedTokens, whole.steps[i].trainedTokens);
        }
    }

    void loweredMicroBatchesSurviveAResume()
    {
        const auto values = settingsFor("lora");
        const QTemporaryDir a, b;
        ShortOfMemory one, two;
        one.failAt = two.failAt = 4;
        const auto whole = carryOut(values, a.path().toStdString(), {.objective = &one});
        QVERIFY(carryOut(values, b.path().toStdString(), {.stopAfter = 5, .objective = &two}).stopped);
        const auto second = carryOut(values, b.path().toStdString(), {.resume = true, .objective = &two});
        QVERIFY(second.warnings.empty());
        for (std::size_t i = 0; i < whole.weights.size(); ++i)
            QVERIFY(at::equal(whole.weights[i], second.weights[i]));
    }

    void memoryThatNeverSufficesEndsWithWhatToDo()
    {
        const auto values = withoutDropout();
        const QTemporaryDir folder;
        ShortOfMemory objective;
        objective.mostTokens = 3;
        const auto run = carryOut(values, folder.path().toStdString(), {.objective = &objective});
        QVERIFY(run.error);
        QVERIFY(run.error->code == ErrorCode::OutOfMemory);
        const auto words = run.error->sentence();
        for (const char* part : {"not enough memory", "training.microBatchTokens at", "no save point was written yet", "training.maxLength"})
            QVERIFY2(words.find(part) != std::string::npos, words.c_str());
        // The same run goes on when there is memory again.
        QVERIFY(!carryOut(values, folder.path().toStdString()).error);
    }

    void fullDiskNamesWhatIsSaved()
    {
        const auto values = settingsFor("lora");
        const QTemporaryDir folder;
        Disturbance how;
        how.record = [](const jobs::Event& event) -> Result<void> {
            const auto* step = std::get_if<jobs::StepDone>(&event);
            if (step && step->step == 8)
                return Error{ErrorCode::DiskFull, "the disk is full", "events.jsonl", "Free some space and resume the run"};
            return {};
        };
        const auto run = carryOut(values, folder.path().toStdString(), how);
        QVERIFY(run.error);
        QVERIFY2(run.error->what == "the disk is full; your work up to step 6 is saved", run.error->what.c_str());
        const auto rest = carryOut(values, folder.path().toStdString(), {.resume = true});
        QCOMPARE(rest.steps.front().step, std::int64_t{7});
    }

    void calmLossesStayCalm()
    {
        const Rng rng(2, "losses");
        for (std::uint64_t series = 0; series < 200; ++series) {
            train::LossWatch watch;
            for (std::uint64_t step = 0; step < 400; ++step) {
                const double noise = rng.uniform(series, step) + rng.uniform(series, step + 1000) - 1;
                double loss = 1 + 2 * std::exp(-static_cast<double>(step) / 40) + noise;
                if (rng.uniform(series, step + 2000) < 0.01)
                    loss += 8;  // a strange batch now and then
                QVERIFY2(!watch.add(static_cast<std::int64_t>(step), loss), qPrintable(QString("series %1, step %2").arg(series).arg(step)));
            }
        }
    }

    void risingLossesAreNoticed_data()
    {
        QTest::addColumn<double>("slope");
        QTest::addColumn<int>("within");
        QTest::newRow("jump") << 4.0 << 4;
        QTest::newRow("steep") << 0.5 << 12;
        QTest::newRow("slow") << 0.15 << 40;
    }
    void risingLossesAreNoticed()
    {
        QFETCH(double, slope);
        QFETCH(int, within);
        const Rng rng(2, "losses");
        train::LossWatch watch;
        std::int64_t noticed = -1;
        for (std::int64_t step = 0; step < 300 && noticed < 0; ++step) {
            const double noise = (rng.uniform(0, static_cast<std::uint64_t>(step)) - 0.5) * 0.6;
            const double rise = step > 200 ? std::min(4.0, slope * static_cast<double>(step - 200)) : 0;
            if (watch.add(step, 1.5 + noise + rise))
                noticed = step;
            watch = train::LossWatch::from(watch.json());  // as after a resume
        }
        QVERIFY2(noticed > 200 && noticed <= 200 + within, qPrintable(QString::number(noticed)));
        QVERIFY(watch.calmStep() >= 195 && watch.calmStep() <= noticed);
    }

    void aLossThatRunsAwayEndsTheRunAndKeepsTheGoodSavePoint()
    {
        auto values = longRun();
        values.set("checkpoints.keep", 1).value();
        const QTemporaryDir folder;
        const Rising rising;
        const auto run = carryOut(values, folder.path().toStdString(), {.objective = &rising});
        QVERIFY(run.error);
        const auto words = run.error->sentence();
        QVERIFY2(run.error->code == ErrorCode::Diverged && words.find("ran away") != std::string::npos, words.c_str());
        QVERIFY2(words.find(", rows ") != std::string::npos && words.find("--rate 0.5") != std::string::npos, words.c_str());
        const auto good = words.substr(words.find("--from ") + 7);
        const auto step = std::stoll(good);
        QVERIFY2(step == 30 && run.steps.size() < 38, words.c_str());
        QVERIFY(train::findCheckpoint(folder.path().toStdString(), step).damaged.empty());
        // It goes on from there with half the rate, and says so; the settings stay what they were.
        const auto rest = carryOut(values, folder.path().toStdString(), {.resume = true, .rate = 0.5, .from = step});
        QVERIFY(!rest.error);
        QCOMPARE(rest.steps.front().step, step + 1);
        QCOMPARE(rest.warnings[0].code, std::string("rate_changed"));
        const auto at = static_cast<std::size_t>(step);
        QVERIFY(run.steps.size() > at);
        QVERIFY(near(rest.steps.front().learningRate, run.steps[at].learningRate / 2, 1e-12, 0));
    }

    void aPersonMayWantItAnyway()
    {
        auto values = longRun();
        values.set("checks.stopOnRise", false).value();
        const QTemporaryDir folder;
        const Rising rising;
        const auto run = carryOut(values, folder.path().toStdString(), {.objective = &rising});
        QVERIFY(!run.error);
    }
};

QTEST_GUILESS_MAIN(TestTroubles)
#include "test_troubles.moc"

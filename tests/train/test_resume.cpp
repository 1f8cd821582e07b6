#include "base/json.h"
#include "base/sha256.h"
#include "train/training_help.h"

#include <ATen/Parallel.h>
#include <QTemporaryDir>
#include <QTest>
#include <set>

using namespace fettle;
using namespace fettle::tests;

namespace {

/// "weights of step 7 differ", or nothing when the second is the same run bit for bit.
QString difference(const RunOnce& whole, const std::vector<jobs::StepDone>& steps, const RunOnce& last)
{
    if (last.error)
        return QString::fromStdString(last.error->sentence());
    if (steps.size() != whole.steps.size())
        return QString("%1 steps, not %2").arg(steps.size()).arg(whole.steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto &a = steps[i], &b = whole.steps[i];
        if (a.step != b.step || std::bit_cast<std::uint64_t>(a.loss) != std::bit_cast<std::uint64_t>(b.loss)
            || std::bit_cast<std::uint64_t>(a.gradNorm) != std::bit_cast<std::uint64_t>(b.gradNorm)
            || a.learningRate != b.learningRate || a.tokens != b.tokens || a.trainedTokens != b.trainedTokens)
            return QString("step %1: loss %2, not %3").arg(b.step).arg(a.loss, 0, 'g', 17).arg(b.loss, 0, 'g', 17);
    }
    for (std::size_t i = 0; i < whole.weights.size(); ++i) {
        if (!at::equal(whole.weights[i], last.weights[i]))
            return QString("weight %1 differs").arg(i);
    }
    return {};
}

/// Checks of all sittings by step; one that was done again counts once.
std::map<std::int64_t, std::pair<double, bool>> checksOf(const std::vector<RunOnce>& sittings)
{
    std::map<std::int64_t, std::pair<double, bool>> out;
    for (const auto& sitting : sittings) {
        for (const auto& eval : sitting.evals)
            out[eval.step] = {eval.loss, eval.best};
    }
    return out;
}

std::string adapterBytes(const std::filesystem::path& folder)
{
    return readFile(*train::newestIntactCheckpoint(folder) / "adapter_model.safetensors").value();
}

struct Folder
{
    QTemporaryDir folder;
    operator std::filesystem::path() const { return folder.path().toStdString(); }
};

} // namespace

/// A run is a pure function of settings, rows and seed, however often it is broken off.
class TestResume : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void equalsUnbrokenFromEveryStep_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("schedule");
        QTest::addColumn<QString>("optimizer");
        for (const char* method : {"lora", "full"}) {
            for (const char* schedule : {"cosine", "linear", "constant"})
                QTest::addRow("%s, %s", method, schedule) << method << schedule << "adamw";
        }
        QTest::addRow("full, moments in 8 bits") << "full" << "cosine" << "adamw8bit";
    }
    void equalsUnbrokenFromEveryStep()
    {
        QFETCH(QString, method);
        QFETCH(QString, schedule);
        QFETCH(QString, optimizer);
        auto values = settingsFor(method.toStdString());
        values.set("training.schedule", schedule.toStdString()).value();
        values.set("training.optimizer", optimizer.toStdString()).value();
        const Folder folder;
        const auto whole = carryOut(values, folder);
        QVERIFY(!whole.error);
        QCOMPARE(whole.steps.size(), std::size_t{10});
        QVERIFY(whole.steps[6].epoch < 1 && whole.steps[9].epoch > 1);  // in the middle of a pass, and behind its end
        for (std::int64_t step = 1; step < 10; ++step) {
            if (schedule != "cosine" && step % 4 != 3)
                continue;  // the schedule is a function of the step; two places will do
            const Folder broken;
            const auto first = carryOut(values, broken, {.stopAfter = step});
            QVERIFY(first.stopped);
            const auto second = carryOut(values, broken, {.resume = true});
            QCOMPARE(second.saved.front().step, step);  // the word of it may not have been recorded
            auto steps = first.steps;
            steps.insert(steps.end(), second.steps.begin(), second.steps.end());
            const auto differs = difference(whole, steps, second);
            QVERIFY2(differs.isEmpty(), qPrintable(QString("stopped after %1: ").arg(step) + differs));
            QVERIFY(checksOf({first, second}) == checksOf({whole}));
        }
    }

    void stopInACheckDoesItAgain_data()
    {
        QTest::addColumn<int>("step");
        QTest::addRow("the first one") << 0;
        QTest::addRow("in the middle") << 4;
        QTest::addRow("the last one") << 10;
    }
    void stopInACheckDoesItAgain()
    {
        QFETCH(int, step);
        auto values = settingsFor("lora");
        values.set("lora.dropout", 0.0).value(); // so that some check is better than the first
        const Folder folder, broken;
        const auto whole = carryOut(values, folder);
        const auto first = carryOut(values, broken, {.stopInCheck = step});
        QVERIFY(first.stopped);
        const auto second = carryOut(values, broken, {.resume = step > 0});
        auto steps = first.steps;
        steps.insert(steps.end(), second.steps.begin(), second.steps.end());
        QCOMPARE(difference(whole, steps, second), QString());
        QVERIFY(checksOf({first, second}) == checksOf({whole}));
        QVERIFY(second.evals.front().step == step);
        // The same save points are called the best ones.
        std::set<std::int64_t> wholeBest, best;
        for (const auto& each : whole.saved)
            if (each.best)
                wholeBest.insert(each.step);
        for (const auto* sitting : {&first, &second})
            for (const auto& each : sitting->saved)
                if (each.best)
                    best.insert(each.step);
        QVERIFY(best == wholeBest && !best.empty());
    }

    /// Sums of several threads round differently, so a run keeps the number that it began with.
    void numberOfThreadsChangesNothing()
    {
        const auto values = settingsFor("lora");
        const auto before = at::get_num_threads();
        const Folder folder, broken;
        at::set_num_threads(2);
        const auto whole = carryOut(values, folder);
        const auto first = carryOut(values, broken, {.stopAfter = 5});
        at::set_num_threads(1);
        const auto second = carryOut(values, broken, {.resume = true});
        QCOMPARE(at::get_num_threads(), 1);  // for whatever else the thread does
        at::set_num_threads(before);
        auto steps = first.steps;
        steps.insert(steps.end(), second.steps.begin(), second.steps.end());
        QCOMPARE(difference(whole, steps, second), QString());
        QVERIFY(adapterBytes(folder) == adapterBytes(broken));
    }

    void sameSeedGivesTheSameBytes()
    {
        auto values = settingsFor("lora");
        const Folder one, two, other;
        QVERIFY(!carryOut(values, one).error && !carryOut(values, two).error);
        QVERIFY(adapterBytes(one) == adapterBytes(two));
        values.set("training.learningRate", 1e-3).value();
        QVERIFY(!carryOut(values, other).error);
        QVERIFY(adapterBytes(one) != adapterBytes(other));
    }

    void otherRowsOrSettingsAreNamed()
    {
        const auto values = settingsFor("lora");
        const Folder folder;
        QVERIFY(!carryOut(values, folder).error);
        auto decoder = tinyDecoder();
        auto attached = methods::makeMethod("lora").value()->attach(*decoder, values, Rng(1, "adapter init")).value();
        const auto sft = objectives::makeObjective("sft").value();
        jobs::JobContext context(std::make_shared<jobs::EventQueue>(), {});
        const auto rows = rowsOf(golden("model_tiny.json")["batches"]);
        train::Trainer trainer({*decoder, *attached, *sft, rows, {}, train::TrainerSettings::from(values, 5), folder, "tiny",
                                Json{{"k", 2}}, [](const jobs::Event&) { return Result<void>(); }, {}, {}},
                               context);
        const auto resumed = trainer.resume(*train::newestIntactCheckpoint(folder));
        QVERIFY(!resumed);
        QCOMPARE(resumed.error().what, std::string("the save point was made with another k"));
    }
};

QTEST_GUILESS_MAIN(TestResume)
#include "test_resume.moc"

#include "base/atomic_file.h"
#include "train/training_help.h"

#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;

/// The loop against transformers and peft.
class TestTraining : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void lossCurveEqualsTheReference_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("file");
        QTest::newRow("tiny, add-on") << "lora" << "model_tiny.json";
        QTest::newRow("tiny, whole model") << "full" << "model_tiny.json";
    }
    void lossCurveEqualsTheReference()
    {
        QFETCH(QString, method);
        QFETCH(QString, file);
        const auto all = golden(file.toStdString());
        const auto& expected = all[method.toStdString()];
        auto decoder = tinyDecoder();
        ParamValues values(recipes::trainingSettings());
        if (method == "lora") {
            values.set("lora.rank", expected["rank"]).value();
            values.set("lora.alpha", expected["alpha"].get<double>()).value();
            values.set("lora.dropout", 0.0).value();
        }
        auto attached = methods::makeMethod(method.toStdString()).value()->attach(*decoder, values, Rng(1, "x")).value();
        for (const auto& each : attached->trainable()) {
            if (each.name.ends_with("lora_A.weight"))
                ramp(each.value, 0.2);
        }
        train::Adamw optimizer(attached->trainable(), {0.9, 0.999, 1e-8, expected["weightDecay"].get<double>()});
        auto objective = objectives::makeObjective("sft").value();
        Rng dropout(1, "dropout");
        for (std::size_t step = 0; step < all["batches"].size(); ++step) {
            // Two micro-batches per step: accumulation must equal the reference's one big batch.
            const auto rows = rowsOf(Json::array({all["batches"][step]}));
            std::vector<objectives::Batch> window(2);
            for (std::size_t i = 0; i < rows.size(); ++i)
                window[i % 2].add(rows[i].ids, rows[i].trained, static_cast<std::int64_t>(i));
            objectives::Totals totals;
            for (const auto& batch : window)
                totals["tokens"] += objective->measure(batch).at("tokens");
            objectives::TrainContext context{*decoder, {true, &dropout, step}};
            double sum = 0;
            for (const auto& batch : window) {
                auto loss = objective->compute(context, batch, totals);
                loss.value.backward();
                sum += loss.sum;
            }
            const double norm = optimizer.gradNorm();
            QVERIFY2(near(sum / totals["tokens"], expected["losses"][step].get<double>(), 1e-4, 0),
                     qPrintable(QString("step %1: %2").arg(step).arg(sum / totals["tokens"])));
            QVERIFY2(near(norm, expected["gradNorms"][step].get<double>(), 1e-3, 0), qPrintable(QString("step %1: norm %2").arg(step).arg(norm)));
            optimizer.step(expected["lr"].get<double>(), std::min(1.0, 1.0 / (norm + 1e-6)));
        }
    }

    void microBatchesDoNotChangeTheResult()
    {
        auto values = settingsFor("lora");
        QCOMPARE(values.real("lora.dropout"), 0.1); // masks belong to rows, not to what they are packed with
        QTemporaryDir a, b;
        const auto small = carryOut(values, a.path().toStdString());
        values.set("training.microBatchTokens", 4096).value();
        const auto large = carryOut(values, b.path().toStdString());
        for (std::size_t i = 0; i < small.steps.size(); ++i)
            QVERIFY(near(small.steps[i].loss, large.steps[i].loss, 1e-5, 0));
    }

    void packingChangesNeitherLossNorGradients_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<bool>("wide");
        for (const char* method : {"lora", "full"}) {
            QTest::addRow("%s, float64", method) << method << true;
            QTest::addRow("%s, float32", method) << method << false;
        }
    }
    void packingChangesNeitherLossNorGradients()
    {
        QFETCH(QString, method);
        QFETCH(bool, wide);
        const double limit = wide ? 1e-9 : 1e-5;
        const auto rows = rowsOf(golden("model_tiny.json")["batches"]);
        using Bins = std::vector<std::vector<std::size_t>>;
        const Bins together = {{0, 1, 2, 3, 4, 5}}, single = {{5}, {0}, {3}, {2}, {1}, {4}}, mixed = {{4, 1}, {5, 3, 0}, {2}};
        std::vector<double> losses;
        std::vector<at::Tensor> gradients;
        for (const auto& bins : {together, single, mixed}) {
            auto decoder = tinyDecoder(wide ? at::kDouble : at::kFloat);
            auto values = settingsFor(method.toStdString()); // with dropout
            auto attached = methods::makeMethod(method.toStdString()).value()->attach(*decoder, values, Rng(1, "x")).value();
            for (const auto& each : attached->trainable()) {
                if (each.name.ends_with("lora_B.weight")) { // zero would hide the gradient of A
                    const at::NoGradGuard noGrad;
                    each.value.copy_(at::arange(each.value.numel(), at::kDouble).sin().mul(0.05).view_as(each.value));
                }
            }
            const auto objective = objectives::makeObjective("sft").value();
            std::vector<objectives::Batch> window;
            objectives::Totals totals;
            for (const auto& bin : bins) {
                auto& batch = window.emplace_back();
                for (const auto i : bin)
                    batch.add(rows[i].ids, rows[i].trained, static_cast<std::int64_t>(i));
                totals["tokens"] += objective->measure(batch).at("tokens");
            }
            const Rng dropout(3, "dropout");
            double sum = 0;
            for (const auto& batch : window) {
                objectives::TrainContext context{*decoder, {true, &dropout, 7}};
                const auto places = batch.places();
                context.pass.places = places;
                auto loss = objective->compute(context, batch, totals);
                loss.value.backward();
                sum += loss.value.item<double>();
            }
            losses.push_back(sum);
            std::vector<at::Tensor> all;
            for (const auto& each : attached->trainable())
                all.push_back(each.value.grad().to(at::kDouble).flatten());
            gradients.push_back(at::cat(all));
        }
        const double largest = gradients[0].abs().max().item<double>();
        QVERIFY(largest > 0);
        for (std::size_t i = 1; i < losses.size(); ++i) {
            QVERIFY2(near(losses[i], losses[0], limit, 0), qPrintable(QString("%1 and %2").arg(losses[i], 0, 'g', 15).arg(losses[0], 0, 'g', 15)));
            const double apart = (gradients[i] - gradients[0]).abs().max().item<double>();
            QVERIFY2(apart <= limit * largest, qPrintable(QString("gradients differ by %1 of %2").arg(apart).arg(largest)));
        }
    }

    void aNumberThatIsNoneEndsTheRunBeforeTheWeightsMove()
    {
        const auto values = settingsFor("lora");
        QTemporaryDir folder;
        std::vector<at::Tensor> before;
        Disturbance how;
        how.meddle = [&](std::int64_t step, methods::Attached& attached) {
            if (step != 6)
                return;
            const at::NoGradGuard noGrad;
            attached.trainable()[0].value.flatten()[0].fill_(NAN);
            for (const auto& each : attached.trainable())
                before.push_back(each.value.detach().clone());
        };
        const auto run = carryOut(values, folder.path().toStdString(), how);
        QVERIFY(run.error);
        QVERIFY(run.error->code == ErrorCode::Diverged);
        QCOMPARE(run.steps.size(), std::size_t{6});
        QVERIFY(run.error->what.find("step 7") != std::string::npos);
        QVERIFY2(run.error->where.starts_with("step 7, rows "), run.error->where.c_str());
        QVERIFY2(run.error->remedy.find("--rate 0.5") != std::string::npos, run.error->remedy.c_str());
        for (std::size_t i = 1; i < before.size(); ++i)
            QVERIFY(at::equal(before[i], run.weights[i]));
        QVERIFY(train::newestIntactCheckpoint(folder.path().toStdString()).has_value());
    }

    void bestSavePointIsKept()
    {
        auto values = settingsFor("lora");
        values.set("checkpoints.keep", 1).value();
        values.set("training.learningRate", 0.5).value();  // gets worse soon
        values.set("training.clipNorm", 0.0).value();
        QTemporaryDir folder;
        const auto run = carryOut(values, folder.path().toStdString());
        std::int64_t best = 0;
        for (const auto& eval : run.evals) {
            if (eval.best)
                best = eval.step;
        }
        const auto all = train::listCheckpoints(folder.path().toStdString());
        if (best > 0)
            QVERIFY(std::ranges::any_of(all, [&](const auto& p) { return p.filename() == "step-" + std::string(7 - std::to_string(best).size(), '0') + std::to_string(best); }));
        QVERIFY(!all.empty() && all.size() <= 2);
    }

    void adapterIsSilentBeforeTheFirstStep()
    {
        const at::NoGradGuard noGrad;
        auto decoder = tinyDecoder();
        model::PackedTokens tokens;
        tokens.add(golden("model_tiny.json")["ids"].get<std::vector<std::int32_t>>());
        const auto before = decoder->hidden(tokens);
        auto values = settingsFor("lora");
        auto attached = methods::makeMethod("lora").value()->attach(*decoder, values, Rng(3, "x")).value();
        QVERIFY(at::equal(decoder->hidden(tokens), before));
        for (const auto& each : attached->trainable())
            ramp(each.value, 0.1);
        const auto changed = decoder->hidden(tokens);
        QVERIFY(!at::equal(changed, before));
        attached->setEnabled(false);
        QVERIFY(at::equal(decoder->hidden(tokens), before));
        attached->setEnabled(true);
        attached->merge().value();
        QVERIFY((decoder->hidden(tokens) - changed).abs().max().item<float>() < 1e-4f);
    }

    void wrongTargetsAreNamed_data()
    {
        QTest::addColumn<QString>("key");
        QTest::addColumn<QString>("value");
        QTest::addColumn<QString>("says");
        QTest::newRow("unknown matrix") << "lora.targets" << "q_proj,c_attn" << "c_attn";
        QTest::newRow("rank larger than the matrix") << "lora.rank" << "64" << "larger than the matrix";
    }
    void wrongTargetsAreNamed()
    {
        QFETCH(QString, key);
        QFETCH(QString, value);
        QFETCH(QString, says);
        auto decoder = tinyDecoder();
        ParamValues values(recipes::trainingSettings());
        values.setText(key.toStdString(), value.toStdString()).value();
        auto attached = methods::makeMethod("lora").value()->attach(*decoder, values, Rng(3, "x"));
        QVERIFY(!attached);
        QVERIFY2(attached.error().sentence().find(says.toStdString()) != std::string::npos, attached.error().sentence().c_str());
    }

    void packingIsFirstFitLongestFirst()
    {
        const std::vector<std::int64_t> lengths = {3, 5, 2, 4, 1};
        const auto bins = train::packFirstFit(lengths, 6);
        QCOMPARE(bins.size(), std::size_t{3});
        QCOMPARE(bins[0], (std::vector<std::size_t>{1, 4}));
        QCOMPARE(bins[1], (std::vector<std::size_t>{3, 2}));
        QCOMPARE(bins[2], (std::vector<std::size_t>{0}));
    }

    void eachPassReadsEveryRowOnce()
    {
        const train::BatchPlan plan(std::vector<std::int64_t>(23, 10), 4, 25, 9);
        QCOMPARE(plan.stepsPerPass(), std::int64_t{6});
        for (std::int64_t pass = 0; pass < 3; ++pass) {
            std::vector<int> seen(23, 0);
            for (std::int64_t step = 0; step < 6; ++step) {
                for (const auto& bin : plan.window(pass * 6 + step)) {
                    QVERIFY(bin.size() <= 2);
                    for (const auto row : bin)
                        ++seen[row];
                }
            }
            QVERIFY(std::ranges::all_of(seen, [](int n) { return n == 1; }));
        }
    }

    void schedules_data()
    {
        QTest::addColumn<QString>("kind");
        QTest::addColumn<int>("step");
        QTest::addColumn<double>("rate");
        QTest::newRow("warm-up starts at nothing") << "linear" << 0 << 0.0;
        QTest::newRow("half of the warm-up") << "linear" << 5 << 0.5;
        QTest::newRow("peak") << "linear" << 10 << 1.0;
        QTest::newRow("half way down") << "linear" << 55 << 0.5;
        QTest::newRow("cosine half way") << "cosine" << 55 << 0.5;
        QTest::newRow("cosine quarter") << "cosine" << 32 << 0.5 * (1 + std::cos(M_PI * 22.0 / 90.0));
        QTest::newRow("constant") << "constant" << 99 << 1.0;
    }
    void schedules()
    {
        QFETCH(QString, kind);
        QFETCH(int, step);
        QFETCH(double, rate);
        const train::Schedule schedule{kind.toStdString(), 1.0, 10, 100};
        QVERIFY(near(schedule.at(step), rate, 1e-12, 1e-12));
    }
};

QTEST_GUILESS_MAIN(TestTraining)
#include "test_training.moc"

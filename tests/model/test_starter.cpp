#include "generate/generator.h"
#include "golden.h"
#include "methods/method.h"
#include "model/import/import.h"
#include "model/load.h"
#include "objectives/objective.h"
#include "recipes/loaded_model.h"
#include "recipes/settings.h"
#include "tensor/ops.h"
#include "train/optimizers/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <QTemporaryDir>
#include <QTest>
#include <torch/csrc/autograd/autograd.h>

using namespace fettle;
using namespace fettle::tests;

/// The real starter model, imported from its GGUF file, against transformers and peft.
class TestStarter : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        const auto gguf = starterGguf();
        if (gguf.empty())
            QSKIP("the starter model's GGUF is not in the cache; packaging/setup.sh puts it there");
        m_folder = std::filesystem::path(m_place.path().toStdString()) / "starter";
        auto imported = model::importModel(gguf, m_folder);
        QVERIFY2(imported, imported ? "" : imported.error().sentence().c_str());
        m_encoder = recipes::loadEncoder(m_folder).value();
        m_golden = golden("model_starter.json");
    }

    void idsAndRenderingEqualTheReference()
    {
        for (const auto& prompt : m_golden["prompts"]) {
            const text::Messages messages = {{{"role", "user"}, {"content", prompt["text"]}}};
            const auto rendered = m_encoder.chatTemplate->render(messages, {.addGenerationPrompt = true}).value();
            QCOMPARE(text::joined(rendered), prompt["rendered"].get<std::string>());
            QCOMPARE(text::encodePrompt(*m_encoder.tokenizer, *m_encoder.chatTemplate, messages).value(),
                     prompt["ids"].get<std::vector<std::int32_t>>());
        }
        QCOMPARE(m_encoder.tokenizer->encode(m_golden["score"]["text"].get<std::string>()),
                 m_golden["score"]["ids"].get<std::vector<std::int32_t>>());
    }

    void logProbabilitiesEqualTheReference()
    {
        const at::NoGradGuard noGrad;
        auto decoder = load();
        model::PackedTokens tokens;
        tokens.add(m_golden["score"]["ids"].get<std::vector<std::int32_t>>());
        tensor::HeadLossInfo info;
        const std::vector<std::int64_t> labels(tokens.ids.begin() + 1, tokens.ids.end());
        decoder->loss(decoder->hidden(tokens).narrow(0, 0, tokens.size() - 1), labels, 1, info);
        const auto expected = m_golden["score"]["logprobs"].get<std::vector<double>>();
        double largest = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            largest = std::max(largest, std::abs(-info.nll[i] - expected[i]));
        qInfo("largest difference of a log-probability: %.2g", largest);
        QVERIFY(largest < 1e-4);
    }

    void greedyContinuationsEqualTheReference()
    {
        auto decoder = load();
        for (const auto& prompt : m_golden["prompts"]) {
            generate::Settings settings;
            settings.maxNewTokens = 24;
            const auto written = generate::generate(*decoder, *m_encoder.tokenizer, {prompt["ids"].get<std::vector<std::int32_t>>()}, settings);
            QCOMPARE(written[0].ids, prompt["greedy"].get<std::vector<std::int32_t>>());
        }
    }

    void lossCurveEqualsTheReference_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("add-on") << "lora";
        QTest::newRow("whole model") << "full";
    }
    void lossCurveEqualsTheReference()
    {
        QFETCH(QString, method);
        const auto& expected = m_golden[method.toStdString()];
        auto decoder = load();
        ParamValues values(recipes::trainingSettings());
        if (method == "lora") {
            values.set("lora.rank", expected["rank"]).value();
            values.set("lora.alpha", expected["alpha"].get<double>()).value();
            values.set("lora.dropout", 0.0).value();
        }
        auto attached = methods::makeMethod(method.toStdString()).value()->attach(*decoder, values, Rng(1, "x")).value();
        startAdapter(*attached);
        train::Adamw optimizer(attached->trainable(), {});
        auto objective = objectives::makeObjective("sft").value();
        double largest = 0;
        for (std::size_t step = 0; step < m_golden["batches"].size(); ++step) {
            objectives::Batch batch;
            for (const auto& row : m_golden["batches"][step])
                batch.add(row["ids"].get<std::vector<std::int32_t>>(), row["trained"].get<std::vector<std::uint8_t>>(), 0);
            const Rng dropout(1, "dropout");
            objectives::TrainContext context{*decoder, {true, &dropout, step}};
            auto loss = objective->compute(context, batch, objective->measure(batch));
            loss.value.backward();
            const double reference = expected["losses"][step].get<double>();
            largest = std::max(largest, std::abs(loss.sum / loss.weight - reference) / reference);
            const double norm = optimizer.gradNorm();
            optimizer.step(expected["lr"].get<double>(), std::min(1.0, 1.0 / (norm + 1e-6)));
        }
        qInfo("largest relative difference of a loss over ten steps: %.2g", largest);
        QVERIFY(largest < 1e-3);
    }

private:
    std::unique_ptr<model::Decoder> load() const
    {
        auto files = model::ModelFiles::open(m_folder).value();
        return model::loadDecoder(files, c10::kCPU, at::kFloat).value();
    }
    /// The same start as in the reference script.
    static void startAdapter(const methods::Attached& attached)
    {
        const at::NoGradGuard noGrad;
        for (const auto& each : attached.trainable()) {
            if (!each.name.ends_with("lora_A.weight"))
                continue;
            at::Tensor a = each.value;
            float* p = a.data_ptr<float>();
            for (std::int64_t k = 0; k < a.numel(); ++k)
                p[k] = (static_cast<float>((k * 7919) % 1000) / 1000.0f - 0.5f) * 0.2f;
        }
    }

    QTemporaryDir m_place;
    std::filesystem::path m_folder;
    recipes::Encoder m_encoder;
    Json m_golden;
};

QTEST_GUILESS_MAIN(TestStarter)
#include "test_starter.moc"

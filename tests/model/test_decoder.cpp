#include "generate/generator.h"
#include "golden.h"
#include "model/load.h"
#include "objectives/objective.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/ops.h"

#include <ATen/ATen.h>
#include <QTest>
#include <set>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

using namespace fettle;
using namespace fettle::tests;

namespace {

std::unique_ptr<model::Decoder> tinyDecoder(at::ScalarType dtype)
{
    auto files = model::ModelFiles::open(sourceFolder() / "tests/fixtures/tiny_llama").value();
    return model::loadDecoder(files, c10::kCPU, dtype).value();
}

double largestDifference(const at::Tensor& a, const at::Tensor& b)
{
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

model::PackedTokens packed(const std::vector<std::vector<std::int32_t>>& documents)
{
    model::PackedTokens tokens;
    for (const auto& document : documents)
        tokens.add(document);
    return tokens;
}

} // namespace

/// The decoder against transformers, and its fast path against the readable one.
class TestDecoder : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_golden = golden("model_tiny.json"); }

    void logProbabilitiesEqualTheReference_data()
    {
        QTest::addColumn<bool>("wide");
        QTest::newRow("float32") << false;
        QTest::newRow("float64") << true;
    }
    void logProbabilitiesEqualTheReference()
    {
        QFETCH(bool, wide);
        const at::NoGradGuard noGrad;
        auto decoder = tinyDecoder(wide ? at::kDouble : at::kFloat);
        const auto ids = m_golden["ids"].get<std::vector<std::int32_t>>();
        const auto tokens = packed({ids});
        const auto hidden = decoder->hidden(tokens);
        tensor::HeadLossInfo info;
        const std::vector<std::int64_t> labels(tokens.ids.begin() + 1, tokens.ids.end());
        decoder->loss(hidden.narrow(0, 0, tokens.size() - 1), labels, 1, info);
        const auto expected = m_golden["logprobs"].get<std::vector<double>>();
        // The reference takes its norms and angles in float32 even in a float64 model, hence 1e-7.
        const double tolerance = wide ? 1e-7 : 1e-5;
        QCOMPARE(info.nll.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            QVERIFY2(near(-info.nll[i], expected[i], tolerance, tolerance),
                     qPrintable(QString("token %1: %2 against %3").arg(i).arg(-info.nll[i], 0, 'g', 12).arg(expected[i], 0, 'g', 12)));
        const auto last = decoder->logits(hidden.narrow(0, tokens.size() - 1, 1)).squeeze(0);
        const auto reference = at::tensor(at::ArrayRef<double>(m_golden["lastLogits"].get<std::vector<double>>()));
        QVERIFY(largestDifference(last, reference) < (wide ? 1e-6 : 1e-4));
    }

    void gradientsEqualTheReference()
    {
        auto decoder = tinyDecoder(at::kDouble);
        for (auto& [name, parameter] : decoder->parameters())
            *parameter = parameter->clone().set_requires_grad(true);
        decoder->tie();
        const auto ids = m_golden["ids"].get<std::vector<std::int32_t>>();
        objectives::Batch batch;
        batch.add(ids, std::vector<std::uint8_t>(ids.size(), 1), 0);
        auto objective = objectives::makeObjective("sft").value();
        objectives::TrainContext context{*decoder, {}};
        auto loss = objective->compute(context, batch, objective->measure(batch));
        QVERIFY(near(loss.value.item<double>(), m_golden["lossAll"].get<double>(), 1e-7, 0));
        loss.value.backward();
        for (auto& [name, parameter] : decoder->parameters()) {
            const auto& expected = m_golden["gradients"][name];
            QVERIFY2(near(parameter->grad().norm().item<double>(), expected["norm"].get<double>(), 1e-5, 1e-8),
                     qPrintable(QString("%1: %2 against %3").arg(name.c_str()).arg(parameter->grad().norm().item<double>(), 0, 'g', 10).arg(expected["norm"].get<double>(), 0, 'g', 10)));
            const auto flat = parameter->grad().flatten();
            for (int i = 0; i < 4; ++i)
                QVERIFY2(near(flat[i].item<double>(), expected["first"][static_cast<std::size_t>(i)].get<double>(), 1e-5, 1e-8), name.c_str());
        }
    }

    void fastPathEqualsReadablePath()
    {
        const std::vector<std::vector<std::int32_t>> documents = {{5, 9, 70, 31, 8}, {12}, {40, 41, 42, 43, 44, 45, 46, 300}};
        std::vector<at::Tensor> losses, gradients;
        for (const bool reference : {false, true}) {
            std::optional<tensor::ReferenceOps> slow;
            if (reference)
                slow.emplace();
            auto decoder = tinyDecoder(at::kFloat);
            for (auto& [name, parameter] : decoder->parameters())
                *parameter = parameter->clone().set_requires_grad(true);
            decoder->tie();
            objectives::Batch batch;
            for (const auto& document : documents)
                batch.add(document, std::vector<std::uint8_t>(document.size(), 1), 0);
            auto objective = objectives::makeObjective("sft").value();
            objectives::TrainContext context{*decoder, {}};
            auto loss = objective->compute(context, batch, objective->measure(batch));
            loss.value.backward();
            losses.push_back(loss.value.detach());
            std::vector<at::Tensor> all;
            for (auto& [name, parameter] : decoder->parameters())
                all.push_back(parameter->grad().flatten());
            gradients.push_back(at::cat(all));
        }
        QVERIFY(largestDifference(losses[0], losses[1]) < 1e-5);
        QVERIFY(largestDifference(gradients[0], gradients[1]) < 2e-5);
    }

    void packedDocumentsDoNotSeeEachOther()
    {
        const at::NoGradGuard noGrad;
        auto decoder = tinyDecoder(at::kFloat);
        const std::vector<std::int32_t> a = {5, 9, 70, 31, 8, 90, 11}, b = {40, 41, 42};
        const auto together = decoder->hidden(packed({a, b}));
        QVERIFY(largestDifference(together.narrow(0, 0, 7), decoder->hidden(packed({a}))) < 1e-5);
        QVERIFY(largestDifference(together.narrow(0, 7, 3), decoder->hidden(packed({b}))) < 1e-5);
    }

    void cachedGenerationEqualsUncached()
    {
        const at::NoGradGuard noGrad;
        auto decoder = tinyDecoder(at::kFloat);
        const auto ids = m_golden["ids"].get<std::vector<std::int32_t>>();
        const std::vector<std::int32_t> other(ids.begin() + 3, ids.begin() + 20);
        auto tokenizer = text::Tokenizer::load(sourceFolder() / "tests/fixtures/tiny_llama").value();
        generate::Settings settings;
        settings.maxNewTokens = 24;
        const auto written = generate::generate(*decoder, *tokenizer, {ids, other}, settings);
        QCOMPARE(written[0].ids, m_golden["greedy"].get<std::vector<std::int32_t>>());
        auto sequence = other;
        for (const auto id : written[1].ids) {
            const auto hidden = decoder->hidden(packed({sequence}));
            const auto best = decoder->logits(hidden.narrow(0, hidden.size(0) - 1, 1)).argmax().item<std::int64_t>();
            QCOMPARE(static_cast<std::int64_t>(id), best);
            sequence.push_back(id);
        }
    }

    void aFreeSlotTakesTheNextPrompt()
    {
        const at::NoGradGuard noGrad;
        auto decoder = tinyDecoder(at::kFloat);
        const auto ids = m_golden["ids"].get<std::vector<std::int32_t>>();
        auto tokenizer = text::Tokenizer::load(sourceFolder() / "tests/fixtures/tiny_llama").value();
        std::vector<std::vector<std::int32_t>> prompts;
        for (int i = 0; i < 9; ++i)
            prompts.emplace_back(ids.begin() + i, ids.begin() + i + 4 + i * 7 % 5);
        generate::Settings settings;
        settings.maxNewTokens = 20;
        settings.temperature = 1; // answers of very different lengths
        for (std::int32_t id = 0; id < 40; ++id) // ends often
            settings.stopIds.push_back(id * 3);
        std::set<std::size_t> lengths;
        std::vector<std::size_t> finished;
        const auto together = generate::generate(
            *decoder, *tokenizer, prompts, settings,
            {.progress = [&](std::size_t count) { finished.push_back(count); }}, 3);
        const auto all = generate::generate(*decoder, *tokenizer, prompts, settings, {}, 9);
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            QCOMPARE(together[i].ids, all[i].ids);
            QCOMPARE(together[i].stoppedBy, all[i].stoppedBy);
            lengths.insert(all[i].ids.size());
        }
        QVERIFY(lengths.size() > 2);
        QCOMPARE(finished.size(), prompts.size());
        QCOMPARE(finished.back(), prompts.size());
    }

    void headLossGradientIsTheDerivative()
    {
        const auto rows = at::randn({5, 6}, at::kDouble).set_requires_grad(true);
        const auto weight = at::randn({11, 6}, at::kDouble).set_requires_grad(true);
        const std::vector<std::int64_t> labels = {0, 3, 10, 5, 5};
        tensor::HeadLossInfo info;
        tensor::headLoss(rows, {weight}, labels, 0.25, info).backward();
        const double step = 1e-6;
        for (const auto& parameter : {rows, weight}) {
            const auto grad = parameter.grad().flatten();
            auto flat = parameter.detach().view(-1);
            for (std::int64_t i = 0; i < flat.numel(); i += 7) {
                const double keep = flat[i].item<double>();
                const auto lossAt = [&](double value) {
                    flat[i].fill_(value);
                    tensor::HeadLossInfo scratch;
                    tensor::headLoss(rows.detach(), {weight.detach()}, labels, 0.25, scratch);
                    return 0.25 * scratch.total();
                };
                const double slope = (lossAt(keep + step) - lossAt(keep - step)) / (2 * step);
                flat[i].fill_(keep);
                QVERIFY(near(grad[i].item<double>(), slope, 1e-6, 1e-8));
            }
        }
    }

    void lossOfNoRowsIsZeroWithAGraph()
    {
        auto rows = at::empty({0, 6}).set_requires_grad(true);
        tensor::HeadLossInfo info;
        auto loss = tensor::headLoss(rows, {at::randn({11, 6})}, {}, 1.0, info);
        QCOMPARE(loss.item<float>(), 0.0f);
        loss.backward();
    }

    void kernelVariantsAgree_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name : {"AVX2", "AVX-512"})
            QTest::newRow(name) << QString(name);
    }
    void kernelVariantsAgree()
    {
        QFETCH(QString, name);
        const auto* kernels = tensor::cpuKernelsNamed(qPrintable(name));
        if (!kernels)
            QSKIP("this machine does not have the instruction set");
        const auto* base = tensor::cpuKernelsNamed("baseline");
        const auto x = at::randn({3, 77}), w = at::randn({77});
        const auto a = at::empty_like(x), b = at::empty_like(x);
        const tensor::NormWeights norm{w.const_data_ptr<float>(), nullptr, 77, 1e-5f};
        base->norm(norm, x.const_data_ptr<float>(), a.data_ptr<float>(), 3);
        kernels->norm(norm, x.const_data_ptr<float>(), b.data_ptr<float>(), 3);
        QVERIFY(largestDifference(a, b) < 1e-5);
        auto l1 = at::randn({1000}) * 5, l2 = l1.clone();
        std::int64_t best1 = 0, best2 = 0;
        const double n1 = base->lossRow(l1.data_ptr<float>(), 1000, 17, 1, &best1);
        const double n2 = kernels->lossRow(l2.data_ptr<float>(), 1000, 17, 1, &best2);
        QVERIFY(near(n1, n2, 1e-5, 1e-6));
        QCOMPARE(best1, best2);
        QVERIFY(largestDifference(l1, l2) < 1e-5);
    }

private:
    Json m_golden;
};

QTEST_GUILESS_MAIN(TestDecoder)
#include "test_decoder.moc"

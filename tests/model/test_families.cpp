#include "deploy/export.h"
#include "family_help.h"
#include "model/experts.h"
#include "parity.h"
#include "tensor/ops.h"

#include <ATen/core/grad_mode.h>
#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;

namespace {

std::unique_ptr<model::Decoder> familyDecoder(const std::string& name, at::ScalarType dtype)
{
    return model::loadDecoder(familyFiles(name), c10::kCPU, dtype).value();
}

} // namespace

/// Every family against transformers, on random tiny checkpoints.
class TestFamilies : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_golden = familyGolden("families.json"); }

    void equalsTheReference_data()
    {
        QTest::addColumn<QString>("name");
        for (const auto& [name, expected] : m_golden["families"].items())
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
    void equalsTheReference()
    {
        QFETCH(QString, name);
        const auto family = name.toStdString();
        const auto& expected = m_golden["families"][family];
        const auto first = m_golden["first"].get<std::vector<std::int32_t>>();
        const auto second = m_golden["second"].get<std::vector<std::int32_t>>();
        auto decoder = familyDecoder(family, at::kFloat);
        model::PackedTokens tokens;
        tokens.add(first);
        const bool byLength =
            decoder->config.rope.type == "dynamic" || decoder->config.rope.type == "longrope";
        if (!byLength) // these turn by the longest document of a pass
            tokens.add(second);
        double largest = 0;
        {
            const at::NoGradGuard noGrad;
            const auto logits = decoder->logits(decoder->hidden(tokens));
            largest = difference(logits, expected["logits"]);
            if (!byLength)
                largest = std::max(largest, difference(logits, expected["second"],
                                                       static_cast<std::int64_t>(first.size())));
            auto wide = familyDecoder(family, at::kDouble);
            model::PackedTokens one;
            one.add(first);
            const auto exact =
                wide->logits(wide->hidden(one))[static_cast<std::int64_t>(first.size()) - 1];
            const auto logitsWide = expected["logitsWide"].get<Numbers>();
            const double wideDifference = difference(exact, logitsWide);
            qInfo("largest difference of a logit: %.2g in float32, %.2g in float64", largest,
                  wideDifference);
            QVERIFY(wideDifference < limitBeside(logitsWide));
        }
        QVERIFY(largest < 1e-4);
        parity(family, "logits", largest);
    }

    void gradientsEqualTheReference_data() { equalsTheReference_data(); }
    void gradientsEqualTheReference()
    {
        QFETCH(QString, name);
        const auto& expected = m_golden["families"][name.toStdString()];
        const auto first = m_golden["first"].get<std::vector<std::int32_t>>();
        auto decoder = familyDecoder(name.toStdString(), at::kFloat);
        makeTrainable(*decoder);
        model::PackedTokens tokens;
        tokens.add(first);
        const std::vector<std::int64_t> labels(tokens.ids.begin() + 1, tokens.ids.end());
        tensor::HeadLossInfo info;
        const auto count = static_cast<double>(labels.size());
        const auto hidden = decoder->hidden(tokens);
        auto loss = decoder->loss(hidden.narrow(0, 0, tokens.size() - 1), labels, 1 / count, info);
        QVERIFY(near(loss.item<double>(), expected["loss"].get<double>(), 1e-5, 0));
        loss.backward();
        double largest = 0;
        const auto wrong = wrongGradient(*decoder, expected["gradients"], largest);
        QVERIFY2(wrong.empty(), wrong.c_str());
        parity(name.toStdString(), "gradients", largest);
    }

    void cachedGenerationEqualsTheReference_data() { equalsTheReference_data(); }
    void cachedGenerationEqualsTheReference()
    {
        QFETCH(QString, name);
        const at::NoGradGuard noGrad;
        const auto& expected = m_golden["families"][name.toStdString()];
        auto decoder = familyDecoder(name.toStdString(), at::kFloat);
        const auto first = m_golden["first"].get<std::vector<std::int32_t>>();
        model::PackedTokens tokens;
        tokens.add(first);
        auto cache = decoder->makeCache(1, 32);
        const std::vector<std::int64_t> slots = {0};
        std::vector<std::int32_t> written;
        auto hidden = decoder->prefill(tokens, cache, slots).narrow(0, tokens.size() - 1, 1);
        for (int i = 0; i < 8; ++i) {
            const auto next = decoder->logits(hidden).argmax(-1).item<std::int64_t>();
            written.push_back(static_cast<std::int32_t>(next));
            hidden = decoder->decode(std::vector<std::int64_t>{next}, cache, slots);
        }
        QCOMPARE(written, expected["greedy"].get<std::vector<std::int32_t>>());
        parity(name.toStdString(), "generation", 0);
    }

    void aWrittenFolderAnswersTheSame_data() { equalsTheReference_data(); }
    void aWrittenFolderAnswersTheSame()
    {
        QFETCH(QString, name);
        const at::NoGradGuard noGrad;
        QTemporaryDir place;
        const auto target = std::filesystem::path(place.path().toStdString()) / "written";
        auto decoder = familyDecoder(name.toStdString(), at::kFloat);
        const auto written =
            deploy::exportModel(*decoder, familyFolder(name.toStdString()), target, {});
        QVERIFY2(written, written ? "" : written.error().sentence().c_str());
        auto again = model::loadDecoder(model::ModelFiles::open(target).value(), c10::kCPU,
                                        at::kFloat)
                         .value();
        model::PackedTokens tokens;
        tokens.add(m_golden["first"].get<std::vector<std::int32_t>>());
        const auto before = decoder->logits(decoder->hidden(tokens)),
                   after = again->logits(again->hidden(tokens));
        QVERIFY(at::equal(before, after));
        parity(name.toStdString(), "Hugging Face folder", 0);
    }

    void balanceLossEqualsTheReference_data()
    {
        QTest::addColumn<QString>("name");
        for (const auto& [name, expected] : m_golden["families"].items()) {
            if (expected.contains("balance"))
                QTest::newRow(name.c_str()) << QString::fromStdString(name);
        }
    }
    void balanceLossEqualsTheReference()
    {
        QFETCH(QString, name);
        const auto& expected = m_golden["families"][name.toStdString()]["balance"];
        auto decoder = familyDecoder(name.toStdString(), at::kFloat);
        makeTrainable(*decoder);
        model::PackedTokens tokens;
        tokens.add(m_golden["first"].get<std::vector<std::int32_t>>());
        std::vector<at::Tensor> routed;
        model::PassContext pass;
        pass.routerLogits = &routed;
        decoder->hidden(tokens, pass);
        const auto loss = model::balanceLoss(routed, decoder->config.experts.perToken);
        QVERIFY(near(loss.item<double>(), expected["value"].get<double>(), 1e-6, 0));
        loss.backward();
        std::size_t checked = 0;
        for (auto& [path, parameter] : decoder->parameters()) {
            if (!expected["gradients"].contains(path))
                continue;
            const auto ours = probes(parameter->grad());
            const auto theirs = expected["gradients"][path].get<std::vector<double>>();
            for (std::size_t i = 0; i < ours.size(); ++i)
                QVERIFY2(std::abs(ours[i] - theirs[i]) <= 1e-5 * theirs[0], path.c_str());
            ++checked;
        }
        QCOMPARE(checked, expected["gradients"].size());
    }

private:
    Json m_golden;
};

QTEST_APPLESS_MAIN(TestFamilies)
#include "test_families.moc"

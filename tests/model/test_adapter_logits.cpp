#include "model/adapter_help.h"
#include "model/import/adapter_merge.h"
#include "model/load.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::testing;
namespace fs = std::filesystem;

/// Merged models answer as peft does with base and adapter.
class TestAdapterLogits : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() { m_golden = adapterGolden(); }
    void equalPeft_data();
    void equalPeft();

private:
    Json m_golden;
};

void TestAdapterLogits::equalPeft_data()
{
    QTest::addColumn<QString>("name");
    for (const auto& [name, expected] : m_golden["cases"].items())
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
}

void TestAdapterLogits::equalPeft()
{
    QFETCH(QString, name);
    const auto& expected = m_golden["cases"][name.toStdString()];
    const QTemporaryDir folder;
    const auto base = makeBase(folder.path().toStdString(), expected["family"]);
    const auto target = fs::path(folder.path().toStdString()) / "merged";
    const auto merged =
        model::mergeAdapter(fixtures() / "adapters" / name.toStdString(), base, target);
    QVERIFY2(merged, merged ? "" : merged.error().sentence().c_str());
    auto files = model::ModelFiles::open(target).value();
    auto decoder = model::loadDecoder(files, c10::kCPU, at::kFloat).value();
    model::PackedTokens tokens;
    tokens.add(m_golden["first"].get<std::vector<std::int32_t>>());
    const at::NoGradGuard noGrad;
    const at::Tensor logits = decoder->logits(decoder->hidden(tokens)).contiguous();
    const auto* values = logits.const_data_ptr<float>();
    double largest = 0;
    std::int64_t at = 0;
    for (const auto& row : expected["logits"]) {
        for (const auto& value : row)
            largest = std::max(largest, std::abs(values[at++] - value.get<double>()));
    }
    QCOMPARE(at, logits.numel());
    qInfo("largest difference of a logit: %.2g", largest);
    QVERIFY(largest < 1e-5);
}

QTEST_GUILESS_MAIN(TestAdapterLogits)
#include "test_adapter_logits.moc"

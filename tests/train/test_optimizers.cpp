#include "golden.h"
#include "tensor/files/four_bit.h"
#include "tensor/torch_pch.h"
#include "train/optimizers/adamw.h"

#include <QTest>
#include <algorithm>
#include <cmath>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::train;

namespace {

/// The numbers that tests/oracles/make_optimizer_goldens.py starts from.
at::Tensor ramp(std::int64_t count, std::int64_t shift, float scale)
{
    const auto k = at::arange(count, at::kLong) + shift;
    return ((k * 7919).remainder(1000).to(at::kFloat) / 1000 - 0.5) * scale;
}

methods::TrainableTensor leaf(const at::Tensor& value, bool table = false)
{
    return {"weight", value.clone().set_requires_grad(true), true, table};
}

} // namespace

class TestOptimizers : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_golden = golden("adamw8bit.json"); }

    void mapsAreThoseOfBitsandbytes()
    {
        for (const bool isSigned : {false, true}) {
            const auto& own = tensor::dynamicMap(isSigned);
            const auto other = m_golden[isSigned ? "signed" : "unsigned"].get<std::vector<float>>();
            QCOMPARE(other.size(), own.size());
            for (std::size_t i = 0; i < own.size(); ++i)
                QVERIFY2(std::abs(own[i] - other[i]) <= 1e-6f * std::abs(other[i]), qPrintable(QString("%1").arg(i)));
        }
    }

    void codesAreTheNearestValues()
    {
        for (const bool isSigned : {false, true}) {
            // Values of one size, then thousands over nine decades; the last block is short.
            constexpr std::int64_t kCount = 20'000;
            BlockwiseMoment moment(kCount, isSigned);
            auto values = ramp(kCount, 5, 3) * at::pow(10.0, at::arange(kCount).div(256, "floor").remainder(9) * -1.0 *
                                                                 at::arange(kCount).remainder(2)).to(at::kFloat);
            if (!isSigned)
                values = values.abs();
            const float* p = values.const_data_ptr<float>();
            std::vector<float> back(kCount + 256);
            for (std::int64_t block = 0; block < moment.blocks(); ++block) {
                moment.encode(block, p + block * 256);
                moment.decode(block, back.data() + block * 256);
            }
            const auto& map = tensor::dynamicMap(isSigned);
            for (std::int64_t i = 0; i < kCount; ++i) {
                const float scale = moment.scales().const_data_ptr<float>()[i / 256];
                double best = INFINITY;
                for (const float value : map)
                    best = std::min(best, std::abs(static_cast<double>(value) * scale - p[i]));
                QVERIFY(std::abs(std::abs(back[static_cast<std::size_t>(i)] - p[i]) - best) < 1e-6 * std::abs(p[i]) + 1e-12);
            }
        }
    }

    void stepsAreThoseOfTheReference()
    {
        const auto& g = m_golden;
        const std::int64_t count = g["count"], every = g["every"];
        auto tensor = leaf(ramp(count, 0, 0.2f));
        QVERIFY(keepsEightBits(tensor));
        Adamw optimizer({tensor}, {g["beta1"], g["beta2"], g["epsilon"], g["weightDecay"], true});
        const auto sizes = at::pow(at::full({}, 4.0f), -at::arange(count, at::kLong).remainder(3).to(at::kFloat));
        std::int64_t step = 0, apart = 0, seen = 0;
        for (const auto& points : g["points"]) {
            tensor.value.mutable_grad() = ramp(count, 104729 * ++step, 1) * sizes;
            optimizer.step(g["rate"], 1);
            for (std::size_t i = 0; i < points.size(); ++i) {
                const float own = tensor.value.detach()[static_cast<std::int64_t>(i) * every].item<float>();
                apart += std::abs(own - points[i].get<float>()) > 2e-6;
                ++seen;
            }
        }
        // A value halfway between two codes may fall on the other side.
        QVERIFY2(apart <= seen / 100, qPrintable(QString("%1 of %2").arg(apart).arg(seen)));
    }

    void staysNearTheWholeMoments()
    {
        auto whole = leaf(ramp(8192, 3, 0.2f)), coded = leaf(ramp(8192, 3, 0.2f));
        Adamw a({whole}, {}), b({coded}, {0.9, 0.999, 1e-8, 0, true});
        for (std::int64_t step = 0; step < 20; ++step) {
            whole.value.mutable_grad() = ramp(8192, step * 31, 1);
            coded.value.mutable_grad() = ramp(8192, step * 31, 1);
            a.step(1e-3, 1);
            b.step(1e-3, 1);
        }
        const double moved = (whole.value - ramp(8192, 3, 0.2f)).norm().item<double>();
        const double apart = (whole.value - coded.value).norm().item<double>();
        QVERIFY(apart > 0);
        QVERIFY2(apart < 0.05 * moved, qPrintable(QString("%1 of %2").arg(apart).arg(moved)));
    }

    void tablesAndSmallTensorsStayWhole()
    {
        QVERIFY(!keepsEightBits(leaf(at::zeros({100, 64}), true)));
        QVERIFY(!keepsEightBits(leaf(at::zeros({4095}))));
        QVERIFY(keepsEightBits(leaf(at::zeros({4096}))));
    }

    /// Of a tensor that the processor's kernels do not take, as none of a card is: they come, and go back to
    /// where they were.
    void momentsOnTheHostAreTheSame()
    {
        const auto start = ramp(300, 3, 0.2f).to(at::kDouble);
        auto plain = leaf(start), apart = leaf(start);
        AdamwSettings settings;
        Adamw a({plain}, settings);
        settings.hostMoments = true;
        Adamw b({apart}, settings);
        const auto before = b.state();
        for (std::int64_t step = 0; step < 4; ++step) {
            for (auto* each : {&plain, &apart})
                each->value.mutable_grad() = ramp(300, step * 31, 1).to(at::kDouble);
            a.step(1e-2, 1), b.step(1e-2, 1);
        }
        QVERIFY(at::equal(plain.value, apart.value));
        QVERIFY(!at::equal(plain.value, start));
        for (const auto& [name, moment] : b.state()) {
            QCOMPARE(moment.const_data_ptr(), before.at(name).const_data_ptr());
            QVERIFY(at::equal(moment, a.state().at(name)));
        }
    }

    void stateComesBack()
    {
        auto tensor = leaf(ramp(5000, 0, 1));
        Adamw optimizer({tensor}, {0.9, 0.999, 1e-8, 0, true});
        tensor.value.mutable_grad() = ramp(5000, 9, 1);
        optimizer.step(1e-2, 1);
        std::map<std::string, at::Tensor> saved;
        for (const auto& [name, value] : optimizer.state())
            saved[name] = value.clone();
        QCOMPARE(saved.size(), std::size_t{4});
        const auto value = tensor.value.detach().clone();
        auto again = leaf(value);
        Adamw other({again}, {0.9, 0.999, 1e-8, 0, true});
        QVERIFY(other.load(saved, optimizer.steps()));
        for (auto* each : {&tensor, &again})
            each->value.mutable_grad() = ramp(5000, 77, 1);
        optimizer.step(1e-2, 1);
        other.step(1e-2, 1);
        QVERIFY(at::equal(tensor.value, again.value));
        Adamw whole({leaf(value)}, {});
        const auto refused = whole.load(saved, 1);
        QVERIFY(!refused && refused.error().what.find("exp_avg.weight") != std::string::npos);
    }

private:
    Json m_golden;
};

QTEST_GUILESS_MAIN(TestOptimizers)
#include "test_optimizers.moc"

#include "random_floats.h"
#include "base/rng.h"
#include "host_launch.h"
#include "tensor/kernels/cpu_kernels.h"

#include <QTest>
#include <cmath>
#include <limits>
#include <random>

using namespace fettle;
using namespace fettle::tensor;
using fettle::tests::randoms;
using fettle::tests::hostTable;

namespace {

using Floats = std::vector<float>;
using cuda::Number;

/// Values as one of the number types, at a place that 16-byte accesses fit or do not fit.
class Array
{
public:
    Array(Number number, const Floats& values, bool aligned)
        : m_number(number), m_count(values.size()), m_skip(aligned ? 0 : 1), m_bytes(values.size() * 4 + 64)
    {
        for (std::size_t i = 0; i < m_count; ++i) {
            if (number == Number::Float32)
                static_cast<float*>(data())[i] = values[i];
            else
                static_cast<cuda::Bf16*>(data())[i] = cuda::narrowed<cuda::Bf16>(values[i]);
        }
    }
    void* data()
    {
        const auto start = (reinterpret_cast<std::uintptr_t>(m_bytes.data()) + 15) / 16 * 16;
        return reinterpret_cast<void*>(start + m_skip * (m_number == Number::Float32 ? 4U : 2U));
    }
    Floats values()
    {
        Floats out(m_count);
        for (std::size_t i = 0; i < m_count; ++i)
            out[i] = m_number == Number::Float32 ? static_cast<float*>(data())[i]
                                                 : cuda::widened(static_cast<cuda::Bf16*>(data())[i]);
        return out;
    }

private:
    Number m_number;
    std::size_t m_count, m_skip;
    std::vector<std::byte> m_bytes;
};

struct Tolerance
{
    float relative, absolute;
};

/// "" or where the two part.
QString parted(const Floats& ours, const Floats& expected, Tolerance allowed)
{
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (ours[i] != expected[i] && !(std::abs(ours[i] - expected[i]) <= allowed.absolute + allowed.relative * std::abs(expected[i])))
            return QString("[%1]: %2 against %3").arg(i).arg(ours[i]).arg(expected[i]);
    }
    return {};
}

} // namespace

/// The arithmetic of libfettle_cuda.so, carried out on the processor, against the kernels of the processor
/// and closed forms.
class TestCudaKernels : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void roundsToTheNearest()
    {
        for (const auto& [x, bits] : std::initializer_list<std::pair<float, int>>{
                 {1.0F, 0x3F80}, {1.00390625F, 0x3F80}, {1.01171875F, 0x3F82}, {1.0040F, 0x3F81}, {-0.0F, 0x8000},
                 {std::numeric_limits<float>::infinity(), 0x7F80}, {3.4e38F, 0x7F80}, {NAN, 0x7FC0}})
            QCOMPARE(int{cuda::narrowed<cuda::Bf16>(x).bits}, bits);
    }

    void norms_data() { forms(); }
    void norms()
    {
        const auto [number, aligned, allowed] = form();
        for (const std::int64_t dim : {1, 5, 16, 77, 576, 1032}) {
            constexpr std::int64_t kRows = 70; // two groups of the gradient of the weight
            const auto size = static_cast<std::size_t>(kRows * dim), width = static_cast<std::size_t>(dim);
            Array x(number, randoms(size, 1, 2), aligned), weight(number, randoms(width, 2), aligned);
            Array dy(number, randoms(size, 3), aligned), y(number, Floats(size), aligned), dx(number, Floats(size), aligned);
            Floats inverse(kRows), sums(2 * width);
            cuda::NormArgs args{number, x.data(), weight.data(), dy.data(), y.data(), inverse.data(), sums.data(), kRows, dim, 1e-3F};
            QCOMPARE(hostTable().rmsForward(args), 0);
            args.out = dx.data();
            QCOMPARE(hostTable().rmsBackward(args), 0);
            const auto wideX = x.values(), wideWeight = weight.values(), wideDy = dy.values();
            const NormWeights n{wideWeight.data(), nullptr, dim, 1e-3F};
            Floats expected(size), expectedDx(size), expectedSums(width);
            cpuKernels().norm(n, wideX.data(), expected.data(), kRows);
            cpuKernels().normBackward(n, wideDy.data(), wideX.data(), expectedDx.data(), expectedSums.data(), nullptr, kRows);
            for (std::size_t i = 0; i < width; ++i)
                sums[i] += sums[width + i];
            sums.resize(width);
            QCOMPARE(parted(y.values(), expected, allowed), QString());
            QCOMPARE(parted(dx.values(), expectedDx, {allowed.relative, 10 * allowed.absolute}), QString());
            QCOMPARE(parted(sums, expectedSums, {1e-4F, 1e-4F}), QString());
        }
    }

    /// Against the kernels of the processor, which take the sum as it is.
    void layerNorms_data() { forms(); }
    void layerNorms()
    {
        const auto [number, aligned, allowed] = form();
        for (const std::int64_t dim : {2, 5, 77, 768, 1032}) {
            constexpr std::int64_t kRows = 70;
            const auto size = static_cast<std::size_t>(kRows * dim), width = static_cast<std::size_t>(dim);
            Array x(number, randoms(size, 1, 2), aligned), residual(number, randoms(size, 4, 2), aligned);
            Array weight(number, randoms(width, 2), aligned), bias(number, randoms(width, 5), aligned);
            Array dy(number, randoms(size, 3), aligned), dSum(number, randoms(size, 6), aligned);
            Array y(number, Floats(size), aligned), sum(number, Floats(size), aligned), dx(number, Floats(size), aligned);
            Floats mean(kRows), inverse(kRows), weightGrad(2 * width), biasGrad(2 * width);
            cuda::LayerNormArgs args{number, x.data(), residual.data(), sum.data(), weight.data(), bias.data(), dy.data(),
                                     dSum.data(), y.data(), mean.data(), inverse.data(), weightGrad.data(), biasGrad.data(),
                                     kRows, dim, 1e-3F};
            QCOMPARE(hostTable().layerForward(args), 0);
            args.x = sum.data(), args.out = dx.data();
            QCOMPARE(hostTable().layerBackward(args), 0);
            const auto wideX = x.values(), more = residual.values(), wide = sum.values(), more2 = dSum.values();
            const auto wideWeight = weight.values(), wideBias = bias.values(), wideDy = dy.values();
            Floats added(size), expected(size), expectedDx(size), sums(width), plain(width);
            for (std::size_t i = 0; i < size; ++i)
                added[i] = wideX[i] + more[i];
            QCOMPARE(parted(wide, added, allowed), QString());
            const NormWeights n{wideWeight.data(), wideBias.data(), dim, 1e-3F, 0, true};
            cpuKernels().norm(n, wide.data(), expected.data(), kRows);
            cpuKernels().normBackward(n, wideDy.data(), wide.data(), expectedDx.data(), sums.data(), plain.data(), kRows);
            for (std::size_t i = 0; i < size; ++i)
                expectedDx[i] += more2[i];
            for (std::size_t i = 0; i < width; ++i)
                weightGrad[i] += weightGrad[width + i], biasGrad[i] += biasGrad[width + i];
            weightGrad.resize(width), biasGrad.resize(width);
            QCOMPARE(parted(y.values(), expected, {allowed.relative, 10 * allowed.absolute}), QString());
            QCOMPARE(parted(dx.values(), expectedDx, {allowed.relative, 10 * allowed.absolute}), QString());
            QCOMPARE(parted(weightGrad, sums, {1e-4F, 1e-4F}), QString());
            QCOMPARE(parted(biasGrad, plain, {1e-4F, 1e-4F}), QString());
        }
    }

    void turns_data() { forms(); }
    void turns()
    {
        const auto [number, aligned, allowed] = form();
        constexpr std::int64_t kRows = 5, kHeads = 3, kDim = 20;
        Floats cosine, sine;
        for (const float angle : randoms(kRows * kDim / 2, 4))
            cosine.push_back(std::cos(angle)), sine.push_back(std::sin(angle));
        for (const float sign : {1.0F, -1.0F}) {
            Array x(number, randoms(kRows * kHeads * kDim, 5), aligned);
            Array y(number, Floats(kRows * kHeads * kDim), aligned);
            QCOMPARE(hostTable().rope({number, x.data(), y.data(), cosine.data(), sine.data(), kRows, kHeads, kDim, sign}), 0);
            const auto wide = x.values();
            Floats expected(wide.size());
            cpuKernels().rope(wide.data(), expected.data(), cosine.data(), sine.data(),
                              {kRows, kHeads, kHeads * kDim, kDim, kDim}, sign);
            QCOMPARE(parted(y.values(), expected, allowed), QString());
        }
    }

    void gates_data() { forms(); }
    void gates()
    {
        const auto [number, aligned, allowed] = form();
        constexpr std::pair<cuda::Curve, Activation> kCurves[] = {{cuda::Curve::Silu, Activation::Silu},
                                                                  {cuda::Curve::Gelu, Activation::Gelu},
                                                                  {cuda::Curve::GeluTanh, Activation::GeluTanh}};
        for (const auto& [curve, activation] : kCurves) {
            for (const std::size_t count : {1UL, 1003UL, 1024UL}) {
                for (const bool gated : {true, false})
                    compareGate({curve, activation, count, gated}, number, aligned, allowed);
            }
        }
    }

    void dropsTheSameElements_data() { forms(); }
    void dropsTheSameElements()
    {
        const auto [number, aligned, allowed] = form();
        const Rng rng(7, "dropout");
        const std::vector<std::int64_t> places = {4, (std::int64_t{3} << 21) + 5, 0};
        const auto threshold = static_cast<std::uint32_t>(0.3 * 4294967296.0);
        for (const std::int64_t dim : {1, 6, 7, 576}) {
            for (const bool named : {true, false}) {
                const auto size = static_cast<std::size_t>(3 * dim);
                Array x(number, randoms(size, 9), aligned), y(number, Floats(size), aligned);
                QCOMPARE(hostTable().dropout({number, x.data(), y.data(), named ? places.data() : nullptr, 3, dim,
                                              std::uint64_t{11} << 20 | 2, rng.key()[0], rng.key()[1], threshold, 1 / 0.7F}), 0);
                const auto wide = x.values();
                Floats expected(size);
                for (std::int64_t r = 0; r < 3; ++r)
                    cpuKernels().dropoutMask(expected.data() + r * dim, (named ? places[static_cast<std::size_t>(r)] : r) * dim,
                                             dim, std::uint64_t{11} << 20 | 2, rng.key()[0], rng.key()[1], threshold, 1 / 0.7F);
                for (std::size_t i = 0; i < size; ++i)
                    expected[i] *= wide[i];
                QCOMPARE(parted(y.values(), expected, allowed), QString());
            }
        }
    }

    void losses_data() { forms(); }
    void losses()
    {
        const auto [number, aligned, allowed] = form();
        for (const std::int64_t vocab : {1, 11, 512, 4099}) {
            constexpr std::int64_t kRows = 4;
            auto values = randoms(static_cast<std::size_t>(kRows * vocab), 10, 4);
            if (vocab > 8) // the first of two equals counts; a masked piece has no share
                values[3] = values[7] = 50, values[8] = -std::numeric_limits<float>::infinity();
            const std::vector<std::int64_t> labels = {vocab - 1, 0, vocab / 2, vocab - 1};
            for (const bool gradient : {true, false}) {
                Array logits(number, values, aligned);
                auto expected = logits.values();
                Floats nll(kRows);
                std::vector<std::int64_t> best(kRows);
                QCOMPARE(hostTable().loss({number, logits.data(), labels.data(), nll.data(), best.data(), kRows, vocab, 0.25F,
                                           gradient}), 0);
                for (std::int64_t r = 0; r < kRows; ++r) {
                    const auto at = static_cast<std::size_t>(r);
                    std::int64_t first = -1;
                    float* row = expected.data() + r * vocab;
                    const double value = gradient ? cpuKernels().lossRow(row, vocab, labels[at], 0.25F, &first)
                                                  : cpuKernels().nllRow(row, vocab, labels[at], &first);
                    QVERIFY2(std::abs(static_cast<double>(nll[at]) - value) <= 1e-5 + 1e-5 * std::abs(value),
                             qPrintable(QString("%1 against %2").arg(static_cast<double>(nll[at])).arg(value)));
                    QCOMPARE(best[at], first);
                }
                QCOMPARE(parted(logits.values(), expected, allowed), QString());
            }
        }
    }

    void aLossThatIsNoNumberStaysVisible()
    {
        for (const float bad : {NAN, std::numeric_limits<float>::infinity()}) {
            Floats logits = randoms(1000, 11);
            logits[700] = bad;
            const std::int64_t label = 3;
            float nll = 0;
            std::int64_t best = 0;
            hostTable().loss({Number::Float32, logits.data(), &label, &nll, &best, 1, 1000, 1, true});
            QVERIFY(!std::isfinite(nll));
            QVERIFY(std::isnan(logits[0]) && std::isnan(logits[999]));
        }
    }

    void stepsAsTheProcessor()
    {
        const AdamwStep step{1e-2F, 0.9F, 0.99F, 1e-8F, 0.1F, 0.19F, 0.3F, 0.5F};
        cuda::AdamwArgs args{};
        args.beta1 = step.beta1, args.beta2 = step.beta2, args.epsilon = step.epsilon, args.gradScale = step.gradScale;
        args.size = step.learningRate / step.correction1, args.inverseRoot = 1 / step.rootCorrection2;
        std::vector<Floats> own, others;
        for (const std::size_t count : {1UL, 777UL, 64UL}) {
            for (unsigned part = 0; part < 3; ++part)
                own.push_back(randoms(count, 20 + part));
            own.push_back(randoms(count, 23));
            for (auto& v : own.back())
                v = std::abs(v);
        }
        others = own;
        for (std::size_t i = 0; i < own.size(); i += 4) {
            args.tensors[args.used++] = {own[i].data(), own[i + 1].data(), own[i + 2].data(), own[i + 3].data(), nullptr, nullptr,
                                         static_cast<std::int64_t>(own[i].size()), 1 - step.learningRate * step.weightDecay, 0};
            cpuKernels().adamw(others[i].data(), others[i + 1].data(), others[i + 2].data(), others[i + 3].data(),
                               static_cast<std::int64_t>(own[i].size()), step);
        }
        QCOMPARE(hostTable().adamw(args), 0);
        for (std::size_t i = 0; i < own.size(); ++i)
            QCOMPARE(parted(own[i], others[i], {1e-5F, 1e-6F}), QString());
    }

    void sumsSquares()
    {
        cuda::SquaresArgs args{};
        std::vector<Floats> values;
        for (const std::size_t count : {1UL, 33UL, 20'011UL})
            values.push_back(randoms(count, 30));
        std::vector<double> sums(values.size() * cuda::SquaresArgs::kSlices, -1);
        for (const auto& each : values) {
            args.values[args.used] = each.data();
            args.counts[args.used++] = static_cast<std::int64_t>(each.size());
        }
        args.sums = sums.data();
        args.number = Number::Float32;
        QCOMPARE(hostTable().sumsOfSquares(args), 0);
        for (std::size_t i = 0; i < values.size(); ++i) {
            double sum = 0, expected = 0;
            for (std::size_t slice = 0; slice < cuda::SquaresArgs::kSlices; ++slice)
                sum += sums[i * cuda::SquaresArgs::kSlices + slice];
            for (const float v : values[i])
                expected += static_cast<double>(v) * static_cast<double>(v);
            QVERIFY(std::abs(sum - expected) <= 1e-12 * expected);
        }
    }

private:
    struct GateCase
    {
        cuda::Curve curve;
        Activation activation;
        std::size_t count;
        bool gated;
    };
    static void compareGate(const GateCase& c, Number number, bool aligned, Tolerance allowed)
    {
        const auto count = c.count;
        auto values = randoms(count, 6, 3);
        values[0] = 100, values[count / 2] = -100;
        Array gate(number, values, aligned), up(number, randoms(count, 7), aligned), dh(number, randoms(count, 8), aligned);
        Array h(number, Floats(count), aligned), dGate(number, Floats(count), aligned), dUp(number, Floats(count), aligned);
        const cuda::GateArgs args{number, c.curve, gate.data(), c.gated ? up.data() : nullptr, dh.data(), h.data(), dGate.data(),
                                  c.gated ? dUp.data() : nullptr, static_cast<std::int64_t>(count)};
        QCOMPARE(hostTable().gate(args), 0);
        QCOMPARE(hostTable().gateBackward(args), 0);
        const auto g = gate.values(), u = up.values(), d = dh.values();
        const float* ups = c.gated ? u.data() : nullptr;
        Floats expected(count), expectedGate(count), expectedUp(count);
        cpuKernels().activate(c.activation, g.data(), ups, expected.data(), args.count);
        cpuKernels().activateBackward(c.activation, d.data(), g.data(), ups, expectedGate.data(),
                                      c.gated ? expectedUp.data() : nullptr, nullptr, args.count);
        QCOMPARE(parted(h.values(), expected, allowed), QString());
        QCOMPARE(parted(dGate.values(), expectedGate, allowed), QString());
        QCOMPARE(parted(dUp.values(), expectedUp, allowed), QString());
    }

    struct Form
    {
        Number number;
        bool aligned;
        Tolerance allowed;
    };
    static void forms()
    {
        QTest::addColumn<bool>("half");
        QTest::addColumn<bool>("aligned");
        for (const bool half : {false, true}) {
            for (const bool aligned : {true, false})
                QTest::addRow("%s, %s", half ? "bfloat16" : "float32", aligned ? "16 bytes at a time" : "one by one")
                    << half << aligned;
        }
    }
    static Form form()
    {
        QFETCH(bool, half);
        QFETCH(bool, aligned);
        // Two roundings to 8 bits stand between the results in bfloat16.
        return {half ? Number::BFloat16 : Number::Float32, aligned, half ? Tolerance{8e-3F, 1e-4F} : Tolerance{1e-5F, 2e-6F}};
    }
};

QTEST_APPLESS_MAIN(TestCudaKernels)
#include "test_cuda_kernels.moc"

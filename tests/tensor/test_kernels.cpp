#include "random_floats.h"
#include "tensor/aligned_buffer.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/tile_kernels.h"

#include <QTest>
#include <bit>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <vector>

using namespace fettle::tensor;
using fettle::tests::randoms;

namespace {

using Floats = std::vector<float>;

double activationOf(Activation kind, double x)
{
    switch (kind) {
    case Activation::Silu:
        return x / (1 + std::exp(-x));
    case Activation::Gelu:
        return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case Activation::GeluTanh:
        return 0.5 * x *
               (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::QuickGelu:
        return x / (1 + std::exp(-1.702 * x));
    case Activation::Relu:
        return std::max(x, 0.0);
    case Activation::ReluSquare:
        return std::max(x, 0.0) * std::max(x, 0.0);
    }
    return 0;
}

/// The norm of one row in double.
std::vector<double> normOf(const NormWeights& n, const std::vector<double>& x)
{
    const auto dim = x.size();
    double mean = 0, squares = 0;
    for (const double value : x)
        mean += n.centred ? value / static_cast<double>(dim) : 0;
    for (const double value : x)
        squares += (value - mean) * (value - mean) / static_cast<double>(dim);
    std::vector<double> y(dim);
    for (std::size_t i = 0; i < dim; ++i)
        y[i] = (x[i] - mean) / std::sqrt(squares + static_cast<double>(n.eps)) *
                   (static_cast<double>(n.weight[i]) + static_cast<double>(n.plus)) +
               (n.bias ? static_cast<double>(n.bias[i]) : 0.0);
    return y;
}

bool close(double ours, double expected, double absolute = 1e-6, double relative = 1e-5)
{
    return std::abs(ours - expected) <= absolute + relative * std::abs(expected);
}

} // namespace

/// The element-wise kernels of each instruction set against closed forms and central differences in
/// double.
class TestKernels : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void activates_data() { variants(); }
    void activates()
    {
        const auto* kernels = variant();
        if (!kernels)
            QSKIP("this processor has not these instructions");
        Floats x = {0, 1e-4F, -1e-4F, 0.5F, -0.5F, 3, -3, 9, -9, 30, -30, 100, -100};
        const auto more = randoms(1003, 1, 2), up = randoms(1016, 2), dh = randoms(1016, 3);
        x.insert(x.end(), more.begin(), more.end());
        const auto n = static_cast<std::int64_t>(x.size());
        for (const auto kind : {Activation::Silu, Activation::Gelu, Activation::GeluTanh,
                                Activation::QuickGelu, Activation::Relu, Activation::ReluSquare}) {
            for (const bool gated : {true, false}) {
                Floats h(x.size()), again(x.size()), dGate = x, dUp = up;
                const float* factor = gated ? up.data() : nullptr;
                kernels->activate(kind, x.data(), factor, h.data(), n);
                kernels->activateBackward(kind, dh.data(), dGate.data(), gated ? dUp.data() : nullptr,
                                          dGate.data(), gated ? dUp.data() : nullptr, again.data(),
                                          n);
                for (std::size_t i = 0; i < x.size(); ++i) {
                    const double at = x[i], u = gated ? up[i] : 1, d = dh[i], step = 1e-5;
                    const double value = activationOf(kind, at);
                    // At the corner of relu there is no slope; 0 is the convention.
                    const double slope = at == 0 && kind == Activation::Relu
                                             ? 0
                                             : (activationOf(kind, at + step) -
                                                activationOf(kind, at - step)) /
                                                   (2 * step);
                    QVERIFY2(close(h[i], value * u), qPrintable(told(kind, at, h[i], value * u)));
                    QCOMPARE(again[i], h[i]);
                    QVERIFY2(close(dGate[i], d * u * slope, 3e-6),
                             qPrintable(told(kind, at, dGate[i], d * u * slope)));
                    if (gated)
                        QVERIFY(close(dUp[i], d * value));
                }
            }
        }
    }

    void norms_data() { variants(); }
    void norms()
    {
        const auto* kernels = variant();
        if (!kernels)
            QSKIP("this processor has not these instructions");
        for (const std::int64_t dim : {1, 5, 16, 77}) {
            const auto count = static_cast<std::size_t>(dim);
            const auto weight = randoms(count, 4), bias = randoms(count, 5);
            for (const bool centred : {false, true}) {
                for (const float plus : {0.0F, 1.0F})
                    normsAs({weight.data(), centred ? bias.data() : nullptr, dim, 1e-3F, plus,
                             centred},
                            *kernels);
            }
        }
    }

    void turnsPartsOfHeads_data() { variants(); }
    /// Heads between other numbers, of which the leading dimensions turn: and back again.
    void turnsPartsOfHeads()
    {
        const auto* kernels = variant();
        if (!kernels)
            QSKIP("this processor has not these instructions");
        const HeadRows shape{3, 2, 50, 20, 6}; // rows of 50, heads 20 apart, 6 dimensions turn
        const auto angles = randoms(9, 6);
        Floats cosine, sine;
        for (const float angle : angles)
            cosine.push_back(std::cos(angle)), sine.push_back(std::sin(angle));
        const auto x = randoms(150, 7);
        auto y = x;
        kernels->rope(y.data(), y.data(), cosine.data(), sine.data(), shape, 1);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const auto row = i / 50, column = i % 50, inHead = column % 20;
            const bool turned = column < 40 && inHead < 6;
            if (!turned) {
                QCOMPARE(y[i], x[i]);
                continue;
            }
            const auto pair = inHead % 3;
            const double angle = angles[row * 3 + pair];
            const auto at = i - inHead + pair;
            const double first = x[at], second = x[at + 3];
            const double expected = inHead < 3
                                        ? first * std::cos(angle) - second * std::sin(angle)
                                        : second * std::cos(angle) + first * std::sin(angle);
            QVERIFY(close(y[i], expected));
        }
        kernels->rope(y.data(), y.data(), cosine.data(), sine.data(), shape, -1);
        for (std::size_t i = 0; i < x.size(); ++i)
            QVERIFY(close(y[i], x[i]));
    }

    void multipliesFewRowsAcross_data() { variants(); }
    void multipliesFewRowsAcross()
    {
        const auto* kernels = variant();
        if (!kernels)
            QSKIP("this processor has not these instructions");
        for (const std::size_t m : {1, 2, 5}) {
            for (const std::size_t n : {1, 13, 100}) {
                for (const std::size_t k : {1, 4, 37}) {
                    const auto x = randoms(m * (k + 2), 8), w = randoms(k * (n + 5), 9);
                    Floats y(m * (n + 3), 7);
                    const auto wide = [](std::size_t value) {
                        return static_cast<std::int64_t>(value);
                    };
                    kernels->fewRowsAcross(x.data(), w.data(), y.data(), wide(m), wide(n), wide(k),
                                           wide(k + 2), wide(n + 5), wide(n + 3));
                    for (std::size_t i = 0; i < m * (n + 3); ++i) {
                        const auto row = i / (n + 3), column = i % (n + 3);
                        double sum = column < n ? 0 : 7;
                        for (std::size_t p = 0; column < n && p < k; ++p)
                            sum += static_cast<double>(x[row * (k + 2) + p]) *
                                   static_cast<double>(w[p * (n + 5) + column]);
                        QVERIFY(close(y[i], sum, 1e-5));
                    }
                }
            }
        }
    }

    void tilesMultiply_data()
    {
        QTest::addColumn<bool>("acrossLeft");
        QTest::addColumn<bool>("acrossRight");
        for (const bool left : {false, true}) {
            for (const bool right : {false, true})
                QTest::addRow("left %s, right %s", left ? "across" : "along", right ? "across" : "along") << left << right;
        }
    }
    /// As exact as float32 is: bfloat16 values alone would be wrong by thousandths, two of three pieces
    /// by millionths of each product.
    void tilesMultiply()
    {
        const auto* kernels = cpuKernelsNamed("AMX");
        if (!kernels)
            QSKIP("this processor has no tiles");
        QFETCH(bool, acrossLeft);
        QFETCH(bool, acrossRight);
        for (const std::int64_t m : {1, 16, 33, 170}) {
            for (const std::int64_t n : {1, 16, 47}) {
                for (const std::int64_t k : {1, 32, 45, 900})
                    tilesMultiplyAs(*kernels->tiles, {m, n, k}, acrossLeft, acrossRight);
            }
        }
    }

private:
    struct Product
    {
        std::int64_t m, n, k;
    };
    /// Two products added to what is there: one with a left side that is packed on the way, and one,
    /// if it lies along k, that is packed before. The right side holds bfloat16 values.
    static void tilesMultiplyAs(const TileKernels& tiles, const Product& p, bool acrossLeft, bool acrossRight)
    {
        const auto& [m, n, k] = p;
        const auto count = [](std::int64_t values) { return static_cast<std::size_t>(values); };
        const auto a = randoms(count(m * k), 11);
        auto b = randoms(count(n * k), 12);
        std::vector<Bfloat16> halves;
        for (auto& value : b) {
            const auto bits = std::bit_cast<std::uint32_t>(value) & 0xffff0000U;
            halves.push_back({static_cast<std::uint16_t>(bits >> 16)});
            value = std::bit_cast<float>(bits);
        }
        const auto whole = randoms(count(n * k), 13);
        const auto lineStride = acrossRight ? std::int64_t{1} : k, depthStride = acrossRight ? n : std::int64_t{1};
        const auto rowStride = acrossLeft ? std::int64_t{1} : k, colStride = acrossLeft ? m : std::int64_t{1};
        const auto panels = (n + 15) / 16, one = panelValues(k, 1), three = panelValues(k, kFloatPieces);
        AlignedBuffer stored(panels * one), same(panels * three), floats(panels * three),
            left((m + 15) / 16 * three);
        const auto in = [](const AlignedBuffer& buffer) { return reinterpret_cast<Bfloat16*>(buffer.data()); };
        tiles.packBfloats({halves.data(), lineStride, depthStride, n, k}, in(stored), one);
        tiles.packFloats({b.data(), lineStride, depthStride, n, k}, in(same), three);
        tiles.packFloats({whole.data(), lineStride, depthStride, n, k, 2}, in(floats), three);
        tiles.packLeft({a.data(), rowStride, colStride, m, k}, in(left));

        const auto start = randoms(count(m * (n + 3)), 14);
        auto c = start, again = start;
        const TilePart parts[] = {{a.data(), rowStride, colStride, nullptr, in(stored), one, 1, k},
                                  {nullptr, 0, 0, in(left), in(floats), three, kFloatPieces, k}};
        const TilePart asFloats[] = {{nullptr, 0, 0, in(left), in(same), three, kFloatPieces, k}, parts[1]};
        tiles.gemm(parts, 2, m, n, c.data(), n + 3, true);
        tiles.gemm(asFloats, 2, m, n, again.data(), n + 3, true);
        for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n + 3; ++j) {
                const auto at = count(i * (n + 3) + j);
                double sum = start[at], size = std::abs(sum);
                for (std::int64_t q = 0; j < n && q < k; ++q) {
                    const double x = a[count(i * rowStride + q * colStride)];
                    const auto from = count(j * lineStride + q * depthStride);
                    for (const double y : {static_cast<double>(b[from]), 2.0 * static_cast<double>(whole[from])})
                        sum += x * y, size += std::abs(x * y);
                }
                QVERIFY2(std::abs(c[at] - sum) <= size * 8 / (1 << 24),
                         qPrintable(QString("%1 x %2 x %3: %4, not %5").arg(m).arg(n).arg(k).arg(c[at]).arg(sum)));
                QCOMPARE(again[at], c[at]);
            }
        }
    }
    static void variants()
    {
        QTest::addColumn<QString>("variant");
        for (const char* name : {"baseline", "AVX2", "AVX-512"})
            QTest::newRow(name) << name;
    }
    static const CpuKernels* variant()
    {
        QFETCH(QString, variant);
        return cpuKernelsNamed(variant.toUtf8().constData());
    }
    static QString told(Activation kind, double at, double ours, double expected)
    {
        return QString("activation %1 at %2: %3 against %4")
            .arg(static_cast<int>(kind))
            .arg(at)
            .arg(ours)
            .arg(expected);
    }

    /// Two rows: values, and gradients of x, weight and bias against central differences.
    static void normsAs(const NormWeights& n, const CpuKernels& kernels)
    {
        const auto dim = static_cast<std::size_t>(n.dim);
        const auto x = randoms(2 * dim, 10, 2), dy = randoms(2 * dim, 11);
        Floats y(2 * dim), dx = dy, dw(dim, 1), db(dim, 2);
        kernels.norm(n, x.data(), y.data(), 2);
        kernels.normBackward(n, dx.data(), x.data(), dx.data(), dw.data(), db.data(), 2);
        std::vector<double> weightSums(dim, 1), biasSums(dim, 2);
        for (std::size_t row = 0; row < 2; ++row) {
            const auto from = static_cast<std::ptrdiff_t>(row * dim);
            std::vector<double> wide(x.begin() + from,
                                     x.begin() + from + static_cast<std::ptrdiff_t>(dim));
            const auto value = normOf(n, wide);
            const auto along = [&] { // dy . norm(wide)
                double sum = 0;
                const auto here = normOf(n, wide);
                for (std::size_t i = 0; i < dim; ++i)
                    sum += static_cast<double>(dy[row * dim + i]) * here[i];
                return sum;
            };
            for (std::size_t i = 0; i < dim; ++i) {
                QVERIFY(close(y[row * dim + i], value[i], 1e-5));
                const double before = wide[i], step = 1e-5;
                wide[i] = before + step;
                const double above = along();
                wide[i] = before - step;
                const double slope = (above - along()) / (2 * step);
                wide[i] = before;
                QVERIFY2(close(dx[row * dim + i], slope, 3e-5),
                         qPrintable(QString("%1 against %2").arg(dx[row * dim + i]).arg(slope)));
                const double scaled = static_cast<double>(n.weight[i]) + static_cast<double>(n.plus);
                const double bias = n.bias ? static_cast<double>(n.bias[i]) : 0.0;
                weightSums[i] += static_cast<double>(dy[row * dim + i]) * (value[i] - bias) / scaled;
                biasSums[i] += static_cast<double>(dy[row * dim + i]);
            }
        }
        for (std::size_t i = 0; i < dim; ++i) {
            QVERIFY(close(dw[i], weightSums[i], 1e-5));
            QVERIFY(close(db[i], biasSums[i], 1e-5));
        }
    }
};

QTEST_APPLESS_MAIN(TestKernels)
#include "test_kernels.moc"

#include "base/rng.h"
#include "base/sha256.h"
#include "file_helpers.h"
#include "golden.h"
#include "tensor/files/four_bit.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/kernels/quantised_kernels.h"
#include "tensor/ops.h"
#include "tensor/quantised_ops.h"

#include <ATen/ATen.h>
#include <QTest>
#include <cstring>
#include <numbers>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

using namespace fettle;
using namespace fettle::tensor;

namespace {

using Floats = std::vector<float>;

/// As weights() in tests/oracles/make_quant_goldens.py.
Floats weightsOf(std::int64_t count)
{
    Floats w;
    for (std::int64_t i = 0; i < count; ++i) {
        auto h = static_cast<std::uint32_t>(static_cast<std::uint64_t>(i) * 2654435761u + 12345);
        h = (h ^ h >> 15) * 2246822519u;
        h ^= h >> 13;
        const auto total =
            static_cast<int>((h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)) - 510;
        w.push_back(static_cast<float>(total) * static_cast<float>(1 + i / 64 % 7) / 1024);
    }
    if (count > 192) {
        std::fill_n(w.begin() + 64, 64, 0.0f);
        w[128] *= 16;
    }
    return w;
}

Floats bellShaped(std::int64_t count)
{
    const Rng rng(4, "weights");
    Floats out;
    for (std::int64_t i = 0; i < count; ++i) {
        const double u = rng.uniform(0, static_cast<std::uint64_t>(i)),
                     v = rng.uniform(1, static_cast<std::uint64_t>(i));
        out.push_back(static_cast<float>(std::sqrt(-2 * std::log(1 - u)) *
                                         std::cos(2 * std::numbers::pi * v)));
    }
    return out;
}

template<class T> std::vector<T> valuesOf(const Json& hex)
{
    const auto bytes = testing::fromHex(hex);
    std::vector<T> out(bytes.size() / sizeof(T));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
}

bool sameBits(const Floats& a, const Floats& b)
{
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::size_t blocksOf(std::size_t count) { return (count + 63) / 64; }

const char* const kLevels[] = {"baseline", "AVX2", "AVX-512"};

} // namespace

/// Weights in 16, 8 and 4 bits: against bitsandbytes, against plain loops, and their products.
class TestQuantised : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void dynamicMapIsThatOfBitsandbytes();
    void fourBitsAreThoseOfBitsandbytes_data();
    void fourBitsAreThoseOfBitsandbytes();
    void kernelsEqualPlainLoops_data();
    void kernelsEqualPlainLoops();
    void sixteenBitsAreExact_data();
    void sixteenBitsAreExact();
    void rowsAreDecodedAnywhere_data();
    void rowsAreDecodedAnywhere();
    void errorIsSmall();
    void productsOfFewRows_data();
    void productsOfFewRows();
    void gradientIsThatOfTheDecodedMatrix_data();
    void gradientIsThatOfTheDecodedMatrix();
};

void TestQuantised::dynamicMapIsThatOfBitsandbytes()
{
    const auto wanted = valuesOf<float>(tests::golden("quantised.json")["dynamicMap"]);
    const Floats map(dynamicMap().begin(), dynamicMap().end());
    QVERIFY(sameBits(map, wanted));
    for (std::size_t i = 1; i < map.size(); ++i)
        QVERIFY2(map[i] > map[i - 1], std::to_string(i).c_str());
}

void TestQuantised::fourBitsAreThoseOfBitsandbytes_data()
{
    QTest::addColumn<int>("number");
    const auto golden = tests::golden("quantised.json");
    for (std::size_t i = 0; i < golden["cases"].size(); ++i) {
        const auto& c = golden["cases"][i];
        QTest::addRow("%s of %d x %d%s", c["kind"].get<std::string>().c_str(), c["rows"].get<int>(),
                      c["columns"].get<int>(), c["doubled"].get<bool>() ? ", twice" : "")
            << static_cast<int>(i);
    }
}

void TestQuantised::fourBitsAreThoseOfBitsandbytes()
{
    QFETCH(int, number);
    const auto c = tests::golden("quantised.json")["cases"][static_cast<std::size_t>(number)];
    const auto count = c["rows"].get<std::int64_t>() * c["columns"].get<std::int64_t>();
    const auto packed = valuesOf<std::uint8_t>(c["packed"]);
    const auto map = valuesOf<float>(c["map"]);
    const auto w = weightsOf(count);
    std::vector<std::uint8_t> codes(packed.size());
    Floats absmax(blocksOf(w.size()));
    encodeNf4(w, codes.data(), absmax.data());
    if (c["kind"] == "nf4")
        QVERIFY(codes == packed);
    Floats scales;
    if (c["doubled"] == true) {
        const auto wanted = valuesOf<std::uint8_t>(c["absmax"]);
        const auto nested = valuesOf<float>(c["nestedAbsmax"]),
                   nestedMap = valuesOf<float>(c["nestedMap"]);
        const auto offset = c["offset"].get<float>();
        std::vector<std::uint8_t> own(absmax.size());
        Floats ownNested((absmax.size() + 255) / 256);
        encodeNested(absmax, offset, own.data(), ownNested.data());
        // bitsandbytes on the processor rounds to 1/32768 before it looks up a code: near the
        // middle between two values it may take the other one.
        int others = 0;
        for (std::size_t i = 0; i < own.size(); ++i) {
            QVERIFY(std::abs(own[i] - wanted[i]) <= 1);
            others += own[i] != wanted[i];
        }
        QVERIFY2(others * 100 <= static_cast<int>(own.size()), std::to_string(others).c_str());
        QVERIFY(sameBits(ownNested, nested));
        double sum = 0;
        for (const float each : absmax)
            sum += each;
        QVERIFY(tests::near(sum / static_cast<double>(absmax.size()), offset, 1e-6, 0));
        scales.resize(absmax.size());
        decodeNested({wanted.data(), nestedMap.data(), nested.data(), 256, offset}, 0,
                     static_cast<std::int64_t>(scales.size()), scales.data());
    } else {
        scales = valuesOf<float>(c["absmax"]);
        QVERIFY(sameBits(absmax, scales));
    }
    Floats values(w.size());
    decodeFourBit(packed.data(), std::span<const float, 16>(map.data(), 16), scales.data(), 64, 0,
                  count, values.data());
    const std::string bytes(reinterpret_cast<const char*>(values.data()),
                            values.size() * sizeof(float));
    QCOMPARE(sha256(bytes), c["dequantised"].get<std::string>());
}

void TestQuantised::kernelsEqualPlainLoops_data()
{
    QTest::addColumn<QString>("level");
    for (const auto* level : kLevels)
        QTest::newRow(level) << level;
}

void TestQuantised::kernelsEqualPlainLoops()
{
    QFETCH(QString, level);
    const auto* kernels = quantisedKernelsNamed(level.toUtf8());
    const auto* floats = cpuKernelsNamed(level.toUtf8());
    if (!kernels)
        QSKIP("this machine has no such instructions");
    for (const std::int64_t k : {64, 128, 576, 70, 13, 1}) {
        const std::int64_t n = 7;
        const auto blocks = (k + 63) / 64;
        std::vector<std::int8_t> codes;
        for (std::int64_t i = 0; i < n * k; ++i)
            codes.push_back(static_cast<std::int8_t>(i * 37 % 255 - 127));
        auto scales = bellShaped(n * blocks);
        Floats wanted, decoded(codes.size());
        for (std::int64_t i = 0; i < n * k; ++i)
            wanted.push_back(static_cast<float>(codes[static_cast<std::size_t>(i)]) *
                             scales[static_cast<std::size_t>(i / k * blocks + i % k / 64)]);
        kernels->decodeInt8(codes.data(), scales.data(), decoded.data(), n, k);
        QVERIFY2(sameBits(decoded, wanted), std::to_string(k).c_str());
        const auto x = bellShaped(kDirectRows * k);
        for (std::int64_t m = 1; m <= kDirectRows; ++m) {
            Floats y(static_cast<std::size_t>(m * n)), z(y.size());
            kernels->fewRowsInt8(x.data(), codes.data(), scales.data(), y.data(), m, n, k, n);
            floats->fewRows(x.data(), decoded.data(), z.data(), m, n, k, n);
            QVERIFY2(sameBits(y, z), std::to_string(k).c_str());
        }
        if (k % 64 != 0)
            continue;
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(codes.data());
        decodeFourBit(bytes, kNf4Values, scales.data(), 64, 0, n * k, wanted.data());
        kernels->decodeNf4(bytes, scales.data(), decoded.data(), n * blocks);
        QVERIFY2(sameBits(decoded, wanted), std::to_string(k).c_str());
        for (std::int64_t m = 1; m <= kDirectRows; ++m) {
            Floats y(static_cast<std::size_t>(m * n)), z(y.size());
            kernels->fewRowsNf4(x.data(), bytes, scales.data(), y.data(), m, n, k, n);
            floats->fewRows(x.data(), decoded.data(), z.data(), m, n, k, n);
            QVERIFY2(sameBits(y, z), std::to_string(k).c_str());
        }
    }
}

void TestQuantised::sixteenBitsAreExact_data() { kernelsEqualPlainLoops_data(); }

void TestQuantised::sixteenBitsAreExact()
{
    QFETCH(QString, level);
    const auto* kernels = quantisedKernelsNamed(level.toUtf8());
    const auto* floats = cpuKernelsNamed(level.toUtf8());
    if (!kernels)
        QSKIP("this machine has no such instructions");
    for (const std::int64_t k : {64, 576, 70, 13, 1}) {
        const std::int64_t n = 29;
        const auto x = bellShaped(11 * k);
        Floats wide(static_cast<std::size_t>(n * k));
        const auto check = [&](const at::Tensor& values, const auto* halves, auto* decode,
                               auto* fewRows) {
            decode(halves, wide.data(), n * k);
            const auto wanted = values.to(at::kFloat);
            bool same =
                std::memcmp(wide.data(), wanted.const_data_ptr(), wide.size() * sizeof(float)) == 0;
            for (std::int64_t m = 1; m <= 11; ++m) {
                Floats y(static_cast<std::size_t>(m * n)), z(y.size());
                fewRows(x.data(), halves, y.data(), m, n, k, n);
                floats->fewRows(x.data(), wide.data(), z.data(), m, n, k, n);
                same = same && sameBits(y, z);
            }
            return same;
        };
        const auto bfloat = at::randn({n, k}).to(at::kBFloat16);
        // Small ones too: half precision has numbers without a leading one.
        const auto half = (at::randn({n, k}) * at::pow(10, -8 * at::rand({n, k}))).to(at::kHalf);
        QVERIFY2(check(bfloat, static_cast<const Bfloat16*>(bfloat.const_data_ptr()),
                       kernels->decodeBfloat16, kernels->fewRowsBfloat16),
                 std::to_string(k).c_str());
        QVERIFY2(check(half, static_cast<const Float16*>(half.const_data_ptr()),
                       kernels->decodeFloat16, kernels->fewRowsFloat16),
                 std::to_string(k).c_str());
    }
}

void TestQuantised::rowsAreDecodedAnywhere_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("columns");
    for (const auto kind : {WeightKind::Int8, WeightKind::Nf4}) {
        for (const int columns : {1, 13, 64, 70, 192})
            QTest::addRow("%s, %d columns", std::string(nameOf(kind)).c_str(), columns)
                << static_cast<int>(kind) << columns;
    }
}

void TestQuantised::rowsAreDecodedAnywhere()
{
    QFETCH(int, kind);
    QFETCH(int, columns);
    const std::int64_t rows = 37;
    const auto w = weightsOf(rows * columns);
    const auto matrix = quantised(static_cast<WeightKind>(kind), w.data(), rows, columns);
    Floats all(w.size());
    matrix->decode(0, rows, all.data());
    for (const auto& [first, count] :
         {std::pair<std::int64_t, std::int64_t>{0, 1}, {1, 1}, {5, 7}, {36, 1}}) {
        Floats some(static_cast<std::size_t>(count * columns));
        matrix->decode(first, count, some.data());
        QVERIFY(std::equal(some.begin(), some.end(), all.begin() + first * columns));
    }
    QCOMPARE(matrix->bytes(), weightBytes(static_cast<WeightKind>(kind), rows, columns));
}

void TestQuantised::errorIsSmall()
{
    const std::int64_t rows = 256, columns = 1024;
    const auto w = bellShaped(rows * columns);
    Floats back(w.size());
    const auto meanError = [&] {
        double sum = 0;
        for (std::size_t i = 0; i < w.size(); ++i)
            sum += std::abs(w[i] - back[i]);
        return sum / static_cast<double>(w.size());
    };
    quantised(WeightKind::Nf4, w.data(), rows, columns)->decode(0, rows, back.data());
    QVERIFY2(tests::near(meanError(), 0.0726, 0.01, 0), std::to_string(meanError()).c_str());
    quantised(WeightKind::Int8, w.data(), rows, columns)->decode(0, rows, back.data());
    for (std::size_t from = 0; from < w.size(); from += 64) {
        float largest = 0, error = 0;
        for (auto i = from; i < from + 64; ++i)
            largest = std::max(largest, std::abs(w[i])),
            error = std::max(error, std::abs(w[i] - back[i]));
        QVERIFY(error <= largest / 254 * 1.0001f);
    }
}

void TestQuantised::productsOfFewRows_data() { rowsAreDecodedAnywhere_data(); }

void TestQuantised::productsOfFewRows()
{
    QFETCH(int, kind);
    QFETCH(int, columns);
    const at::NoGradGuard noGrad;
    at::manual_seed(3);
    const auto matrix = quantised(static_cast<WeightKind>(kind), at::randn({333, columns}));
    const auto dense = decoded(*matrix), bias = at::randn({333});
    for (const std::int64_t count : {1, 2, 3, 4, 5, 8, 31, 32, 33}) {
        const auto x = at::randn({count, columns});
        const auto y = linear(x, matrix, {});
        if (count <= kFewRows)
            QVERIFY(at::equal(y, product(x, dense)));
        const auto wanted =
            at::linear(x.to(at::kDouble), dense.to(at::kDouble), bias.to(at::kDouble));
        QVERIFY(at::allclose(linear(x, matrix, bias).to(at::kDouble), wanted, 1e-5, 1e-5));
    }
    const auto rows = decodedRows(*matrix, {5, 0, 332, 5});
    QVERIFY(at::equal(rows, dense.index_select(0, at::tensor({5, 0, 332, 5}, at::kLong))));
}

void TestQuantised::gradientIsThatOfTheDecodedMatrix_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<bool>("biased");
    for (const bool biased : {false, true}) {
        QTest::addRow("int8%s", biased ? ", bias" : "")
            << static_cast<int>(WeightKind::Int8) << biased;
        QTest::addRow("nf4%s", biased ? ", bias" : "")
            << static_cast<int>(WeightKind::Nf4) << biased;
    }
}

void TestQuantised::gradientIsThatOfTheDecodedMatrix()
{
    QFETCH(int, kind);
    QFETCH(bool, biased);
    at::manual_seed(3);
    const auto matrix = quantised(static_cast<WeightKind>(kind), at::randn({96, 130}));
    const auto dense = decoded(*matrix);
    const auto bias = biased ? at::randn({96}) : at::Tensor();
    const auto dy = at::randn({17, 96});
    const auto x = at::randn({17, 130}).requires_grad_(true),
               same = x.detach().clone().requires_grad_(true);
    const auto y = linear(x, matrix, bias);
    const auto wanted = biased ? at::linear(same, dense, bias) : at::linear(same, dense);
    QVERIFY(at::equal(y, wanted));
    y.backward(dy);
    wanted.backward(dy);
    QVERIFY(at::equal(x.grad(), same.grad()));
}

QTEST_GUILESS_MAIN(TestQuantised)
#include "test_quantised.moc"

#include "tensor/file_helpers.h"
#include "tensor/files/ggml_quantise.h"
#include "tensor/files/gguf_writer.h"

#include <QtTest>
#include <cmath>
#include <limits>

using namespace fettle;
using namespace fettle::tensor;
using namespace fettle::testing;
namespace fs = std::filesystem;

namespace {

GgmlType typeNamed(const std::string& name)
{
    for (std::uint32_t id = 0; id < 64; ++id) {
        if (const auto* info = ggmlTypeInfo(id); info && info->name == name)
            return static_cast<GgmlType>(id);
    }
    return GgmlType::F64;
}

std::vector<float> floatsOf(const std::string& hex)
{
    const std::string bytes = fromHex(hex);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

std::string quantised(GgmlType type, const std::vector<float>& values)
{
    std::string out(storedBytes(type, values.size()), '\0');
    quantise(type, values.data(), values.size(), reinterpret_cast<std::byte*>(out.data())).value();
    return out;
}

} // namespace

class TestGgufWriter : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }
    void writesTheReferencesBytes();
    void readerSeesWhatWasWritten();
    void refuses_data();
    void refuses();
    void refusesWrongAmounts();
    void quantisesAsTheReference_data();
    void quantisesAsTheReference();
    void kernelsAgree_data() { quantisesAsTheReference_data(); }
    void kernelsAgree();
    void knownBlocks();
    void refusesValues();

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestGgufWriter::writesTheReferencesBytes()
{
    // formats.md 24: one key and one tensor of four values; infos end at byte 109, data at 128.
    GgufKeys keys;
    keys.text("general.architecture", "llama");
    GgufWriter writer(at("x.gguf"), keys, {{"x.weight", GgmlType::F32, {4}}});
    writer.open().value();
    QCOMPARE(writer.fileSize(), std::uint64_t{160});
    const float values[] = {1, 2, 3, 4};
    writer.write(values, 8).value();
    writer.write(values + 2, 8).value();
    const auto digest = writer.commit().value();
    GgufBuilder expected;
    expected.key("general.architecture", 8, GgufBuilder::text("llama"))
        .tensor("x.weight", {4}, 0, 0);
    expected.data = std::string(reinterpret_cast<const char*>(values), 16) + std::string(16, '\0');
    QCOMPARE(readFile(at("x.gguf")).value(), expected.file());
    QCOMPARE(digest, sha256(expected.file()));
}

void TestGgufWriter::readerSeesWhatWasWritten()
{
    GgufKeys keys;
    keys.text("t", "with \xE2\x96\x81");
    keys.u32("u", 4'000'000'000u);
    keys.f32("f", 1e-5);
    keys.flag("b", true);
    keys.texts("ts", {"a", "", "ccc"});
    keys.i32s("is", {-1, 2});
    keys.f32s("fs", {0.5f, -2.0f});
    keys.bytes("raw", std::string("\0\xff", 2));
    keys.flags("bs", {true, false});
    GgufWriter writer(at("x.gguf"), keys,
                      {{"a", GgmlType::Q8_0, {3, 32}}, {"b", GgmlType::F16, {2, 1, 5}}});
    writer.open().value();
    writer.write(std::string(3 * 34, 'q').data(), 3 * 34).value();
    writer.write(std::string(20, 'h').data(), 20).value();
    writer.commit().value();
    const auto file = GgufFile::open(at("x.gguf")).value();
    QCOMPARE(*file.text("t"), std::string("with \xE2\x96\x81"));
    QCOMPARE(*file.integer("u"), std::int64_t{4'000'000'000});
    QCOMPARE(*file.real("f"), static_cast<double>(1e-5f));
    QCOMPARE(*file.flag("b"), true);
    QCOMPARE(*file.texts("ts"), (std::vector<std::string>{"a", "", "ccc"}));
    QCOMPARE(*file.integers("is"), (std::vector<std::int64_t>{-1, 2}));
    QCOMPARE(*file.reals("fs"), (std::vector<float>{0.5f, -2.0f}));
    QCOMPARE(*file.integers("raw"), (std::vector<std::int64_t>{0, 255}));
    QCOMPARE(file.tensor("a")->shape(), (std::vector<std::int64_t>{3, 32}));
    QCOMPARE(file.tensor("b")->shape(), (std::vector<std::int64_t>{2, 1, 5}));
    QCOMPARE(file.tensor("b")->bytes[19], std::byte{'h'});
    QCOMPARE(fs::file_size(at("x.gguf")), writer.fileSize());
}

void TestGgufWriter::refuses_data()
{
    QTest::addColumn<QString>("words");
    for (const char* words :
         {"given twice", "length from 1 to 63", "cannot hold", "no row of blocks", "no dimension",
          "five", "too many", "key twice", "more than 32 bits"})
        QTest::newRow(words) << QString(words);
}

void TestGgufWriter::refuses()
{
    QFETCH(QString, words);
    GgufKeys keys;
    std::vector<GgufTensorPlan> plan{{"a", GgmlType::F32, {1}}};
    QString expected = words;
    if (words == "given twice")
        plan.push_back(plan[0]);
    else if (words == "length from 1 to 63")
        plan[0].name = std::string(64, 'n');
    else if (words == "cannot hold")
        plan[0].shape = {std::int64_t{1} << 40, std::int64_t{1} << 40};
    else if (words == "no row of blocks")
        plan[0] = {"a", GgmlType::Q4_K, {4, 128}}, expected = "cannot hold";
    else if (words == "no dimension")
        plan[0].shape = {}, expected = "cannot hold";
    else if (words == "five")
        plan[0].shape = {1, 1, 1, 1, 1}, expected = "cannot hold";
    else if (words == "too many")
        plan[0].shape = {std::int64_t{1} << 61}, expected = "cannot hold";
    else if (words == "key twice")
        keys.u32("k", 1), keys.flag("k", true), expected = "'k' is empty, too long, or given twice";
    else
        keys.u32("k", std::uint64_t{1} << 33);
    const auto opened = GgufWriter(at("x.gguf"), keys, plan).open();
    QVERIFY(!opened);
    QVERIFY2(QString::fromStdString(opened.error().what).contains(expected),
             opened.error().what.c_str());
    QVERIFY(!fs::exists(at("x.gguf")) && fs::is_empty(m_folder->path().toStdString()));
}

void TestGgufWriter::refusesWrongAmounts()
{
    {
        GgufWriter writer(at("x.gguf"), {}, {{"a", GgmlType::F32, {2}}});
        writer.open().value();
        const float values[3] = {};
        QVERIFY(!writer.write(values, 12));
        writer.write(values, 4).value();
        QVERIFY(writer.commit().error().code == ErrorCode::Internal);
    }
    QVERIFY(fs::is_empty(m_folder->path().toStdString())); // half a file never stays
}

void TestGgufWriter::quantisesAsTheReference_data()
{
    QTest::addColumn<QString>("type");
    const Json golden =
        readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/gguf_quants.json").value();
    for (const auto& [type, hex] : golden["types"].items())
        QTest::newRow(type.c_str()) << QString::fromStdString(type);
}

void TestGgufWriter::quantisesAsTheReference()
{
    QFETCH(QString, type);
    const Json golden =
        readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/gguf_quants.json").value();
    const auto values = floatsOf(golden["values"]);
    const auto kind = typeNamed(type.toStdString());
    const auto ours = quantised(kind, values);
    const auto theirs = fromHex(golden["types"][type.toStdString()]);
    QCOMPARE(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i)
        QVERIFY2(ours[i] == theirs[i], qPrintable(QString("byte %1").arg(i)));
    // And our own reader understands them: the error is at most a step of the coarsest group.
    std::vector<float> back(values.size());
    dequantise(static_cast<std::uint32_t>(kind), bytesOf(ours), back.data(), back.size()).value();
    double error = 0, size = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        error += std::pow(back[i] - values[i], 2);
        size += std::pow(values[i], 2);
    }
    const double allowed = type.startsWith("Q4") ? 0.1 : type.startsWith("Q5") ? 0.05 : 0.015;
    QVERIFY2(std::sqrt(error / size) < allowed,
             qPrintable(QString::number(std::sqrt(error / size))));
}

void TestGgufWriter::kernelsAgree()
{
    QFETCH(QString, type);
    const auto kernels = quantKernels();
    const auto kind = typeNamed(type.toStdString());
    std::vector<float> values(256 * 64);
    std::uint32_t state = 1; // numbers of every size, some of them equal
    for (auto& value : values) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(static_cast<std::int32_t>(state) >> 8) *
                std::ldexp(1.0f, -static_cast<int>(state % 37));
        value = std::fmod(value, 60000.0f);
    }
    const auto expected = quantised(kind, values);
    const auto& plain = *kernels.back();
    const std::map<GgmlType, void (*)(const float*, std::uint8_t*, std::uint64_t)> kinds{
        {GgmlType::F16, plain.f16},   {GgmlType::BF16, plain.bf16}, {GgmlType::Q4_0, plain.q4_0},
        {GgmlType::Q4_1, plain.q4_1}, {GgmlType::Q5_0, plain.q5_0}, {GgmlType::Q5_1, plain.q5_1},
        {GgmlType::Q8_0, plain.q8_0}, {GgmlType::Q4_K, plain.q4_k}, {GgmlType::Q5_K, plain.q5_k},
        {GgmlType::Q6_K, plain.q6_k}};
    std::string slow(expected.size(), '\0');
    kinds.at(kind)(values.data(), reinterpret_cast<std::uint8_t*>(slow.data()),
                   values.size() / ggmlTypeInfo(static_cast<std::uint32_t>(kind))->values);
    QVERIFY(slow == expected);
}

void TestGgufWriter::knownBlocks()
{
    std::vector<float> values(32); // formats.md 24
    for (int i = 0; i < 32; ++i)
        values[static_cast<std::size_t>(i)] = static_cast<float>(i - 16) / 8;
    QCOMPARE(quantised(GgmlType::Q8_0, values),
             fromHex("082481899199a1a9b1b9c0c8d0d8e0e8f0f8000810182028303840474f575f676f77"));
    QCOMPARE(quantised(GgmlType::Q4_0, values), fromHex("0034809191a2a2b3b3c4c4d5d5e6e6f7f7f8"));
}

void TestGgufWriter::refusesValues()
{
    std::vector<float> values(256, 0.5f);
    std::vector<std::byte> out(2048);
    const auto problem = [&](GgmlType type, float value) {
        values[77] = value;
        const auto done = quantise(type, values.data(), values.size(), out.data());
        return done ? std::string() : done.error().what;
    };
    for (const auto type : {GgmlType::F32, GgmlType::BF16, GgmlType::F16, GgmlType::Q8_0,
                            GgmlType::Q4_K, GgmlType::Q6_K}) {
        QCOMPARE(problem(type, std::nanf("")), std::string("a weight is not a finite number"));
        QCOMPARE(problem(type, -std::numeric_limits<float>::infinity()),
                 std::string("a weight is not a finite number"));
        QCOMPARE(problem(type, 1e-42f), std::string());
    }
    QVERIFY(problem(GgmlType::F16, 1e6f).find("too large for F16") != std::string::npos);
    QVERIFY(problem(GgmlType::BF16, 3.4e38f).find("too large for BF16") != std::string::npos);
    QCOMPARE(problem(GgmlType::F32, 3.4e38f), std::string());
    QVERIFY(!quantise(GgmlType::Q8_0, values.data(), 33, out.data()));
    QVERIFY(!quantise(GgmlType::Q2_K, values.data(), 256, out.data()));
}

QTEST_GUILESS_MAIN(TestGgufWriter)
#include "test_gguf_writer.moc"

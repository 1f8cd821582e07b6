#include "base/rng.h"
#include "sanitized.h"
#include "tensor/file_helpers.h"
#include "tensor/files/dtype.h"
#include "tensor/files/gguf.h"

#include <QtTest>
#include <bit>
#include <cmath>

using namespace fettle;
using namespace fettle::tensor;
using namespace fettle::testing;

Q_DECLARE_METATYPE(std::string)

namespace {

constexpr std::uint32_t kU8 = 0, kU32 = 4, kF32 = 6, kText = 8, kArray = 9, kU64 = 10;

std::string text(const std::string& value) { return GgufBuilder::text(value); }

GgufBuilder small()
{
    GgufBuilder builder;
    builder.key("general.architecture", kText, text("llama")).tensor("x.weight", {4}, 0, 0);
    builder.data = std::string(32, '\0');
    return builder;
}

/// One tensor of given form over `data` bytes.
std::string withTensor(const std::vector<std::uint64_t>& dims, std::uint32_t type, std::size_t data)
{
    GgufBuilder builder;
    builder.tensor("x", dims, type, 0);
    builder.data = std::string(data, '\0');
    return builder.file();
}

std::string list(std::uint32_t element, std::uint64_t count, const std::string& items)
{
    return raw(element) + raw(count) + items;
}

std::string goldenFile()
{
    return readFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/tiny_llama.gguf").value();
}

} // namespace

class TestGguf : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void readsASmallFile();
    void readsValuesByType();
    void readsTheReferencePackagesFile();
    void refuses_data();
    void refuses();
    void everyPrefixIsRefused();
    void mutationsNeverCrash();
    void dequantisesAsTheReference_data();
    void dequantisesAsTheReference();
    void handMadeBlocks();
    void dequantiseChecksSizes();
    void halves();
};

void TestGguf::readsASmallFile()
{
    const std::string file = small().file();
    QCOMPARE(file.size(), std::size_t{160}); // infos end at 109, data at 128
    const auto read = GgufFile::parse(bytesOf(file), "x").value();
    QCOMPARE(read.text("general.architecture"), std::optional<std::string>("llama"));
    QVERIFY(read.tensor("x.weight"));
    QCOMPARE(read.tensor("x.weight")->bytes.size(), std::size_t{16});
    QVERIFY(read.tensor("x.weight")->bytes.data() == bytesOf(file).data() + 128);
    QVERIFY(!read.tensor("y"));
}

void TestGguf::readsValuesByType()
{
    GgufBuilder builder;
    builder.key("u", kU32, raw<std::uint32_t>(7)).key("f", kF32, raw(0.5f)).key("b", 7, "\x02");
    builder.key("huge", kU64, raw<std::uint64_t>(~0ull)).key("minus", 5, raw<std::int32_t>(-3));
    builder.key("texts", kArray, list(kText, 2, text("a") + text("bc")));
    builder.key("ints", kArray, list(5, 2, raw<std::int32_t>(-1) + raw<std::int32_t>(2)));
    builder.key("reals", kArray, list(kF32, 1, raw(1.25f))).key("none", kArray, list(kText, 0, ""));
    builder.key("bytes", kArray, list(kU8, 2, "\x01\xff"));
    const std::string file = builder.file();
    const auto read = GgufFile::parse(bytesOf(file), "x").value();
    QCOMPARE(read.integer("u"), std::optional<std::int64_t>(7));
    QCOMPARE(read.integer("minus"), std::optional<std::int64_t>(-3));
    QCOMPARE(read.real("f"), std::optional<double>(0.5));
    QCOMPARE(read.flag("b"), std::optional<bool>(true));
    QVERIFY(!read.integer("huge") && !read.integer("f") && !read.real("u") && !read.flag("u"));
    QVERIFY(!read.text("u") && !read.text("absent") && !read.texts("ints") && !read.reals("ints"));
    QVERIFY(read.has("u") && !read.has("absent"));
    QCOMPARE(*read.texts("texts"), (std::vector<std::string>{"a", "bc"}));
    QCOMPARE(*read.integers("ints"), (std::vector<std::int64_t>{-1, 2}));
    QCOMPARE(*read.integers("bytes"), (std::vector<std::int64_t>{1, 255}));
    QCOMPARE(*read.reals("reals"), std::vector<float>{1.25f});
    QVERIFY(read.texts("none")->empty());
}

void TestGguf::readsTheReferencePackagesFile()
{
    const std::string file = goldenFile();
    const auto read = GgufFile::parse(bytesOf(file), "tiny").value();
    QCOMPARE(read.integer("llama.block_count"), std::optional<std::int64_t>(2));
    QCOMPARE(read.tensors().size(), std::size_t{20});
    QCOMPARE(read.tensor("blk.0.ffn_up.weight")->shape(), (std::vector<std::int64_t>{64, 32}));
    QCOMPARE(read.texts("tokenizer.ggml.tokens")->at(1), std::string("<|im_start|>"));
}

void TestGguf::refuses_data()
{
    QTest::addColumn<std::string>("file");
    QTest::addColumn<QString>("words");
    auto row = [](const char* name, const std::string& file, const char* words) {
        QTest::newRow(name) << file << QString(words);
    };
    auto keyed = [](const std::string& name, std::uint32_t type, const std::string& value) {
        return GgufBuilder().key(name, type, value).file();
    };
    auto versioned = [](std::uint32_t version) {
        auto builder = small();
        builder.version = version;
        return builder.file();
    };
    const std::uint64_t huge = ~0ull;
    row("no bytes", "", "letters GGUF");
    row("another format", "PK\x03\x04 and more", "letters GGUF");
    row("an older format", "tjgg" + std::string(40, '\0'), "older format");
    row("version 0", versioned(0), "version 0");
    row("version 1", versioned(1), "version 1");
    row("version 4", versioned(4), "version 4");
    row("big-endian", versioned(0x03000000), "big-endian");
    row("only the start", "GGUF" + raw<std::uint32_t>(3), "first 24 bytes");
    for (const std::uint64_t count :
         {huge, huge - 3, std::uint64_t{1} << 61, std::uint64_t{999'999}}) {
        row(qPrintable(QString("%1 tensors").arg(count)),
            "GGUF" + raw<std::uint32_t>(3) + raw(count) + raw<std::uint64_t>(0) +
                std::string(64, '\0'),
            "do not fit");
        row(qPrintable(QString("%1 keys").arg(count)),
            "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(0) + raw(count) +
                std::string(64, '\0'),
            "do not fit");
    }
    row("no key name", keyed("", kU64, "xxxxxxxx"), "empty");
    row("zero byte in a key name", keyed(std::string("a\0b", 3), kU8, "x"), "not a text");
    row("key name is not UTF-8", keyed("\xff\xfe", kU8, "x"), "not a text");
    row("key name of 2^64-1 bytes",
        "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(0) + raw<std::uint64_t>(1) + raw(huge) +
            std::string(40, 'x'),
        "longer than");
    row("key twice", GgufBuilder().key("a", kU8, "x").key("a", kU8, "x").file(), "appears twice");
    row("unknown value type", keyed("a", 13, "xxxxxxxx"), "unknown type 13");
    row("text past the end", keyed("a", kText, raw(huge - 3) + "x"), "longer than the rest");
    row("text of 2^30+1 bytes", keyed("a", kText, raw<std::uint64_t>((1u << 30) + 1) + "x"),
        "longer than");
    row("value cut off", keyed("a", kU64, "xxxx"), "ends within");
    row("list of lists", keyed("a", kArray, list(kArray, 1, list(kU8, 1, "x"))), "not allowed");
    row("list of unknown things", keyed("a", kArray, list(77, 1, "x")), "not allowed");
    row("list of 2^61 numbers", keyed("a", kArray, list(kU64, std::uint64_t{1} << 61, "xxxxxxxx")),
        "do not fit");
    row("list of 2^62 texts", keyed("a", kArray, list(kText, std::uint64_t{1} << 62, "xxxxxxxx")),
        "do not fit");
    row("list of texts, one too long", keyed("a", kArray, list(kText, 1, raw(huge))), "element 0");
    for (const std::uint32_t alignment : {0u, 1u, 4u, 12u, 48u, 1u << 17, 1u << 31})
        row(qPrintable(QString("alignment %1").arg(alignment)),
            keyed("general.alignment", kU32, raw(alignment)), "power of two");
    row("alignment of another type", keyed("general.alignment", kU64, raw<std::uint64_t>(32)),
        "power of two");
    row("tensor name of 64 bytes", GgufBuilder().tensor(std::string(64, 'n'), {1}, 0, 0).file(),
        "longer than 63");
    row("tensor twice", GgufBuilder().tensor("a", {0}, 0, 0).tensor("a", {0}, 0, 0).file(),
        "appears twice");
    row("five dimensions", withTensor({1, 1, 1, 1, 1}, 0, 64), "5 dimensions");
    row("4 billion dimensions",
        "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(1) + raw<std::uint64_t>(0) + text("x") +
            raw(~0u) + std::string(64, '\0'),
        "4294967295 dimensions");
    row("a dimension of 2^63", withTensor({std::uint64_t{1} << 63}, 0, 64), "impossible");
    row("a dimension of 2^42+1",
        withTensor({(std::uint64_t{1} << 42) + 1, (std::uint64_t{1} << 22)}, 0, 64), "impossible");
    row("a size that wraps to few bytes", withTensor({std::uint64_t{1} << 62}, 0, 64),
        "impossible");
    row("a size just below 2^64", withTensor({(std::uint64_t{1} << 62) - 1}, 0, 64), "do not fit");
    row("withdrawn type 4", withTensor({32}, 4, 64), "withdrawn type 4");
    row("unknown type", withTensor({32}, 99, 64), "withdrawn type 99");
    row("rows that fill no block", withTensor({33}, 8, 128), "multiple of 32");
    row("more data than the file has", withTensor({1000}, 0, 64), "needs 4000 bytes");
    row("offset not the next one",
        GgufBuilder().tensor("a", {0}, 0, 32).file() + std::string(64, '\0'), "expected is 0");
    row("offset of 2^64-32",
        GgufBuilder().tensor("a", {1}, 0, huge - 31).file() + std::string(64, '\0'), "expected");
    row("overlap",
        GgufBuilder().tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).file() + std::string(64, '\0'),
        "expected is 32");
}

void TestGguf::refuses()
{
    QFETCH(std::string, file);
    QFETCH(QString, words);
    QElapsedTimer timer;
    timer.start();
    const auto read = GgufFile::parse(bytesOf(file), "some.gguf");
    QVERIFY2(timer.elapsed() < fettle::tests::patient(50), "a refusal takes milliseconds");
    QVERIFY(!read);
    QCOMPARE(read.error().where, std::string("some.gguf"));
    QVERIFY(!read.error().remedy.empty());
    QVERIFY2(QString::fromStdString(read.error().what).contains(words), read.error().what.c_str());
}

void TestGguf::everyPrefixIsRefused()
{
    const std::string whole = goldenFile();
    const auto read = GgufFile::parse(bytesOf(whole), "x").value();
    const auto& last = read.tensors().back();
    const auto end =
        static_cast<std::size_t>(last.bytes.data() + last.bytes.size() - bytesOf(whole).data());
    for (std::size_t size = 0; size < end; size += size < 12'000 ? 1 : 997) {
        const auto part = bytesOf(whole).first(size);
        QVERIFY2(!GgufFile::parse(part, "x"), qPrintable(QString::number(size)));
    }
}

void TestGguf::mutationsNeverCrash()
{
    const std::string whole = goldenFile();
    const auto tables = static_cast<std::uint64_t>(
        GgufFile::parse(bytesOf(whole), "x").value().tensors()[0].bytes.data() -
        bytesOf(whole).data());
    const Rng rng(2, "mutations");
    int accepted = 0;
    constexpr int kRounds = 5000;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
        std::string file = whole;
        for (std::uint64_t i = 0; i <= rng.bits(round, 0) % 3; ++i) {
            // Half of the changes go to the first numbers and the last descriptions, where the lies
            // matter.
            const auto where = rng.bits(round, 3 * i + 1);
            const auto at = where % 4 == 0   ? where / 4 % 64
                            : where % 4 == 1 ? tables - 1 - where / 4 % 1200
                                             : where / 4 % tables;
            const auto what = rng.bits(round, 3 * i + 2);
            file[at] =
                what % 2 == 0 ? static_cast<char>(what >> 8) : "\x00\x01\x7f\x80\xff"[what / 2 % 5];
        }
        if (rng.bits(round, 90) % 8 == 0)
            file.resize(rng.bits(round, 91) % file.size());
        const auto read = GgufFile::parse(bytesOf(file), "x");
        accepted += read ? 1 : 0;
        for (std::size_t i = 0; read && i < read->tensors().size(); ++i) {
            const auto& tensor = read->tensors()[i];
            if (tensor.values() > 1'000'000)
                continue; // only possible for empty rows
            std::vector<float> out(tensor.values());
            const auto done = dequantise(tensor.type, tensor.bytes, out.data(), tensor.values());
            QVERIFY(done || done.error().code == ErrorCode::Unsupported);
        }
        if (read)
            (void)read->texts("tokenizer.ggml.tokens");
    }
    QVERIFY(accepted > 0 && accepted < kRounds);
}

void TestGguf::dequantisesAsTheReference_data()
{
    QTest::addColumn<int>("number");
    const Json golden = filesGolden();
    for (std::size_t i = 0; i < golden["blocks"].size(); ++i)
        QTest::newRow(golden["blocks"][i]["name"].get<std::string>().c_str())
            << static_cast<int>(i);
}

void TestGguf::dequantisesAsTheReference()
{
    QFETCH(int, number);
    const Json golden = filesGolden();
    const Json& blocks = golden["blocks"][static_cast<std::size_t>(number)];
    const std::string bytes = fromHex(blocks["hex"]);
    const auto expected = blocks["values"].get<std::vector<std::uint32_t>>();
    std::vector<float> values(expected.size());
    dequantise(blocks["type"], bytesOf(bytes), values.data(), values.size()).value();
    for (std::size_t i = 0; i < values.size(); ++i) {
        const float want = std::bit_cast<float>(expected[i]);
        // Same formula, same order of operations: equal but for a fused multiply-add.
        const bool fine = std::abs(values[i] - want) <= 1e-6f * std::max(1.0f, std::abs(want)) ||
                          values[i] == want;
        QVERIFY2(fine,
                 qPrintable(QString("value %1: %2 is not %3").arg(i).arg(values[i]).arg(want)));
    }
}

void TestGguf::handMadeBlocks()
{
    // x_i = (i - 16) / 8: blocks and codes worked out by hand from the format's description.
    const std::string q8 =
        fromHex("0824"
                "81899199a1a9b1b9c0c8d0d8e0e8f0f8000810182028303840474f575f676f77");
    float values[32];
    QCOMPARE(q8.size(), std::size_t{34});
    dequantise(8, bytesOf(q8), values, 32).value();
    for (int i = 0; i < 32; ++i)
        QVERIFY(std::abs(values[i] - static_cast<float>(i - 16) / 8) < 0.01f);
    const std::string q4 = fromHex("0034"
                                   "809191a2a2b3b3c4c4d5d5e6e6f7f7f8");
    dequantise(2, bytesOf(q4), values, 32).value();
    QCOMPARE(values[0], -2.0f); // 0.25 * (0 - 8)
    QCOMPARE(values[16], 0.0f); // 0.25 * (8 - 8)
    QCOMPARE(values[31], 1.75f);
}

void TestGguf::dequantiseChecksSizes()
{
    std::vector<float> out(64);
    const std::string bytes(34, '\0');
    QVERIFY(!dequantise(8, bytesOf(bytes), out.data(), 64));
    QVERIFY(!dequantise(8, bytesOf(bytes).first(33), out.data(), 32));
    QVERIFY(!dequantise(8, bytesOf(bytes), out.data(), 31));
    QVERIFY(dequantise(9, bytesOf(bytes), out.data(), 32).error().code == ErrorCode::Unsupported);
    QVERIFY(dequantise(9, bytesOf(bytes), out.data(), 32).error().what.find("Q8_1") !=
            std::string::npos);
    QVERIFY(dequantise(0, {}, nullptr, 0));
}

void TestGguf::halves()
{
    QCOMPARE(halfToFloat(0x3c00), 1.0f);
    QCOMPARE(halfToFloat(0xc000), -2.0f);
    QCOMPARE(halfToFloat(0x0001), 0x1p-24f);
    QCOMPARE(halfToFloat(0x7bff), 65504.0f);
    QVERIFY(std::isinf(halfToFloat(0xfc00)) && halfToFloat(0xfc00) < 0);
    QVERIFY(std::isnan(halfToFloat(0x7e00)));
    QVERIFY(std::signbit(halfToFloat(0x8000)) && halfToFloat(0x8000) == 0);
}

QTEST_GUILESS_MAIN(TestGguf)
#include "test_gguf.moc"

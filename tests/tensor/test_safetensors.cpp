#include "base/rng.h"
#include "sanitized.h"
#include "tensor/file_helpers.h"
#include "tensor/files/weight_files.h"

#include <QtTest>
#include <fstream>

using namespace fettle;
using namespace fettle::tensor;
using namespace fettle::testing;

Q_DECLARE_METATYPE(std::string)

namespace {

const std::string kTwoByTwo = R"({"t":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets)
{
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}";
}

void writeText(const std::filesystem::path& path, const std::string& text)
{
    std::ofstream(path, std::ios::binary) << text;
}

/// A valid file of several tensors as seed for mutations.
std::string validFile() { return fromHex(filesGolden()["safetensors"][1]["file"]); }

} // namespace

class TestSafetensors : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() { QVERIFY(m_folder.isValid()); }
    void writesTheReferenceBytes_data();
    void writesTheReferenceBytes();
    void readsWhatTheReferenceWrote();
    void refuses_data();
    void refuses();
    void accepts_data();
    void accepts();
    void refusesUnusualTypes();
    void everyPrefixIsRefused();
    void mutationsNeverCrash();
    void unfinishedWriterLeavesNothing();
    void writerRefusesDoubleNames();
    void fileNamesStayInside_data();
    void fileNamesStayInside();
    void readsShards();
    void lyingIndexIsRefused_data();
    void lyingIndexIsRefused();
    void folderWithoutWeights();

private:
    std::filesystem::path path(const char* name) const
    {
        return m_folder.filePath(name).toStdString();
    }
    std::filesystem::path freshFolder()
    {
        const auto folder = path(("folder" + std::to_string(++m_folders)).c_str());
        std::filesystem::create_directories(folder);
        return folder;
    }

    QTemporaryDir m_folder;
    int m_folders = 0;
};

void TestSafetensors::writesTheReferenceBytes_data()
{
    QTest::addColumn<int>("number");
    for (int i = 0; i < static_cast<int>(filesGolden()["safetensors"].size()); ++i)
        QTest::addRow("golden file %d", i) << i;
}

void TestSafetensors::writesTheReferenceBytes()
{
    QFETCH(int, number);
    const Json golden = filesGolden();
    const Json& file = golden["safetensors"][static_cast<std::size_t>(number)];
    std::vector<std::string> data;
    for (const auto& tensor : file["tensors"])
        data.push_back(fromHex(tensor["hex"]));
    std::vector<TensorToWrite> tensors;
    for (std::size_t i = 0; i < data.size(); ++i) {
        const auto& described = file["tensors"][i];
        tensors.push_back({{described["name"], *dtypeOf(described["dtype"].get<std::string>()),
                            described["shape"]},
                           data[i].data(),
                           data[i].size()});
    }
    const auto target = path("written.safetensors");
    writeSafetensors(target, tensors, file["metadata"].get<FileMetadata>()).value();
    QCOMPARE(readFile(target).value(), fromHex(file["file"]));
}

void TestSafetensors::readsWhatTheReferenceWrote()
{
    const Json golden = filesGolden();
    for (const auto& file : golden["safetensors"]) {
        const std::string bytes = fromHex(file["file"]);
        const auto read = SafetensorsFile::parse(bytesOf(bytes), "golden").value();
        QCOMPARE(read.tensors().size(), file["tensors"].size());
        QCOMPARE(Json(read.metadata()), file["metadata"]);
        for (const auto& described : file["tensors"]) {
            const auto* found = read.find(described["name"]);
            QVERIFY(found);
            QCOMPARE(std::string(nameOf(found->dtype)), described["dtype"].get<std::string>());
            QCOMPARE(found->shape, described["shape"].get<std::vector<std::int64_t>>());
            const std::string data(reinterpret_cast<const char*>(found->bytes.data()),
                                   found->bytes.size());
            QCOMPARE(data, fromHex(described["hex"]));
        }
    }
    QVERIFY(!SafetensorsFile::parse(bytesOf(validFile()), "x").value().find("nothing"));
}

void TestSafetensors::refuses_data()
{
    QTest::addColumn<std::string>("file");
    QTest::addColumn<QString>("words");
    const std::string sixteen(16, '\0');
    auto row = [](const char* name, const std::string& file, const char* words) {
        QTest::newRow(name) << file << QString(words);
    };
    row("no bytes", "", "at least 8");
    row("seven bytes", std::string(7, '\0'), "at least 8");
    row("header above the limit", raw<std::uint64_t>(100'000'001) + "{}", "at most 100000000");
    row("header of nearly all numbers", raw<std::uint64_t>(~0ull - 3) + "{}", "at most");
    row("header past the end", raw<std::uint64_t>(60) + "{}", "2 bytes behind");
    row("header is one brace", safetensorsFile("{"), "not valid JSON");
    row("header is the byte FF", safetensorsFile("\xff"), "begin with");
    row("header is empty", safetensorsFile(""), "begin with");
    row("header is a list", safetensorsFile("[]"), "begin with");
    row("byte order mark", safetensorsFile("\xef\xbb\xbf{}"), "begin with");
    row("text behind the object", safetensorsFile("{} x"), "not valid JSON");
    row("zero byte behind the object", safetensorsFile(std::string("{}\0 ", 4)), "zero byte");
    row("invalid UTF-8 in a name", safetensorsFile("{\"\xc3(\":1}"), "not valid JSON");
    row("shape larger than offsets",
        safetensorsFile("{" + entry("t", "I32", "[2,2]", "[0,4]") + "}", "abcd"), "needs 16 bytes");
    row("shape that overflows",
        safetensorsFile("{" + entry("t", "I32", "[2,18446744073709551614]", "[0,16]") + "}",
                        sixteen),
        "dimension of 18446744073709551614");
    row("product that overflows",
        safetensorsFile("{" + entry("t", "I32", "[4611686018427387904,4]", "[0,16]") + "}",
                        sixteen),
        "impossible shape");
    row("two at one place",
        safetensorsFile("{" + entry("a", "I32", "[2,2]", "[0,16]") + "," +
                            entry("b", "I32", "[2,2]", "[0,16]") + "}",
                        sixteen),
        "without gap or overlap");
    row("a gap", safetensorsFile("{" + entry("a", "U8", "[2]", "[2,4]") + "}", "abcd"),
        "without gap");
    row("offsets backwards", safetensorsFile("{" + entry("a", "U8", "[0]", "[4,0]") + "}", "abcd"),
        "without gap");
    row("one byte too many", safetensorsFile(kTwoByTwo, sixteen + "x"), "the last tensor ends");
    row("two bytes missing", safetensorsFile(kTwoByTwo, sixteen.substr(2)), "ends at byte");
    row("the name twice",
        safetensorsFile("{" + entry("a", "U8", "[0]", "[0,0]") + "," +
                        entry("a", "U8", "[0]", "[0,0]") + "}"),
        "appears twice");
    row("a key twice", safetensorsFile(R"({"a":{"dtype":"U8","dtype":"U8"}})"), "'dtype' twice");
    row("metadata twice", safetensorsFile(R"({"__metadata__":{"a":"1","a":"2"}})"),
        "appears twice");
    row("metadata with a number", safetensorsFile(R"({"__metadata__":{"a":1}})"),
        "instead of a text");
    row("metadata with an object", safetensorsFile(R"({"__metadata__":{"a":{}}})"),
        "instead of a text");
    row("unknown element type", safetensorsFile("{" + entry("a", "X9", "[0]", "[0,0]") + "}"),
        "unknown element");
    row("unknown key", safetensorsFile(R"({"a":{"strides":1}})"), "unknown key");
    row("no offsets", safetensorsFile(R"({"a":{"dtype":"U8","shape":[0]}})"), "lacks");
    row("three offsets", safetensorsFile("{" + entry("a", "U8", "[0]", "[0,0,0]") + "}"),
        "more than 2");
    row("one offset", safetensorsFile("{" + entry("a", "U8", "[0]", "[0]") + "}"), "instead of 2");
    row("negative dimension", safetensorsFile("{" + entry("a", "U8", "[-1]", "[0,0]") + "}"),
        "negative");
    row("fractional dimension", safetensorsFile("{" + entry("a", "U8", "[1.5]", "[0,0]") + "}"),
        "fraction");
    row("nested list", safetensorsFile("{" + entry("a", "U8", "[[1]]", "[0,0]") + "}"), "a list");
    row("nine dimensions",
        safetensorsFile("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", "x"),
        "more than 8");
    row("long name",
        safetensorsFile("{" + entry(std::string(1025, 'n'), "U8", "[0]", "[0,0]") + "}"),
        "1025 bytes");
    row("a number for a tensor", safetensorsFile(R"({"a":7})"), "a number");
    row("deep nesting", safetensorsFile(R"({"a":)" + std::string(100000, '[')), "a list");
    row("six bits that fill no byte",
        safetensorsFile("{" + entry("a", "F4", "[1]", "[0,1]") + "}", "x"), "F4");
}

void TestSafetensors::refuses()
{
    QFETCH(std::string, file);
    QFETCH(QString, words);
    QElapsedTimer timer;
    timer.start();
    const auto read = SafetensorsFile::parse(bytesOf(file), "some.safetensors");
    QVERIFY2(timer.elapsed() < fettle::tests::patient(50), "a refusal takes milliseconds");
    QVERIFY(!read);
    QCOMPARE(read.error().where, std::string("some.safetensors"));
    QVERIFY(!read.error().remedy.empty());
    QVERIFY2(QString::fromStdString(read.error().what).contains(words), read.error().what.c_str());
}

void TestSafetensors::accepts_data()
{
    QTest::addColumn<std::string>("file");
    QTest::newRow("no tensors") << fromHex("08000000000000007b7d202020202020");
    QTest::newRow("a dimension of zero")
        << safetensorsFile("{" + entry("t", "I32", "[2,0]", "[0,0]") + "}");
    QTest::newRow("white space around") << safetensorsFile("\r\n\t {} \t\r\n");
    QTest::newRow("header of odd length") << safetensorsFile(kTwoByTwo + " ", std::string(16, 'x'));
}

void TestSafetensors::accepts()
{
    QFETCH(std::string, file);
    SafetensorsFile::parse(bytesOf(file), "x").value();
}

void TestSafetensors::refusesUnusualTypes()
{
    const auto file = safetensorsFile("{" + entry("head", "U32", "[1]", "[0,4]") + "}", "abcd");
    const auto read = SafetensorsFile::parse(bytesOf(file), "x");
    QVERIFY(!read);
    QVERIFY(read.error().code == ErrorCode::Unsupported);
    QVERIFY(read.error().what.find("U32") != std::string::npos);
}

void TestSafetensors::everyPrefixIsRefused()
{
    const std::string whole = validFile();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::string part = whole.substr(0, size);
        QVERIFY2(!SafetensorsFile::parse(bytesOf(part), "x"), qPrintable(QString::number(size)));
    }
}

void TestSafetensors::mutationsNeverCrash()
{
    const std::string whole = validFile();
    const Rng rng(1, "mutations");
    int accepted = 0;
    for (std::uint64_t round = 0; round < 20'000; ++round) {
        std::string file = whole;
        for (std::uint64_t i = 0; i <= rng.bits(round, 0) % 4; ++i) {
            const auto at = rng.bits(round, 3 * i + 1) % file.size();
            const auto what = rng.bits(round, 3 * i + 2);
            const char byte = "0123456789{}[]\",:\x00\xff"[what % 19];
            if (what % 3 == 0)
                file.insert(at, 1, byte);
            else if (what % 3 == 1)
                file.erase(at, 1);
            else
                file[at] = what % 2 == 0 ? byte : static_cast<char>(what >> 8);
        }
        const auto read = SafetensorsFile::parse(bytesOf(file), "x");
        accepted += read ? 1 : 0;
        for (std::size_t i = 0; read && i < read->tensors().size(); ++i) {
            const auto& tensor = read->tensors()[i];
            QCOMPARE(tensor.bytes.size(), *byteCount(tensor.dtype, tensor.shape));
        }
    }
    QVERIFY(accepted > 0 && accepted < 20'000);
}

void TestSafetensors::unfinishedWriterLeavesNothing()
{
    const auto folder = freshFolder();
    {
        SafetensorsWriter writer(folder / "a.safetensors",
                                 {{"a", DType::F32, {2}}, {"b", DType::F32, {1}}});
        writer.open().value();
        const float data[3] = {1, 2, 3};
        QVERIFY(!writer.write(data, 12)); // a takes 8 bytes
        writer.write(data, 4).value();
        writer.write(data + 1, 4).value();
        QVERIFY(!writer.commit()); // b is missing
    }
    QVERIFY(std::filesystem::is_empty(folder));
}

void TestSafetensors::writerRefusesDoubleNames()
{
    const float data[1] = {1};
    const TensorToWrite one{{"a", DType::F32, {1}}, data, 4};
    QVERIFY(!writeSafetensors(path("double.safetensors"), {one, one}));
    QVERIFY(!std::filesystem::exists(path("double.safetensors")));
}

void TestSafetensors::fileNamesStayInside_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("inside");
    QTest::newRow("a shard") << "model-00001-of-00002.safetensors" << true;
    QTest::newRow("letters beyond ASCII") << "modèle.safetensors" << true;
    for (const char* name : {"", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "C:x",
                             "\\\\server\\x", "con", "NUL.txt", "com1", "a\nb"})
        QTest::newRow(name) << name << false;
    QTest::newRow("long") << QString(256, 'x') << false;
}

void TestSafetensors::fileNamesStayInside()
{
    QFETCH(QString, name);
    QFETCH(bool, inside);
    QCOMPARE(isPlainFileName(name.toStdString()), inside);
    QVERIFY(!isPlainFileName(std::string("a\0b", 3)));
}

void TestSafetensors::readsShards()
{
    const auto folder = freshFolder();
    const float one[1] = {1}, two[2] = {2, 3};
    writeSafetensors(folder / "p1.safetensors", {{{"a", DType::F32, {1}}, one, 4}}).value();
    writeSafetensors(folder / "p2.safetensors",
                     {{{"b", DType::F32, {2}}, two, 8}, {{"extra", DType::F32, {1}}, one, 4}})
        .value();
    writeText(
        folder / "model.safetensors.index.json",
        R"({"metadata":{"total_size":12},"weight_map":{"a":"p1.safetensors","b":"p2.safetensors"}})");
    const auto files = WeightFiles::open(folder).value();
    QCOMPARE(files.tensors().size(), std::size_t{3});
    QCOMPARE(files.find("b")->shape, std::vector<std::int64_t>{2});
    QCOMPARE(files.warnings().size(), std::size_t{1});
    QVERIFY(files.warnings()[0].find("'extra'") != std::string::npos);
    std::filesystem::remove(folder / "p2.safetensors");
    const auto without = WeightFiles::open(folder);
    QVERIFY(!without &&
            without.error().what.find("p2.safetensors is missing") != std::string::npos);
}

void TestSafetensors::lyingIndexIsRefused_data()
{
    QTest::addColumn<QString>("index");
    QTest::addColumn<QString>("words");
    QTest::newRow("outside the folder") << R"({"weight_map":{"a":"../p1.safetensors"}})"
                                        << "outside";
    QTest::newRow("absolute") << R"({"weight_map":{"a":"/p1.safetensors"}})"
                              << "outside";
    QTest::newRow("not there") << R"({"weight_map":{"b":"p1.safetensors"}})"
                               << "it is not there";
    QTest::newRow("no map") << R"({})"
                            << "weight_map";
    QTest::newRow("a list") << R"({"weight_map":[]})"
                            << "weight_map";
    QTest::newRow("a number") << R"({"weight_map":{"a":1}})"
                              << "not a text";
    QTest::newRow("nothing in it") << R"({"weight_map":{}})"
                                   << "0 weight files";
    QTest::newRow("not JSON") << R"({"weight_map")"
                              << "JSON";
    QTest::newRow("twice") << R"({"weight_map":{"a":"p1.safetensors","c":"p3.safetensors"}})"
                           << "two weight files";
}

void TestSafetensors::lyingIndexIsRefused()
{
    QFETCH(QString, index);
    QFETCH(QString, words);
    const auto folder = freshFolder();
    const float one[1] = {1};
    const TensorToWrite a{{"a", DType::F32, {1}}, one, 4}, c{{"c", DType::F32, {1}}, one, 4};
    writeSafetensors(folder / "p1.safetensors", {a}).value();
    writeSafetensors(folder / "p3.safetensors", {a, c}).value();
    writeText(folder / "model.safetensors.index.json", index.toStdString());
    const auto files = WeightFiles::open(folder);
    QVERIFY(!files);
    QVERIFY2(QString::fromStdString(files.error().what).contains(words),
             files.error().what.c_str());
}

void TestSafetensors::folderWithoutWeights()
{
    const auto folder = freshFolder();
    auto files = WeightFiles::open(folder);
    QVERIFY(!files);
    QVERIFY(files.error().code == ErrorCode::NotFound);
    writeText(folder / "pytorch_model.bin", "PK");
    files = WeightFiles::open(folder);
    QVERIFY(!files);
    QVERIFY(files.error().code == ErrorCode::Unsupported);
    QVERIFY(files.error().remedy.find("model.safetensors") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestSafetensors)
#include "test_safetensors.moc"

#include "deploy/export.h"
#include "deploy/proof.h"
#include "model/import/hf_folder.h"
#include "model/import/import.h"
#include "model/load.h"
#include "tensor/files/convert.h"

#include <ATen/ATen.h>
#include <QTemporaryDir>
#include <QTest>
#include <bit>
#include <fstream>

using namespace fettle;
using namespace fettle::deploy;
using tensor::DType;
namespace fs = std::filesystem;

namespace {

const Texts kTexts = {{5, 9, 31, 8, 40, 11}, {3, 4, 5}};

fs::path tiny() { return fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama"; }

std::unique_ptr<model::Decoder> load(const fs::path& folder)
{
    return model::loadDecoder(model::ModelFiles::open(folder).value(), c10::kCPU, at::kFloat)
        .value();
}

std::map<std::string, std::string> contents(const fs::path& folder)
{
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
        files[entry.path().filename().string()] = readFile(entry.path()).value();
    return files;
}

} // namespace

/// Whole models as folders of safetensors, in each type of number.
class TestExport : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }
    void roundsAsLibTorch();
    void writesEachType_data();
    void writesEachType();
    void exportImportExportIsTheSame_data();
    void exportImportExportIsTheSame();
    void refusesWhatHalfCannotHold();
    void cutsIntoShards();
    void stopsWithoutATrace();
    void readingBackFindsCorruption_data();
    void readingBackFindsCorruption();
    void answersDecide();
    void roundingIsNotAFault();
    void aWrongMergeFails();
    void roundedWeightsAreFound();

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }

    std::unique_ptr<QTemporaryDir> m_folder;
};

/// Bit patterns around every place where rounding changes, and many between.
void TestExport::roundsAsLibTorch()
{
    std::vector<float> values;
    const auto add = [&](std::uint32_t bits) {
        for (const std::uint32_t sign : {0u, 0x80000000u})
            values.push_back(std::bit_cast<float>(bits | sign));
    };
    for (std::uint32_t high = 0; high < 0x7f80u;
         ++high) { // each upper half with the ties and their neighbours
        for (const std::uint32_t low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x3001u,
                                        0x7fffu, 0x8000u, 0x8001u, 0xffffu})
            add(high << 16 | low);
    }
    for (std::uint32_t bits = 12345; bits < 0x7f800000u; bits += 1009)
        add(bits);
    const auto size = static_cast<std::int64_t>(values.size());
    const at::Tensor wide = at::from_blob(values.data(), {size}, at::kFloat);
    const at::Tensor half = wide.to(at::kHalf), brain = wide.to(at::kBFloat16);
    const auto* halves = static_cast<const std::uint16_t*>(half.const_data_ptr());
    const auto* brains = static_cast<const std::uint16_t*>(brain.const_data_ptr());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (tensor::floatToHalf(values[i]) != halves[i] ||
            tensor::floatToBfloat16(values[i]) != brains[i])
            QFAIL(
                qPrintable(QString("bits %1").arg(std::bit_cast<std::uint32_t>(values[i]), 8, 16)));
    }
    QVERIFY(values.size() > 4'000'000);
    // And back.
    std::vector<float> back(values.size());
    tensor::toFloats(DType::F16,
                     {static_cast<const std::byte*>(half.const_data_ptr()), values.size() * 2},
                     back.data());
    QVERIFY(at::equal(at::from_blob(back.data(), {size}, at::kFloat), half.to(at::kFloat)));
    tensor::toFloats(DType::BF16,
                     {static_cast<const std::byte*>(brain.const_data_ptr()), values.size() * 2},
                     back.data());
    QVERIFY(at::equal(at::from_blob(back.data(), {size}, at::kFloat), brain.to(at::kFloat)));
    std::byte bytes[8];
    const float large[2] = {1, 70000};
    QVERIFY(tensor::fromFloats({large, 2}, DType::F16, bytes) == std::size_t(1));
    QVERIFY(!tensor::fromFloats({large, 2}, DType::BF16, bytes));
    const float none[1] = {std::numeric_limits<float>::quiet_NaN()};
    for (const auto type : {DType::F16, DType::BF16, DType::F32})
        QVERIFY(tensor::fromFloats({none, 1}, type, bytes));
}

void TestExport::writesEachType_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("type");
    QTest::addColumn<double>("logits");
    QTest::newRow("float32") << "float32" << static_cast<int>(DType::F32) << 0.0;
    QTest::newRow("bfloat16") << "bf16" << static_cast<int>(DType::BF16) << 0.2;
    QTest::newRow("float16") << "fp16" << static_cast<int>(DType::F16) << 0.02;
}

void TestExport::writesEachType()
{
    QFETCH(QString, name);
    QFETCH(int, type);
    QFETCH(double, logits);
    const auto wanted = weightTypeFrom(name.toStdString()).value();
    QCOMPARE(static_cast<int>(wanted), type);
    auto decoder = load(tiny());
    exportModel(*decoder, tiny(), at("out"), {wanted}).value();
    const auto files = model::ModelFiles::open(at("out")).value();
    const auto& raw = files.config().raw;
    const std::string inConfig = wanted == DType::F32    ? "float32"
                                 : wanted == DType::BF16 ? "bfloat16"
                                                         : "float16";
    QCOMPARE(raw["dtype"].get<std::string>(), inConfig);
    QCOMPARE(raw["torch_dtype"].get<std::string>(), inConfig);
    for (const auto* each : files.weights().tensors())
        QCOMPARE(each->dtype, wanted);
    QCOMPARE(checkModel(*decoder, at("out"), wanted).value(),
             static_cast<std::int64_t>(files.weights().tensors().size()));
    const auto before = answersOf(*decoder, kTexts);
    const auto proof = proveModel(*decoder, *load(at("out")), before, kTexts);
    QVERIFY2(proof.passed && proof.largestDifference <= logits, toJson(proof).dump().c_str());
    QCOMPARE(proof.unexplained, 0.0);
}

/// A model whose logits move by much when its weights are rounded: that is no fault of the file.
/// A file of these weights that is read otherwise is one.
void TestExport::roundingIsNotAFault()
{
    const auto loud = [] {
        auto decoder = load(tiny());
        for (auto& [name, value] : decoder->parameters()) {
            if (name.find("embed_tokens") != std::string::npos || name == "lm_head.weight")
                *value = *value * 120;
        }
        decoder->tie();
        return decoder;
    };
    const auto decoder = loud();
    const auto before = answersOf(*decoder, kTexts);
    exportModel(*decoder, tiny(), at("out"), {DType::BF16}).value();
    checkModel(*decoder, at("out"), DType::BF16).value();
    const auto proof = proveModel(*decoder, *load(at("out")), before, kTexts);
    QVERIFY2(proof.passed && proof.largestDifference > 1, toJson(proof).dump().c_str());

    auto config = readJsonFile(at("out") / "config.json").value();
    config["rms_norm_eps"] = config["rms_norm_eps"].get<double>() * 100;
    std::ofstream(at("out") / "config.json") << config.dump();
    const auto wrong = proveModel(*loud(), *load(at("out")), before, kTexts);
    QVERIFY2(!wrong.passed, toJson(wrong).dump().c_str());
}

/// A merge that changes the answers is a fault although the file holds what was merged.
void TestExport::aWrongMergeFails()
{
    auto decoder = load(tiny());
    const auto before = answersOf(*decoder, kTexts);
    auto parameters = decoder->parameters();
    *parameters.back().second = *parameters.back().second * 1.5;
    exportModel(*decoder, tiny(), at("out"), {DType::F32}).value();
    QVERIFY(!proveModel(*decoder, *load(at("out")), before, kTexts).passed);
}

void TestExport::roundedWeightsAreFound()
{
    auto decoder = load(tiny());
    exportModel(*decoder, tiny(), at("out"), {DType::BF16}).value();
    auto written = load(at("out"));
    QCOMPARE(checkRounded(*decoder, *written, 1.0 / 256).value(),
             static_cast<std::int64_t>(decoder->parameters().size()));
    QVERIFY(!checkRounded(*decoder, *written, 1.0 / 2048)); // finer than it was written
    auto parameters = written->parameters();
    auto& [name, value] = parameters[3];
    *value = value->flip(0);
    const auto found = checkRounded(*decoder, *written, 0.4);
    QVERIFY(!found);
    QVERIFY2(found.error().what.find(name) != std::string::npos, found.error().what.c_str());
}

void TestExport::exportImportExportIsTheSame_data() { writesEachType_data(); }

void TestExport::exportImportExportIsTheSame()
{
    QFETCH(int, type);
    const WeightForm form{static_cast<DType>(type), 60'000, {}};
    exportModel(*load(tiny()), tiny(), at("first"), form).value();
    model::importModel(at("first"), at("imported")).value();
    QVERIFY(contents(at("imported")) == contents(at("first")));
    exportModel(*load(at("imported")), at("imported"), at("second"), form).value();
    QVERIFY(contents(at("second")) == contents(at("first")));
}

void TestExport::refusesWhatHalfCannotHold()
{
    auto decoder = load(tiny());
    auto parameters = decoder->parameters();
    at::Tensor& weight = *parameters[1].second;
    weight = weight.clone();
    weight.flatten()[7] = 70000.0;
    const auto refused = exportModel(*decoder, tiny(), at("out"), {DType::F16});
    QVERIFY(!refused);
    QVERIFY2(refused.error().what.find(parameters[1].first) != std::string::npos,
             refused.error().what.c_str());
    QVERIFY(refused.error().remedy.find("bfloat16") != std::string::npos);
    QVERIFY(!fs::exists(at("out")));
    QVERIFY(exportModel(*decoder, tiny(), at("out"), {DType::BF16}));
    weight.flatten()[7] = std::numeric_limits<float>::quiet_NaN();
    const auto broken = exportModel(*decoder, tiny(), at("other"), {DType::F32});
    QVERIFY(!broken && broken.error().code == ErrorCode::Diverged);
}

void TestExport::cutsIntoShards()
{
    auto decoder = load(tiny());
    exportModel(*decoder, tiny(), at("out"), {DType::BF16, 30'000, {}}).value();
    const auto index = readJsonFile(at("out") / "model.safetensors.index.json").value();
    std::set<std::string> names;
    for (const auto& [weight, file] : index["weight_map"].items())
        names.insert(file);
    QVERIFY(names.size() > 2);
    std::uint64_t total = 0;
    for (const auto& name : names) {
        const auto file = tensor::SafetensorsFile::open(at("out") / name).value();
        std::uint64_t bytes = 0;
        for (const auto& each : file.tensors())
            bytes += each.bytes.size();
        QVERIFY(bytes <= 30'000 || file.tensors().size() == 1);
        total += bytes;
    }
    QCOMPARE(index["metadata"]["total_size"].get<std::uint64_t>(), total);
    QCOMPARE(*names.begin(), "model-00001-of-0000" + std::to_string(names.size()) + ".safetensors");
    QVERIFY(checkModel(*decoder, at("out"), DType::BF16));
}

void TestExport::stopsWithoutATrace()
{
    fs::create_directories(at("place"));
    std::uint64_t seen = 0;
    const WeightForm form{DType::F32, 60'000, [&](std::uint64_t bytes) -> Result<void> {
                              seen += bytes;
                              if (seen > 100'000)
                                  return Error{ErrorCode::Cancelled, "stopped", "", ""};
                              return {};
                          }};
    const auto stopped = exportModel(*load(tiny()), tiny(), at("place") / "out", form);
    QVERIFY(!stopped && stopped.error().code == ErrorCode::Cancelled);
    QVERIFY(fs::is_empty(at("place")));
}

void TestExport::readingBackFindsCorruption_data()
{
    QTest::addColumn<QString>("kind");
    QTest::newRow("a byte of a weight") << "flip";
    QTest::newRow("a truncated shard") << "truncate";
    QTest::newRow("a missing shard") << "remove";
    QTest::newRow("another shape in the configuration") << "config";
}

void TestExport::readingBackFindsCorruption()
{
    QFETCH(QString, kind);
    auto decoder = load(tiny());
    exportModel(*decoder, tiny(), at("out"), {DType::F32, 60'000, {}}).value();
    QVERIFY(checkModel(*decoder, at("out"), DType::F32));
    const auto shard =
        at("out") /
        model::ModelFiles::open(at("out")).value().weights().files()[1].path().filename();
    auto bytes = readFile(shard).value();
    if (kind == "flip") {
        bytes[bytes.size() - 100] ^= 1;
        std::ofstream(shard, std::ios::binary) << bytes;
        const auto found = checkModel(*decoder, at("out"), DType::F32);
        QVERIFY(!found && found.error().what.find("read back") != std::string::npos);
    } else if (kind == "truncate") {
        fs::resize_file(shard, bytes.size() - 1);
    } else if (kind == "remove") {
        fs::remove(shard);
    } else {
        auto config = readJsonFile(at("out") / "config.json").value();
        config["intermediate_size"] = config["intermediate_size"].get<int>() + 1;
        std::ofstream(at("out") / "config.json") << config.dump();
    }
    QVERIFY(!checkModel(*decoder, at("out"), DType::F32));
}

void TestExport::answersDecide()
{
    auto decoder = load(tiny());
    const auto before = answersOf(*decoder, kTexts);
    QVERIFY(compareAnswers(before, before).passed);
    auto worse = before;
    worse.logits[0] = worse.logits[0] + 0.002;
    QVERIFY(!compareAnswers(before, worse).passed);
    worse = before;
    worse.nll *= 1.05;
    QVERIFY(!compareAnswers(before, worse).passed);
    worse = before;
    worse.logits[0] = worse.logits[0] / 0.0 * 0.0;
    QVERIFY(!compareAnswers(before, worse).passed);
    QVERIFY(!compareAnswers({}, {}).passed);
}

QTEST_GUILESS_MAIN(TestExport)
#include "test_export.moc"

#include "base/rng.h"
#include "model/import/hf_folder.h"
#include "model/import/import.h"
#include "model/import/weight_writer.h"
#include "model/import_helpers.h"
#include "sanitized.h"
#include "tensor/files/convert.h"
#include "text/tokenizer.h"

#include <QtTest>
#include <csignal>
#include <sys/resource.h>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;
namespace fs = std::filesystem;

class TestImport : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void ggufEqualsTransformers();
    void importedFolderIsComplete();
    void refusesGguf_data();
    void refusesGguf();
    void truncatedFilesLeaveNothing();
    void refusesOtherFiles_data();
    void refusesOtherFiles();
    void existingTargetIsKept();
    void stopLeavesNothing();
    void failingDiskLeavesNothing();
    void roomIsCheckedFirst();
    void mutatedFilesNeverCrash();
    void folderIsCopiedWithoutCode();
    void refusesFolders_data();
    void refusesFolders();
    void pytorchFolderBecomesSafetensors();
    void missingHeadIsTied();
    void extraWeightsWarn();
    void digestSeesEveryFile();

private:
    /// A fresh empty folder for each test.
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    fs::path imported()
    {
        importModel(golden("tiny_llama.gguf"), at("tiny")).value();
        return at("tiny");
    }
    bool nothingLeft() const
    {
        return fs::is_empty(fs::path(m_folder->path().toStdString()) / "out");
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestImport::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    fs::create_directories(at("out"));
}

void TestImport::ggufEqualsTransformers()
{
    std::uint64_t last = 0, total = 0;
    const auto result = importModel(golden("tiny_llama.gguf"), at("tiny"),
                                    [&](std::uint64_t done, std::uint64_t all) {
                                        QVERIFY(done >= last);
                                        last = done;
                                        total = all;
                                    });
    QVERIFY2(result, result ? "" : result.error().sentence().c_str());
    QVERIFY(last == total && total > 0);
    const auto files = ModelFiles::open(at("tiny")).value();
    const auto expected =
        tensor::SafetensorsFile::open(golden("tiny_llama_expected.safetensors")).value();
    QCOMPARE(files.weights().tensors().size(), expected.tensors().size());
    for (const auto& want : expected.tensors()) {
        const auto* got = files.find(want.name);
        QVERIFY2(got, want.name.c_str());
        QCOMPARE(got->shape, want.shape);
        QVERIFY(got->dtype == want.dtype || got->dtype == tensor::DType::F16);
        std::string values(want.bytes.size(), 0); // widened: the reference gives float32 alone
        tensor::toFloats(got->dtype, got->bytes, reinterpret_cast<float*>(values.data()));
        QVERIFY2(values == bytesOf(want), want.name.c_str());
    }
}

void TestImport::importedFolderIsComplete()
{
    const auto folder = imported();
    for (const char* name :
         {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
          "chat_template.jinja", "README.md", "model.safetensors"})
        QVERIFY2(fs::exists(folder / name), name);
    const auto config = readModelConfig(folder).value();
    QCOMPARE(config.layers, 2);
    QCOMPARE(config.kvHeads, 2);
    QCOMPARE(config.normEps, 1e-5);
    QVERIFY(config.tieEmbeddings);
    QCOMPARE(config.eosIds, std::vector<std::int32_t>{2});
    const auto tokenizer = text::Tokenizer::load(folder).value();
    QCOMPARE(tokenizer->vocabSize(), config.vocab);
    const auto ids = tokenizer->encode("hello world");
    QCOMPARE(ids.size(), std::size_t{2});
    QCOMPARE(tokenizer->decode(ids, false), std::string("hello world"));
    QVERIFY(readFile(folder / "README.md").value().find("license: \"apache-2.0\"") !=
            std::string::npos);
    QCOMPARE(contents(at("out")).size(), std::size_t{0});
}

void TestImport::refusesGguf_data()
{
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::addColumn<QString>("words");
    auto row = [](const char* name, const char* from, const char* to, const char* words) {
        QTest::newRow(name) << from << to << words;
    };
    row("another architecture", "llama", "lamma", "'lamma' is not known here");
    row("no layers", "llama.block_count", "llama.block_kount", "'llama.block_count' is missing");
    row("no epsilon", "layer_norm_rms_epsilon", "layer_norm_rms_epsilom", "layer_norm_rms_epsilon");
    row("no width", "llama.embedding_length", "llama.embedding_lemgth",
        "'llama.embedding_length' is missing");
    row("no table", "token_embd.weight", "token_embd.weighd", "'token_embd.weight' is missing");
    row("a weight missing", "blk.1.ffn_up.weight", "blk.7.ffn_up.weight", "blk.1.ffn_up.weight");
    row("no tokens", "tokenizer.ggml.tokens", "tokenizer.ggml.tokenz", "no tokenizer");
    row("unknown pre-tokenizer", "gpt-2", "gpt-9", "gpt-9");
}

void TestImport::refusesGguf()
{
    QFETCH(QString, from);
    QFETCH(QString, to);
    QFETCH(QString, words);
    writeText(at("x.gguf"), replaced(tinyGguf(), from.toStdString(), to.toStdString()));
    const auto result = importModel(at("x.gguf"), at("out") / "m");
    QVERIFY(!result);
    QVERIFY2(QString::fromStdString(result.error().what).contains(words),
             result.error().sentence().c_str());
    QVERIFY(!result.error().where.empty() && !result.error().remedy.empty());
    QVERIFY(nothingLeft());
}

void TestImport::truncatedFilesLeaveNothing()
{
    const std::string whole = tinyGguf();
    for (std::size_t size = 0; size + 64 < whole.size(); size += size < 512 ? 37 : 1499) {
        writeText(at("x.gguf"), whole.substr(0, size));
        QElapsedTimer timer;
        timer.start();
        const auto result = importModel(at("x.gguf"), at("out") / "m");
        QVERIFY(!result && timer.elapsed() < fettle::tests::patient(500));
        QVERIFY(nothingLeft());
    }
}

void TestImport::refusesOtherFiles_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("content");
    QTest::addColumn<QString>("words");
    QTest::newRow("pickle") << "pytorch_model.bin"
                            << "PK"
                            << "one weight file alone";
    QTest::newRow("one weight file") << "model.safetensors"
                                     << "xxxxxxxxxx"
                                     << "one weight file alone";
    QTest::newRow("empty") << "empty.gguf"
                           << ""
                           << "letters GGUF";
    QTest::newRow("text") << "notes.txt"
                          << "hello"
                          << "letters GGUF";
}

void TestImport::refusesOtherFiles()
{
    QFETCH(QString, name);
    QFETCH(QString, content);
    QFETCH(QString, words);
    writeText(at(qPrintable(name)), content.toStdString());
    const auto result = importModel(at(qPrintable(name)), at("out") / "m");
    QVERIFY(!result && nothingLeft());
    QVERIFY2(QString::fromStdString(result.error().what).contains(words),
             result.error().sentence().c_str());
    QVERIFY(importModel(at("absent"), at("out") / "m").error().code == ErrorCode::NotFound);
}

void TestImport::existingTargetIsKept()
{
    fs::create_directories(at("out") / "m");
    writeText(at("out") / "m" / "mine.txt", "keep");
    const auto before = contents(at("out"));
    QVERIFY(importModel(golden("tiny_llama.gguf"), at("out") / "m").error().code ==
            ErrorCode::InvalidInput);
    QVERIFY(contents(at("out")) == before);
}

void TestImport::stopLeavesNothing()
{
    std::stop_source stop;
    const auto result = importModel(
        golden("tiny_llama.gguf"), at("out") / "m",
        [&](std::uint64_t, std::uint64_t) { stop.request_stop(); }, stop.get_token());
    QVERIFY(!result && result.error().code == ErrorCode::Cancelled);
    QVERIFY(nothingLeft());
}

void TestImport::failingDiskLeavesNothing()
{
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{60'000, before.rlim_max}; // the tokenizer fits, the weights do not
    setrlimit(RLIMIT_FSIZE, &small);
    const auto result = importModel(golden("tiny_llama.gguf"), at("out") / "m");
    setrlimit(RLIMIT_FSIZE, &before);
    QVERIFY(!result);
    QVERIFY2(result.error().code == ErrorCode::Io, result.error().sentence().c_str());
    QVERIFY(nothingLeft());
}

void TestImport::roomIsCheckedFirst()
{
    const auto room = checkRoom(at("out"), std::uint64_t{1} << 62);
    QVERIFY(!room && room.error().code == ErrorCode::DiskFull);
    const std::vector<tensor::TensorPlan> plan{
        {"huge", tensor::DType::F32, {1 << 18, 1 << 20, 1 << 20}}};
    bool asked = false;
    const auto written = writeWeights(at("out"), plan, [&](const auto&, const auto&) {
        asked = true;
        return Result<void>();
    });
    QVERIFY(!written && written.error().code == ErrorCode::DiskFull && !asked && nothingLeft());
}

void TestImport::mutatedFilesNeverCrash()
{
    const std::string whole = tinyGguf();
    const auto tables = whole.find("output_norm.weight") + 60;
    const Rng rng(4, "mutations");
    int accepted = 0;
    writeText(at("x.gguf"), whole);
    std::fstream file(at("x.gguf"), std::ios::binary | std::ios::in | std::ios::out);
    const auto put = [&](std::size_t place, char byte) {
        file.seekp(static_cast<std::streamoff>(place));
        file.put(byte);
        file.flush();
    };
    std::vector<std::size_t> touched;
    for (std::uint64_t round = 0; round < 3000; ++round) {
        for (const auto place : std::exchange(touched, {}))
            put(place, whole[place]);
        for (std::uint64_t i = 0; i <= rng.bits(round, 0) % 3; ++i) {
            touched.push_back(rng.bits(round, 2 * i + 1) % tables);
            put(touched.back(), static_cast<char>(rng.bits(round, 2 * i + 2)));
        }
        const auto seen = inspectModel(at("x.gguf"));
        if (!seen || ++accepted % 64 != 0)
            continue;
        const auto result = importModel(at("x.gguf"), at("out") / "m");
        QVERIFY(result || nothingLeft());
        fs::remove_all(at("out") / "m");
    }
    QVERIFY(accepted > 50);
}

void TestImport::folderIsCopiedWithoutCode()
{
    const auto source = imported();
    writeText(source / "modeling_custom.py", "print('no')");
    writeText(source / "pytorch_model.bin", "PK");
    writeText(source / "training_args.bin", "PK");
    importModel(source, at("out") / "copy").value();
    auto expected = contents(source);
    for (const char* name : {"modeling_custom.py", "pytorch_model.bin", "training_args.bin"})
        expected.erase(name);
    QVERIFY(contents(at("out") / "copy") == expected);
    QVERIFY(inspectModel(source));
}

void TestImport::refusesFolders_data()
{
    QTest::addColumn<QString>("removed");
    QTest::addColumn<QString>("added");
    QTest::addColumn<QString>("words");
    QTest::newRow("no configuration") << "config.json"
                                      << ""
                                      << "no config.json";
    QTest::newRow("no tokenizer") << "tokenizer.json"
                                  << ""
                                  << "tokenizer";
    QTest::newRow("no weights") << "model.safetensors"
                                << ""
                                << "no model.safetensors";
    QTest::newRow("damaged PyTorch file") << "model.safetensors"
                                          << "pytorch_model.bin"
                                          << "empty";
    QTest::newRow("PyTorch file of a training run") << "model.safetensors"
                                                    << "optimizer.pt"
                                                    << "only as .bin";
    QTest::newRow("an adapter") << "config.json"
                                << "adapter_config.json"
                                << "an adapter";
}

void TestImport::refusesFolders()
{
    QFETCH(QString, removed);
    QFETCH(QString, added);
    QFETCH(QString, words);
    const auto source = imported();
    fs::remove(source / removed.toStdString());
    if (!added.isEmpty())
        writeText(source / added.toStdString(), "{}");
    const auto result = importModel(source, at("out") / "m");
    QVERIFY(!result && nothingLeft());
    QVERIFY2(QString::fromStdString(result.error().what).contains(words),
             result.error().sentence().c_str());
    QVERIFY(!result.error().remedy.empty());
}

void TestImport::pytorchFolderBecomesSafetensors()
{
    const auto family = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families/llama";
    const auto source = at("old");
    fs::create_directories(source);
    fs::copy_file(family / "config.json", source / "config.json");
    fs::copy_file(golden("llama.bin"), source / "pytorch_model.bin");
    writeText(source / "tokenizer.json",
              R"({"version":"1.0","added_tokens":[],"normalizer":null,"post_processor":null,
                  "pre_tokenizer":{"type":"WhitespaceSplit"},"decoder":null,
                  "model":{"type":"WordLevel","unk_token":"<unk>","vocab":{"<unk>":0,"a":1}}})");
    QVERIFY(inspectModel(source));
    const auto made = importModel(source, at("out") / "m");
    QVERIFY2(made, made ? "" : made.error().sentence().c_str());
    const auto ours = tensor::WeightFiles::open(at("out") / "m").value();
    const auto theirs = tensor::WeightFiles::open(family).value();
    QCOMPARE(ours.tensors().size(), theirs.tensors().size());
    for (const auto* weight : theirs.tensors()) {
        const auto* found = ours.find(weight->name);
        QVERIFY2(found && found->shape == weight->shape, weight->name.c_str());
        QVERIFY(std::ranges::equal(found->bytes, weight->bytes));
    }
}

void TestImport::missingHeadIsTied()
{
    const auto folder = imported();
    Json config = readJsonFile(folder / "config.json").value();
    config["tie_word_embeddings"] = false;
    writeText(folder / "config.json", config.dump());
    const auto files = ModelFiles::open(folder).value();
    QVERIFY(files.config().tieEmbeddings);
    QCOMPARE(files.warnings().size(), std::size_t{1});
    config["num_hidden_layers"] = 3;
    writeText(folder / "config.json", config.dump());
    const auto missing = ModelFiles::open(folder);
    QVERIFY(!missing &&
            missing.error().what.find("9 of 29 weights are missing") != std::string::npos);
    config["num_hidden_layers"] = 2;
    config["intermediate_size"] = 65;
    writeText(folder / "config.json", config.dump());
    const auto wrong = ModelFiles::open(folder);
    QVERIFY(!wrong && wrong.error().what.find("has the shape [64, 32]") != std::string::npos);
}

void TestImport::extraWeightsWarn()
{
    const auto folder = imported();
    Json config = readJsonFile(folder / "config.json").value();
    config["num_hidden_layers"] = 1;
    writeText(folder / "config.json", config.dump());
    const auto files = ModelFiles::open(folder).value();
    QCOMPARE(files.warnings().size(), std::size_t{1});
    QVERIFY(files.warnings()[0].find("9 weights are not used") != std::string::npos);
}

void TestImport::digestSeesEveryFile()
{
    const auto folder = imported();
    const auto first = ModelFiles::open(folder).value().digest().value();
    QCOMPARE(first.size(), std::size_t{64});
    QCOMPARE(ModelFiles::open(folder).value().digest().value(), first);
    std::string weights = readFile(folder / "model.safetensors").value();
    weights.back() = static_cast<char>(weights.back() ^ 1);
    writeText(folder / "model.safetensors", weights);
    const auto second = ModelFiles::open(folder).value().digest().value();
    QVERIFY(second != first);
    writeText(folder / "config.json", readFile(folder / "config.json").value() + "\n");
    QVERIFY(ModelFiles::open(folder).value().digest().value() != second);
}

QTEST_GUILESS_MAIN(TestImport)
#include "test_import_model.moc"

#include "base/rng.h"
#include "cli/cli_fixture.h"
#include "tensor/files/safetensors.h"

#include <QtTest>

using namespace fettle;

namespace fs = std::filesystem;

/// Encoder-decoders through the whole program, and what it says of encoders.
class TestCliWriters : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void learnsAnswers();
    void answersAndIsScored();
    void exportsOpenAgain();
    void aShortTableOfPositionsIsEnough();
    void encodersAreExported();
    void encodersAreRefused();

private:
    /// A tiny model of a family with a table for the tiny tokenizer.
    QString folderOf(const char* family, const char* table, const char* tokens,
                     std::int64_t positions = 512) const;

    CliFixture m_cli;
};

QString TestCliWriters::folderOf(const char* family, const char* table, const char* tokens,
                                 std::int64_t positions) const
{
    const auto target = m_cli.path(family);
    const fs::path folder = target.toStdString();
    const fs::path from = CliFixture::source("tests/fixtures/families/").toStdString();
    const fs::path tokenizer = CliFixture::source("tests/fixtures/tiny_llama").toStdString();
    fs::create_directories(folder);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
        fs::copy_file(tokenizer / name, folder / name);
    auto config = readJsonFile(from / family / "config.json").value();
    config["vocab_size"] = 640;
    config[tokens] = positions;
    if (config.contains("relative_attention_max_distance"))
        config["relative_attention_max_distance"] = 128; // the one that GGUF files can say
    if (config.contains("num_decoder_layers"))
        config["num_decoder_layers"] = config["num_layers"]; // more are not started
    QFile(QString::fromStdString(folder / "config.json")).remove();
    m_cli.write(QString(family) + "/config.json", QByteArray::fromStdString(config.dump()));

    const auto file = tensor::SafetensorsFile::open(from / family / "model.safetensors").value();
    const Rng rng(7, "table");
    std::vector<float> rows(640 * 16), bias(640, 0.0f), places(static_cast<std::size_t>(positions) * 16);
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = static_cast<float>(rng.uniform(0, i)) - 0.5f;
    for (std::size_t i = 0; i < places.size(); ++i)
        places[i] = static_cast<float>(rng.uniform(1, i)) - 0.5f;
    std::vector<tensor::TensorToWrite> weights;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape,
                         const std::vector<float>& values) {
        weights.push_back(
            {{name, tensor::DType::F32, std::move(shape)}, values.data(), values.size() * 4});
    };
    for (const auto& info : file.tensors()) {
        if (info.name == table)
            add(info.name, {640, 16}, rows);
        else if (info.shape == std::vector<std::int64_t>{48})
            add(info.name, {640}, bias);
        else if (info.name.find("position_embeddings") != std::string::npos ||
                 info.name.find(".wpe.") != std::string::npos)
            add(info.name, {positions, 16}, places);
        else
            weights.push_back(
                {{info.name, info.dtype, info.shape}, info.bytes.data(), info.bytes.size()});
    }
    tensor::writeSafetensors(folder / "model.safetensors", weights).value();
    return target;
}

void TestCliWriters::initTestCase()
{
    const auto noRows = m_cli.importRows();
    QVERIFY2(noRows.isEmpty(), qPrintable(noRows));
    QDONE(
        m_cli.run({"model", "import", folderOf("t5", "decoder.embed_tokens.weight", "n_positions"),
                   "--as", "tiny"}));
    QDONE(m_cli.run(
        trainArguments("first", {"--set", "training.learningRate=0.01", "--set", "lora.rank=4"}),
        120));
}

void TestCliWriters::learnsAnswers()
{
    const auto run = m_cli.run({"runs", "show", "first", "--json"}).json();
    QCOMPARE(run["step"].get<int>(), 9);
    const auto checks = m_cli.run({"runs", "curves", "first", "--json"}).json()["checks"];
    QVERIFY(checks.size() >= 3);
    QVERIFY2(checks.back()["loss"].get<double>() < checks.front()["loss"].get<double>(),
             checks.dump().c_str());
}

void TestCliWriters::answersAndIsScored()
{
    const QStringList ask{"--question", "What is this?", "--max-new", "5", "--json"};
    const auto run = m_cli.run(QStringList{"generate", "first"} + ask);
    const auto once = run.json();
    QVERIFY2(once.is_object(), run.words().constData());
    QCOMPARE(once["answers"][0]["text"],
             m_cli.run(QStringList{"generate", "first"} + ask).json()["answers"][0]["text"]);
    const auto scored =
        m_cli.run({"evaluate", "tiny", "first", "--data", "rows", "--max-new", "4", "--json"}, 120);
    const auto json = scored.json();
    QVERIFY2(json.is_object() && json["evaluations"].size() == 2, scored.words().constData());
}

/// The program's own prompts are longer than the 32 places of this model.
void TestCliWriters::aShortTableOfPositionsIsEnough()
{
    QDONE(m_cli.run({"model", "import",
                     folderOf("gpt_neo", "transformer.wte.weight", "max_position_embeddings", 32),
                     "--as", "short"}));
    QDONE(m_cli.run({"export", "short", "--as", "merged", "--to", m_cli.path("short-out")}, 120));
}

void TestCliWriters::exportsOpenAgain()
{
    const auto adapter = m_cli.path("adapter"), merged = m_cli.path("merged");
    QDONE(m_cli.run({"export", "first", "--as", "peft", "--to", adapter}));
    QFile config(adapter + "/adapter_config.json");
    QVERIFY(config.open(QIODevice::ReadOnly) && config.readAll().contains("SEQ_2_SEQ_LM"));
    QDONE(m_cli.run({"export", "first", "--as", "merged", "--to", merged}));
    QDONE(m_cli.run({"model", "import", merged, "--as", "merged"}));
    const QStringList ask{"--question", "What is this?", "--max-new", "5", "--json"};
    QCOMPARE(m_cli.run(QStringList{"generate", "merged"} + ask).json()["answers"][0]["text"],
             m_cli.run(QStringList{"generate", "first"} + ask).json()["answers"][0]["text"]);
    QDONE(m_cli.run({"model", "import", adapter, "--base", "tiny", "--as", "with-add-on"}));
    QCOMPARE(m_cli.run(QStringList{"generate", "with-add-on"} + ask).json()["answers"][0]["text"],
             m_cli.run(QStringList{"generate", "first"} + ask).json()["answers"][0]["text"]);
    const auto file = m_cli.path("file");
    QDONE(m_cli.run({"export", "first", "--as", "gguf", "--type", "F32", "--to", file}));
    QDONE(m_cli.run({"model", "import", file + "/file.gguf", "--as", "back"}));
    QCOMPARE(m_cli.run(QStringList{"generate", "back"} + ask).json()["answers"][0]["text"],
             m_cli.run(QStringList{"generate", "first"} + ask).json()["answers"][0]["text"]);
    QDONE(m_cli.run({"export", "first", "--as", "gguf-lora", "--to", m_cli.path("lora")}));
}

void TestCliWriters::encodersAreExported()
{
    const auto folder =
        folderOf("bert", "bert.embeddings.word_embeddings.weight", "max_position_embeddings");
    QDONE(m_cli.run({"model", "import", folder, "--as", "reader"}));
    for (const auto& [form, type] : {std::pair{"merged", "bfloat16"}, std::pair{"gguf", "Q8_0"}}) {
        const auto target = m_cli.path(QString("reader-") + form);
        const auto done =
            m_cli.run({"export", "reader", "--as", form, "--type", type, "--to", target, "--json"});
        QDONE(done);
        const auto proof = done.json()["proof"];
        QVERIFY2(proof["passed"].get<bool>() && proof["largestStateDifference"].get<double>() > 0 &&
                     !proof.contains("perplexityBefore"),
                 proof.dump().c_str());
        QDONE(m_cli.run({"export", "verify", target}));
        const auto written = form == QString("gguf") ? target + "/reader-gguf.gguf" : target;
        QDONE(m_cli.run({"model", "import", written, "--as", QString("again-") + form}));
    }
}

void TestCliWriters::encodersAreRefused()
{
    auto train = trainArguments("second");
    train.replaceInStrings("tiny", "reader");
    for (const auto& call :
         {train, QStringList{"generate", "reader", "--question", "Hi"},
          QStringList{"evaluate", "reader", "--data", "rows"},
          QStringList{"export", "reader", "--as", "ollama", "--to", m_cli.path("reader-ollama")}}) {
        const auto refused = m_cli.run(call);
        QVERIFY2(refused.code != 0 && refused.err.contains("encoder (bert)") &&
                     refused.err.contains("such as llama"),
                 refused.words().constData());
    }
}

QTEST_GUILESS_MAIN(TestCliWriters)
#include "test_cli_writers.moc"

#include "model/gguf_helpers.h"
#include "model/import/gguf_export.h"
#include "model/import/hf_folder.h"
#include "model/import/ollama.h"
#include "tensor/files/gguf.h"
#include "tensor/files/weight_files.h"

#include <QtTest>
#include <cmath>
#include <csignal>
#include <sys/resource.h>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;
namespace fs = std::filesystem;

class TestGgufFiles : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init() { m_place = std::make_unique<ModelPlace>(); }
    void tellsWhatTheCardStates();
    void writesWhatReadersAskFor();
    void arrangesWeightsAsReadersExpect();
    void refusesWeightsThatAreNoNumbers();
    void stopLeavesNothing();
    void failingDiskLeavesNothing();
    void lyingFilesAreRefused_data();
    void lyingFilesAreRefused();
    void sixteenBitsStay_data();
    void sixteenBitsStay();
    void writesForOllama_data();
    void writesForOllama();

private:
    fs::path at(const std::string& name) const { return m_place->at(name); }
    fs::path model(const std::string& name) const { return m_place->model(name); }

    std::unique_ptr<ModelPlace> m_place;
};

void TestGgufFiles::tellsWhatTheCardStates()
{
    const auto source = model("llama");
    writeText(source / "README.md", "---\nlicense: apache-2.0\nlanguage:\n- en\n- de\nbase_model: "
                                    "some-group/small-model\n---\n# Letters\n\nMore.\n");
    writeText(source / "chat_template.jinja", "{{ messages[0].content }}");
    exportGguf(source, at("x.gguf"), GgufKind::F16).value();
    const auto file = tensor::GgufFile::open(at("x.gguf")).value();
    QCOMPARE(*file.text("general.name"), std::string("Letters"));
    QCOMPARE(*file.text("general.license"), std::string("apache-2.0"));
    QCOMPARE(*file.texts("general.languages"), (std::vector<std::string>{"en", "de"}));
    QCOMPARE(*file.text("general.base_model.0.name"), std::string("small-model"));
    QCOMPARE(*file.text("general.base_model.0.organization"), std::string("some-group"));
    QCOMPARE(*file.text("tokenizer.chat_template"), std::string("{{ messages[0].content }}"));
    importModel(at("x.gguf"), at("back")).value();
    exportGguf(at("back"), at("y.gguf"), GgufKind::F16).value();
    QVERIFY(readFile(at("x.gguf")).value() == readFile(at("y.gguf")).value());
}

void TestGgufFiles::sixteenBitsStay_data()
{
    QTest::addColumn<std::string>("family");
    QTest::addColumn<bool>("bfloat");
    for (const char* family : {"llama", "gpt_neox", "qwen2", "gemma"}) {
        QTest::addRow("%s, float16", family) << std::string(family) << false;
        QTest::addRow("%s, bfloat16", family) << std::string(family) << true;
    }
}

/// Matrices keep their two bytes, and come out as they went in.
void TestGgufFiles::sixteenBitsStay()
{
    QFETCH(std::string, family);
    QFETCH(bool, bfloat);
    const auto kind = bfloat ? GgufKind::BF16 : GgufKind::F16;
    exportGguf(model(family), at("x.gguf"), kind).value();
    importModel(at("x.gguf"), at("back")).value();
    const auto files = ModelFiles::open(at("back")).value();
    QCOMPARE(files.storedKind(), tensor::WeightKind::Stored16);
    for (const auto& weight : expectedWeights(files.config())) {
        const auto stored = bfloat ? tensor::DType::BF16 : tensor::DType::F16;
        QVERIFY2(files.find(weight.name)->dtype ==
                     (weight.shape.size() == 2 ? stored : tensor::DType::F32),
                 weight.name.c_str());
    }
    exportGguf(at("back"), at("y.gguf"), kind).value();
    QVERIFY(readFile(at("x.gguf")).value() == readFile(at("y.gguf")).value());
}

/// The order of rows and the values that llama.cpp expects, of which a round trip tells nothing.
void TestGgufFiles::arrangesWeightsAsReadersExpect()
{
    const auto values = [&](const char* family, const char* published, const char* stored) {
        const auto source = model(family);
        const auto name = std::string(family) + ".gguf";
        exportGguf(source, at(name), GgufKind::F32).value();
        const auto weights = tensor::WeightFiles::open(source).value();
        const auto file = tensor::GgufFile::open(at(name)).value();
        const auto copy = [](std::span<const std::byte> bytes) {
            std::vector<float> out(bytes.size() / sizeof(float));
            std::memcpy(out.data(), bytes.data(), bytes.size());
            return out;
        };
        return std::pair(copy(weights.find(published)->bytes), copy(file.tensor(stored)->bytes));
    };
    // Four heads of 4 rows: the pair (j, j + 2) lies at 2 j and 2 j + 1. Rows have 16 values.
    const auto [q, storedQ] =
        values("llama", "model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight");
    const std::size_t order[] = {0, 2, 1, 3};
    for (std::size_t row = 0; row < 16; ++row)
        QCOMPARE(storedQ.at(row * 16 + 3), q.at((row / 4 * 4 + order[row % 4]) * 16 + 3));
    // Matrices of GPT-2 are stored the other way round: [in 16, out 48] in its checkpoint.
    const auto [c, storedC] =
        values("gpt2", "transformer.h.0.attn.c_attn.weight", "blk.0.attn_qkv.weight");
    QCOMPARE(storedC[5 * 16 + 2], c[2 * 48 + 5]);
    // Norms of Gemma multiply by 1 + weight.
    const auto [norm, storedNorm] = values("gemma", "model.norm.weight", "output_norm.weight");
    QCOMPARE(storedNorm[3], norm[3] + 1);
}

void TestGgufFiles::writesWhatReadersAskFor()
{
    const auto source = model("llama");
    writeText(source / "generation_config.json", R"({"eos_token_id":[2,5]})");
    writeText(source / "README.md", "# phi-3 letters\n");
    exportGguf(source, at("x.gguf"), GgufKind::F32).value();
    const auto file = tensor::GgufFile::open(at("x.gguf")).value();
    const auto tokens = *file.texts("tokenizer.ggml.tokens");
    QCOMPARE(tokens.size(), std::size_t{48}); // as many as the table has rows
    QCOMPARE(tokens[47], std::string("[PAD47]"));
    const auto types = *file.integers("tokenizer.ggml.token_type");
    QCOMPARE(types[0], 3);
    QCOMPARE(types[3], 1);
    QCOMPARE(types[47], 5);
    QCOMPARE(*file.text("tokenizer.ggml.pre"), std::string("gpt-2"));
    QCOMPARE(*file.integer("tokenizer.ggml.eos_token_id"), 2);
    QCOMPARE(*file.integer("tokenizer.ggml.eot_token_id"), 5);
    QCOMPARE(*file.flag("tokenizer.ggml.add_bos_token"), false);
    // Exactly this width and kind is asked for.
    QVERIFY(file.find("llama.block_count")->type == tensor::GgufType::U32);
    QVERIFY(file.find("llama.rope.freq_base")->type == tensor::GgufType::F32);
    // A name that makes llama.cpp look for tokens which this model does not have.
    QCOMPARE(*file.text("general.name"), std::string("phi 3 letters"));
    importModel(at("x.gguf"), at("back")).value();
    QCOMPARE(readModelConfig(at("back")).value().eosIds, (std::vector<std::int32_t>{2, 5}));
}

void TestGgufFiles::refusesWeightsThatAreNoNumbers()
{
    const auto source = model("llama");
    std::string bytes = readFile(source / "model.safetensors").value();
    const float none = std::nanf("");
    std::memcpy(bytes.data() + bytes.size() - 4, &none, sizeof none);
    writeText(source / "model.safetensors", bytes);
    const auto made = exportGguf(source, at("x.gguf"), GgufKind::Q8_0);
    QVERIFY(!made && made.error().what.find("not a finite number") != std::string::npos);
    QVERIFY(!fs::exists(at("x.gguf")));
}

void TestGgufFiles::stopLeavesNothing()
{
    const auto source = model("llama");
    std::stop_source stop;
    fs::create_directories(at("out"));
    const auto made = exportGguf(
        source, at("out") / "x.gguf", GgufKind::F32,
        [&](std::uint64_t, std::uint64_t) { stop.request_stop(); }, stop.get_token());
    QVERIFY(!made && made.error().code == ErrorCode::Cancelled);
    QVERIFY(fs::is_empty(at("out")));
}

void TestGgufFiles::failingDiskLeavesNothing()
{
    const auto source = model("llama");
    fs::create_directories(at("out"));
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{10'000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const auto made = exportGguf(source, at("out") / "x.gguf", GgufKind::F32);
    setrlimit(RLIMIT_FSIZE, &before);
    QVERIFY(!made && fs::is_empty(at("out")));
}

void TestGgufFiles::lyingFilesAreRefused_data()
{
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::addColumn<QString>("words");
    QTest::newRow("another family") << "mixtral"
                                    << "lamma"
                                    << "'lamma' is not known here";
    QTest::newRow("experts that are not there") << "experts"
                                                << ""
                                                << "does not hold the 4096 experts";
    QTest::newRow("more layers than tensors") << "layers"
                                              << ""
                                              << "promise 500 layers";
}

void TestGgufFiles::lyingFilesAreRefused()
{
    QFETCH(QString, from);
    QFETCH(QString, words);
    const auto source = model("mixtral");
    exportGguf(source, at("x.gguf"), GgufKind::F32).value();
    std::string bytes = readFile(at("x.gguf")).value();
    const auto put = [&](const std::string& key, std::uint32_t value) {
        const auto place = bytes.find(key) + key.size() + 4; // behind the value's type
        std::memcpy(bytes.data() + place, &value, sizeof value);
    };
    if (from == "mixtral")
        bytes = replaced(bytes, std::string("\x05\0\0\0\0\0\0\0llama", 13),
                         std::string("\x05\0\0\0\0\0\0\0lamma", 13));
    else if (from == "experts")
        put("llama.expert_count", 4096);
    else
        put("llama.block_count", 500);
    writeText(at("y.gguf"), bytes);
    const auto made = inspectModel(at("y.gguf"));
    QVERIFY(!made);
    QVERIFY2(QString::fromStdString(made.error().what).contains(words),
             made.error().sentence().c_str());
}

void TestGgufFiles::writesForOllama_data()
{
    QTest::addColumn<QString>("form");
    QTest::addColumn<QString>("expected");
    QTest::newRow("ChatML with a standing instruction")
        << "<|im_start|>system\nBe kind<|im_end|>\n{% for m in messages %}<|im_start|>{{ m.role "
           "}}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
        << "SYSTEM \"\"\"Be kind\"\"\"\nPARAMETER stop \"<|im_end|>\"";
    QTest::newRow("Gemma") << "<start_of_turn>user\n{{ messages[0].content }}<end_of_turn>\n"
                           << "PARAMETER stop \"<end_of_turn>\"";
    QTest::newRow("none") << ""
                          << "TEMPLATE \"\"\"{{ .Prompt }}\"\"\"";
}

void TestGgufFiles::writesForOllama()
{
    QFETCH(QString, form);
    QFETCH(QString, expected);
    const auto source = model("llama");
    if (!form.isEmpty())
        writeText(source / "chat_template.jinja", form.toStdString());
    writeText(source / "generation_config.json", R"({"temperature":0.2,"top_p":0.9})");
    writeText(source / "README.md", "---\nlicense: mit\n---\n");
    fs::create_directories(at("out"));
    writeOllamaFiles(source, "model.gguf", at("out")).value();
    const auto modelfile = readFile(at("out") / "Modelfile").value();
    QVERIFY(modelfile.starts_with("FROM ./model.gguf\n"));
    QVERIFY2(modelfile.find(expected.toStdString()) != std::string::npos, modelfile.c_str());
    for (const char* line : {"PARAMETER num_ctx 64\n", "PARAMETER temperature 0.2\n",
                             "PARAMETER top_p 0.9\n", "LICENSE \"\"\"mit\"\"\"\n"})
        QVERIFY2(modelfile.find(line) != std::string::npos, line);
    QVERIFY(readFile(at("out") / "README.md").value().find("ollama create out") !=
            std::string::npos);
    writeText(source / "chat_template.jinja", "USER: {{ messages[0].content }}");
    QVERIFY(writeOllamaFiles(source, "model.gguf", at("out")).error().code ==
            ErrorCode::Unsupported);
}

QTEST_GUILESS_MAIN(TestGgufFiles)
#include "test_gguf_files.moc"

#include "base/sha256.h"
#include "model/gguf_helpers.h"
#include "model/import/gguf_export.h"
#include "model/import/hf_folder.h"
#include "parity.h"
#include "tensor/files/convert.h"
#include "text/tokenizer.h"

#include <QtTest>
#include <cmath>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;
namespace fs = std::filesystem;
using tensor::GgmlType;

namespace {

float valueAt(const tensor::TensorInfo& info, std::size_t index)
{
    const std::size_t width = info.dtype == tensor::DType::F32 ? 4 : 2;
    float value = 0;
    tensor::toFloats(info.dtype, info.bytes.subspan(index * width, width), &value);
    return value;
}

} // namespace

class TestGgufExport : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init() { m_place = std::make_unique<ModelPlace>(); }
    void everyFamilyComesBack_data();
    void everyFamilyComesBack();
    void everyKindIsRead_data();
    void everyKindIsRead();
    void mixesAsTheReference();
    void refuses_data();
    void refuses();

private:
    fs::path at(const std::string& name) const { return m_place->at(name); }
    fs::path model(const std::string& name) const { return m_place->model(name); }

    std::unique_ptr<ModelPlace> m_place;
};

void TestGgufExport::everyFamilyComesBack_data()
{
    QTest::addColumn<bool>("sameValues");
    // Gemma's norms are stored with 1 added, and its scale of the scores inside other weights.
    for (const char* name : {"llama",         "llama_linear",
                             "llama_llama3",  "llama_yarn",
                             "llama_dynamic", "mistral",
                             "mixtral",       "smollm3",
                             "granite",       "qwen2",
                             "qwen3",         "olmo2",
                             "phi",           "phi3",
                             "phi3_longrope", "gpt2",
                             "gpt_bigcode",   "gpt_bigcode_heads",
                             "gpt_neox",      "gpt_neox_sequential",
                             "gemma",         "gemma2",
                             "gemma3_text"})
        QTest::newRow(name) << !std::string_view(name).starts_with("gemma");
}

void TestGgufExport::everyFamilyComesBack()
{
    QFETCH(bool, sameValues);
    const std::string name = QTest::currentDataTag();
    const auto source = model(name);
    const auto first = exportGguf(source, at("first.gguf"), GgufKind::F32);
    QVERIFY2(first, first ? "" : first.error().sentence().c_str());
    QCOMPARE(first->bytes, fs::file_size(at("first.gguf")));
    QCOMPARE(first->sha256, sha256OfFile(at("first.gguf")).value());
    const auto back = importModel(at("first.gguf"), at("back"));
    QVERIFY2(back, back ? "" : back.error().sentence().c_str());
    exportGguf(at("back"), at("second.gguf"), GgufKind::F32).value();
    QVERIFY(readFile(at("first.gguf")).value() == readFile(at("second.gguf")).value());

    const auto before = ModelFiles::open(source).value(),
               after = ModelFiles::open(at("back")).value();
    QCOMPARE(after.config().family, before.config().family);
    double largest = 0;
    for (const auto& weight : expectedWeights(after.config())) {
        const auto* theirs = before.find(weight.name);
        const auto* ours = after.find(weight.name);
        if (!theirs) // a tied head that such files have as a copy
            theirs = before.find(before.config().names.embedding + ".weight");
        QVERIFY2(theirs && ours && theirs->shape == ours->shape, weight.name.c_str());
        const bool scaled = name == "gemma2" ? weight.name.find("q_proj") != std::string::npos
                                             : weight.name.find("q_norm") != std::string::npos;
        if (sameValues) {
            QVERIFY2(std::ranges::equal(ours->bytes, theirs->bytes), weight.name.c_str());
            continue;
        }
        for (std::size_t i = 0; !scaled && i < ours->bytes.size() / 4; ++i) {
            const float off = std::abs(valueAt(*ours, i) - valueAt(*theirs, i));
            QVERIFY(off < 1e-6f);
            largest = std::max<double>(largest, off);
        }
    }
    const auto tokenizer = text::Tokenizer::load(at("back")).value();
    QCOMPARE(tokenizer->encode("the abc 42"),
             text::Tokenizer::load(source).value()->encode("the abc 42"));
    QCOMPARE(readJsonFile(at("back") / "tokenizer.json").value(), smallTokenizer());
    tests::parity(name, "GGUF out and in, weights", largest);
}

void TestGgufExport::everyKindIsRead_data()
{
    QTest::addColumn<QString>("kind");
    for (const auto& info : ggufKinds())
        QTest::newRow(info.name.data()) << QString::fromStdString(std::string(info.name));
}

void TestGgufExport::everyKindIsRead()
{
    QFETCH(QString, kind);
    const auto source = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama";
    const auto known = ggufKindFrom(kind.toStdString()).value();
    const auto made = exportGguf(source, at("x.gguf"), known).value();
    const auto file = tensor::GgufFile::open(at("x.gguf")).value();
    QCOMPARE(*file.integer("general.file_type"), std::int64_t{infoOf(known).fileType});
    QCOMPARE(file.has("general.quantization_version"), kind.startsWith("Q"));
    // Rows of 32 and 64 values fill no block of 256: larger types, and a note that says so.
    const bool fallen = kind.contains("_K");
    QCOMPARE(made.notes.empty(), !fallen);
    const auto* gate = file.tensor("blk.0.ffn_gate.weight");
    const std::uint32_t expected = kind == "Q4_K_M"   ? 6
                                   : kind == "Q5_K_M" ? 7
                                   : kind == "Q6_K"
                                       ? 8
                                       : static_cast<std::uint32_t>(infoOf(known).type);
    QCOMPARE(gate->type, expected);
    QCOMPARE(file.tensor("blk.0.attn_norm.weight")->type, 0u);
    importModel(at("x.gguf"), at("back")).value();
    const auto before = ModelFiles::open(source).value(),
               after = ModelFiles::open(at("back")).value();
    const double allowed = kind == "F32"           ? 0
                           : kind.contains("16")   ? 0.005
                           : kind == "Q8_0"        ? 0.01
                           : kind.startsWith("Q6") ? 0.01
                           : kind.startsWith("Q5") ? 0.05
                                                   : 0.1;
    for (const auto& weight : expectedWeights(before.config())) {
        const auto *theirs = before.find(weight.name), *ours = after.find(weight.name);
        double error = 0, size = 0;
        for (std::size_t i = 0; i < theirs->bytes.size() / 4; ++i) {
            error += std::pow(valueAt(*ours, i) - valueAt(*theirs, i), 2);
            size += std::pow(valueAt(*theirs, i), 2);
        }
        QVERIFY2(
            std::sqrt(error / size) <= allowed,
            qPrintable(QString("%1: %2").arg(weight.name.c_str()).arg(std::sqrt(error / size))));
    }
}

void TestGgufExport::mixesAsTheReference()
{
    ModelConfig config;
    config.family = "llama";
    config.layers = 32;
    config.hidden = 4096;
    config.intermediate = 11008;
    config.heads = config.kvHeads = 32;
    config.headDim = config.rotaryDim = 128;
    config.vocab = 32000;
    config.maxPositions = 4096;
    config.layer.resize(32);
    std::vector<std::string> notes;
    const auto* family = ggufFamilyFor(config, notes).value();
    const auto slots = ggufSlots(config, *family);
    const auto types = ggufTypes(GgufKind::Q4_K_M, slots, config);
    std::vector<std::int64_t> values, downs;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto& name = slots[i].name;
        const bool value = name.find("attn_v") != std::string::npos,
                   down = name.find("ffn_down") != std::string::npos;
        if (value && types[i] == GgmlType::Q6_K)
            values.push_back(slots[i].layer);
        else if (down && types[i] == GgmlType::Q6_K)
            downs.push_back(slots[i].layer);
        else if (name == "output.weight")
            QVERIFY(types[i] == GgmlType::Q6_K);
        else
            QVERIFY2(types[i] == (slots[i].shape.size() < 2 ? GgmlType::F32 : GgmlType::Q4_K),
                     name.c_str());
    }
    // Of a Llama 2 file in this form: the first and last eighth, and every third layer between.
    const std::vector<std::int64_t> more{0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31};
    QCOMPARE(values, more);
    QCOMPARE(downs, more);
}

void TestGgufExport::refuses_data()
{
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("words");
    QTest::newRow("gpt_neo has no such files")
        << "gpt_neo"
        << "models of the family 'gpt_neo' are not written as GGUF files";
    QTest::newRow("dense and sparse layers") << "qwen3_moe"
                                             << "with and without experts";
    QTest::newRow("scores scaled by layer") << "gpt2_scaled"
                                            << "own scale of the attention scores";
    QTest::newRow("biases") << "mistral"
                            << "biases";
    QTest::newRow("another activation") << "qwen3"
                                        << "the activation 'relu'";
    QTest::newRow("frequencies of their own") << "olmo2"
                                              << "the rotary scaling 'llama3'";
    QTest::newRow("windows elsewhere") << "gemma2"
                                       << "every second layer of gemma2";
    QTest::newRow("unknown cut of text") << "llama"
                                         << "this way of cutting text";
    QTest::newRow("unknown normalizer") << "qwen2"
                                        << "the normalizer \"Lowercase\"";
    QTest::newRow("too many tokens") << "phi"
                                     << "the model's table has 48 rows";
    QTest::newRow("target exists") << "gemma"
                                   << "at this place already";
}

void TestGgufExport::refuses()
{
    QFETCH(QString, family);
    QFETCH(QString, words);
    const auto source = model(family.toStdString());
    Json tokenizer = smallTokenizer();
    if (family == "mistral") {
        fs::remove_all(source);
        fs::copy(model("llama"), source);
        Json config = readJsonFile(source / "config.json").value();
        config["model_type"] = "olmo2";
        config["attention_bias"] = true;
        config["architectures"] = {"Olmo2ForCausalLM"};
        writeText(source / "config.json", config.dump());
        std::vector<std::string> notes;
        const auto parsed = parseModelConfig(config, Json(), "x").value();
        const auto found = ggufFamilyFor(parsed, notes);
        QVERIFY(!found && QString::fromStdString(found.error().what).contains(words));
        return;
    }
    if (family == "gemma2") {
        Json config = readJsonFile(source / "config.json").value();
        config["layer_types"] = {"full_attention", "sliding_attention"};
        writeText(source / "config.json", config.dump());
    }
    if (family == "llama")
        tokenizer["pre_tokenizer"] = {
            {"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"}, {"pattern", {{"Regex", "x+"}}}, {"behavior", "Isolated"}},
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    if (family == "qwen2")
        tokenizer["normalizer"] = {{"type", "Lowercase"}};
    if (words.startsWith("the activation") || words.startsWith("the rotary")) {
        Json config = readJsonFile(source / "config.json").value();
        if (words.startsWith("the activation"))
            config["hidden_act"] = "relu";
        else
            config["rope_parameters"] = {{"rope_type", "llama3"},
                                         {"rope_theta", 10000.0},
                                         {"factor", 8.0},
                                         {"low_freq_factor", 1.0},
                                         {"high_freq_factor", 4.0},
                                         {"original_max_position_embeddings", 16}};
        writeText(source / "config.json", config.dump());
    }
    if (family == "phi")
        tokenizer["model"]["vocab"]["zz"] = 60;
    writeText(source / "tokenizer.json", tokenizer.dump());
    if (family == "gemma")
        writeText(at("x.gguf"), "keep");
    const auto made = exportGguf(source, at("x.gguf"), GgufKind::F32);
    QVERIFY(!made);
    QVERIFY2(QString::fromStdString(made.error().what).contains(words),
             made.error().sentence().c_str());
    QVERIFY(!made.error().remedy.empty());
    QCOMPARE(fs::exists(at("x.gguf")), family == "gemma");
}

QTEST_GUILESS_MAIN(TestGgufExport)
#include "test_gguf_export.moc"

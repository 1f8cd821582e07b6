#include "base/sha256.h"
#include "model/gguf_helpers.h"
#include "model/import/gguf_export.h"
#include "model/import/hf_folder.h"
#include "parity.h"
#include "tensor/files/convert.h"
#include "text/gguf_tokenizer.h"
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
    void capsAreAlwaysStated();
    void filesOfOtherToolsAreUnderstood();
    void senselessKeysAreRefused();
    void tokenizersAreSaidByTheirKeys_data();
    void tokenizersAreSaidByTheirKeys();
    void everyKindIsRead_data();
    void everyKindIsRead();
    void mixesAsTheReference();
    void refuses_data();
    void refuses();

private:
    fs::path at(const std::string& name) const { return m_place->at(name); }
    fs::path model(const std::string& name) const { return m_place->model(name); }
    /// The same with settings that GGUF files can express.
    fs::path expressible(const std::string& name) const
    {
        const auto folder = model(name);
        Json config = readJsonFile(folder / "config.json").value();
        if (config.contains("relative_attention_max_distance"))
            config["relative_attention_max_distance"] = 128;
        if (config.contains("num_decoder_layers"))
            config["num_decoder_layers"] = config["num_layers"];
        if (config.value("hidden_act", "") == "relu")
            config["hidden_act"] = "gelu";
        writeText(folder / "config.json", config.dump());
        return folder;
    }

    std::unique_ptr<ModelPlace> m_place;
};

void TestGgufExport::everyFamilyComesBack_data()
{
    QTest::addColumn<bool>("sameValues");
    // Gemma's norms are stored with 1 added, and its scale of the scores inside other weights.
    for (const char* name : {"llama",
                             "llama_linear",
                             "llama_llama3",
                             "llama_yarn",
                             "llama_dynamic",
                             "mistral",
                             "mixtral",
                             "smollm3",
                             "granite",
                             "qwen2",
                             "qwen3",
                             "olmo2",
                             "phi",
                             "phi3",
                             "phi3_longrope",
                             "gpt2",
                             "gpt_bigcode",
                             "gpt_bigcode_heads",
                             "gpt_neox",
                             "gpt_neox_sequential",
                             "gemma",
                             "gemma2",
                             "gemma3_text",
                             "qwen3_moe_sparse",
                             "t5",
                             "t5_gated",
                             "mt5",
                             "umt5",
                             "bert",
                             "bert_old",
                             "bert_untied",
                             "roberta",
                             "xlm_roberta",
                             "camembert",
                             "distilbert",
                             "distilbert_classifier"})
        QTest::newRow(name) << !std::string_view(name).starts_with("gemma");
}

void TestGgufExport::everyFamilyComesBack()
{
    QFETCH(bool, sameValues);
    const std::string name = QTest::currentDataTag();
    const auto source = expressible(name);
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
            // Rows of positions that no text has are not in the file.
            const bool positions = weight.name == after.config().names.positions + ".weight";
            const auto rows = positions ? after.config().encoder.firstPosition : 0;
            const auto left = static_cast<std::size_t>(rows * after.config().hidden * 4);
            QVERIFY2(std::ranges::equal(ours->bytes.subspan(left), theirs->bytes.subspan(left)),
                     weight.name.c_str());
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
    QCOMPARE(readJsonFile(at("back") / "tokenizer.json").value(), usualTokenizer(name));
    tests::parity(name, "GGUF out and in, weights", largest);
}

/// Readers cap gemma2 with 50 and 30 where a file does not say it.
void TestGgufExport::capsAreAlwaysStated()
{
    const auto source = model("gemma2");
    Json config = readJsonFile(source / "config.json").value();
    const auto written = [&](const Json& cap, const std::string& name) {
        config["attn_logit_softcapping"] = config["final_logit_softcapping"] = cap;
        writeText(source / "config.json", config.dump());
        exportGguf(source, at(name), GgufKind::F32).value();
        return tensor::GgufFile::open(at(name)).value();
    };
    const auto readCaps = [&](const std::string& name) {
        importModel(at(name), at(name + "-back")).value();
        const auto parsed = ModelFiles::open(at(name + "-back")).value().config();
        return std::pair(parsed.attentionSoftcap, parsed.logitSoftcap);
    };
    const auto none = written(nullptr, "none.gguf");
    QVERIFY(*none.real("gemma2.attn_logit_softcapping") >= 1e6);
    QVERIFY(*none.real("gemma2.final_logit_softcapping") >= 1e6);
    QCOMPARE(readCaps("none.gguf"), std::pair(0.0, 0.0));
    QCOMPARE(*written(7.5, "some.gguf").real("gemma2.attn_logit_softcapping"), 7.5);
    QCOMPARE(readCaps("some.gguf"), std::pair(7.5, 7.5));
    std::string bytes = readFile(at("some.gguf")).value();
    for (const char* key : {"gemma2.attn_logit_softcapping", "gemma2.final_logit_softcapping"})
        bytes[bytes.find(key)] = 'x';
    writeText(at("silent.gguf"), bytes);
    QCOMPARE(readCaps("silent.gguf"), std::pair(50.0, 30.0));
}

/// What the keys of this program say is left out by others: then tensors and tokenizer tell, and
/// the norm before the head is as it was published.
void TestGgufExport::filesOfOtherToolsAreUnderstood()
{
    for (const std::string name : {"t5", "t5_gated", "umt5", "bert", "distilbert", "roberta"}) {
        const auto source = expressible(name);
        const auto file = at(name + ".gguf");
        exportGguf(source, file, GgufKind::F32).value();
        std::string bytes = readFile(file).value();
        for (const char* key : {kGgufModelType, kGgufNormScale}) {
            if (const auto place = bytes.find(key); place != std::string::npos)
                bytes[place] = 'x';
        }
        writeText(file, bytes);
        const auto back = importModel(file, at(name + "-back"));
        QVERIFY2(back, back ? "" : back.error().sentence().c_str());
        const auto before = ModelFiles::open(source).value(),
                   after = ModelFiles::open(at(name + "-back")).value();
        QCOMPARE(after.config().family, before.config().family);
        QCOMPARE(after.config().logitScale, before.config().logitScale);
        QCOMPARE(after.config().encoder.firstPosition, before.config().encoder.firstPosition);
        if (name != "t5" && name != "umt5")
            continue;
        const std::string norm = "decoder.final_layer_norm.weight";
        QCOMPARE(valueAt(*after.find(norm), 3), valueAt(*before.find(norm), 3) / 4); // 1 / sqrt(16)
    }
}

/// Numbers of an encoder's file that would be added up.
void TestGgufExport::senselessKeysAreRefused()
{
    exportGguf(expressible("roberta"), at("whole.gguf"), GgufKind::F32).value();
    for (const std::string key : {"tokenizer.ggml.padding_token_id", "bert.context_length"}) {
        auto bytes = readFile(at("whole.gguf")).value();
        bytes.replace(bytes.find(key) + key.size() + 4, 4, "\xFF\xFF\xFF\xFF"); // behind the type
        writeText(at("changed.gguf"), bytes);
        const auto refused = importModel(at("changed.gguf"), at("refused"));
        QVERIFY(!refused);
        QVERIFY2(refused.error().what.find(key) != std::string::npos, refused.error().sentence().c_str());
    }
}

void TestGgufExport::tokenizersAreSaidByTheirKeys_data()
{
    QTest::addColumn<QString>("kind");
    QTest::newRow("WordPiece") << "bert";
    QTest::newRow("WordPiece with capitals") << "cased";
    QTest::newRow("Unigram") << "t5";
}

/// Without the tokenizer.json that this program puts into its files.
void TestGgufExport::tokenizersAreSaidByTheirKeys()
{
    QFETCH(QString, kind);
    const auto folder = model(kind == "t5" ? "t5" : "bert");
    const Json json = kind == "cased" ? smallWordPiece(false) : usualTokenizer(kind.toStdString());
    writeText(folder / "tokenizer.json", json.dump());
    auto described = text::ggufTokenizerFrom(folder, 48, {}).value();
    QVERIFY(!described.huggingFace.empty());
    described.huggingFace.clear();
    fs::create_directory(at("again"));
    const auto files = text::tokenizerJsonFromGguf(described).value();
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
        writeText(at("again") / name, files[name].dump());
    const auto before = text::Tokenizer::load(folder).value(),
               after = text::Tokenizer::load(at("again")).value();
    for (const char* line : {"the abc 42", "  ab  the ", "", "THE AB\xC3\x89", "abcabc", "zz the",
                             "[MASK] the", "a\xE4\xB8\xAD\xE6\x96\x87 b", "the!", "</s> ab"}) {
        QCOMPARE(after->encode(line, {.addSpecialTokens = true}),
                 before->encode(line, {.addSpecialTokens = true}));
        QCOMPARE(after->decode(after->encode(line), false),
                 before->decode(before->encode(line), false));
    }
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
    QTest::newRow("another distance") << "t5"
                                      << "relative positions up to 20 tokens";
    QTest::newRow("more layers that write than layers that read") << "t5"
                                                                  << "more layers than its encoder";
    QTest::newRow("another activation of an encoder") << "roberta"
                                                      << "the activation 'relu'";
    QTest::newRow("another gate") << "t5_gated"
                                  << "the activation 'silu'";
    QTest::newRow("words without marks") << "bert"
                                         << "WordPiece without a token in front of every text";
    QTest::newRow("another normalizer before WordPiece")
        << "distilbert"
        << "WordPiece without the full normalizer of BERT";
    QTest::newRow("longt5 has no such files")
        << "longt5_local"
        << "models of the family 'longt5' are not written as GGUF files";
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
    Json tokenizer = usualTokenizer(family.toStdString());
    if (family == "bert")
        tokenizer["post_processor"] = nullptr;
    if (family == "distilbert")
        tokenizer["normalizer"] = {{"type", "Lowercase"}};
    if (family == "t5_gated" || words.startsWith("more layers")) {
        Json config = readJsonFile(source / "config.json").value();
        config["relative_attention_max_distance"] = 128;
        if (family == "t5_gated")
            config["feed_forward_proj"] = "gated-silu";
        writeText(source / "config.json", config.dump());
    }
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
    if (family == "qwen3" || words.startsWith("the rotary")) {
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

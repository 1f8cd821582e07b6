#include "base/rng.h"
#include "import_helpers.h"
#include "model/architectures/family.h"
#include "model/import/hf_folder.h"
#include "model/import/import.h"

#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;

namespace fs = std::filesystem;

namespace {

Json bert()
{
    return {{"model_type", "bert"},     {"vocab_size", 60},
            {"hidden_size", 16},        {"num_hidden_layers", 2},
            {"num_attention_heads", 4}, {"pad_token_id", 0},
            {"intermediate_size", 24},  {"max_position_embeddings", 40}};
}

Json t5()
{
    return {
        {"model_type", "t5"}, {"vocab_size", 60}, {"d_model", 16},  {"d_kv", 3},
        {"d_ff", 24},         {"num_layers", 2},  {"num_heads", 4}, {"decoder_start_token_id", 0},
        {"eos_token_id", 1}};
}

Result<ModelConfig> parsed(Json config, const char* patch = "{}")
{
    config.merge_patch(Json::parse(patch));
    return parseModelConfig(config, Json(), "config.json");
}

fs::path family(const char* name)
{
    return fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families" / name;
}

} // namespace

/// Configurations and weight files of encoders and encoder-decoders.
class TestImportEncoders : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }

    void bertFamilies();
    void positionsOfRoberta();
    void t5Families();
    void headScale_data();
    void headScale();
    void refuses_data();
    void refuses();
    void tableUnderAnyName_data();
    void tableUnderAnyName();
    void headThatDiffersIsUsed();
    void damagedFolders();
    void writingIsRefused();
    void mutationsNeverCrash();

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    /// A copy of a family's folder whose weights went through `change`.
    template<class Change> fs::path changed(const char* name, Change change)
    {
        const auto folder = at("model");
        fs::create_directories(folder);
        fs::copy_file(family(name) / "config.json", folder / "config.json");
        const auto file = tensor::SafetensorsFile::open(family(name) / "model.safetensors").value();
        std::vector<tensor::TensorToWrite> weights;
        for (const auto& info : file.tensors())
            weights.push_back(
                {{info.name, info.dtype, info.shape}, info.bytes.data(), info.bytes.size()});
        change(weights);
        tensor::writeSafetensors(folder / "model.safetensors", weights).value();
        return folder;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestImportEncoders::bertFamilies()
{
    const auto config = parsed(bert()).value();
    QVERIFY(config.kind == ModelKind::Encoder);
    QCOMPARE(config.activation, std::string("gelu"));
    QCOMPARE(config.normEps, 1e-12);
    QCOMPARE(config.encoder.tokenTypes, 2);
    QVERIFY(config.tieEmbeddings && !config.gated());
    // 60 words, 40 positions, 2 types and a norm of 2 x 16; a layer: 4 matrices, 2 norms, 2 of 24.
    QCOMPARE(config.parameters(), 104 * 16 + 2 * (4 * (256 + 16) + 4 * 16 + 2 * 24 * 16 + 24 + 16));
    QVERIFY(parsed({{"model_type", "distilbert"},
                    {"vocab_size", 60},
                    {"dim", 16},
                    {"hidden_dim", 24},
                    {"n_layers", 2},
                    {"n_heads", 4}}));
    QCOMPARE(std::string(nearestFamily("deberta")), std::string("roberta"));
    QCOMPARE(std::string(nearestFamily("byt5")), std::string("t5"));
}

void TestImportEncoders::positionsOfRoberta()
{
    const auto config = parsed(bert(), R"({"model_type":"xlm-roberta","pad_token_id":1})").value();
    QCOMPARE(config.encoder.firstPosition, 2);
    QCOMPARE(config.maxPositions, 38); // of 40 rows
    QVERIFY(!parsed(bert(), R"({"model_type":"roberta","pad_token_id":39})"));
}

void TestImportEncoders::t5Families()
{
    const auto config = parsed(t5()).value();
    QVERIFY(config.kind == ModelKind::EncoderDecoder);
    QCOMPARE(config.writer.layers, 2); // as many as the encoder where nothing is said
    QCOMPARE(config.headDim, 3);
    QCOMPARE(config.scaleOfLayer(1), 1.0);
    QCOMPARE(config.relative.buckets, 32);
    QVERIFY(!config.gated() && config.activation == "relu");
    const auto gated =
        parsed(t5(), R"({"feed_forward_proj":"gated-gelu","num_decoder_layers":3})").value();
    QVERIFY(gated.gated() && gated.activation == "gelu_tanh");
    QCOMPARE(gated.writer.layers, 3);
    QCOMPARE(parsed(t5(), R"({"feed_forward_proj":"gated-silu"})").value().activation,
             std::string("silu"));
    const auto umt5 = parsed(t5(), R"({"model_type":"umt5"})").value();
    QVERIFY(umt5.gated() && umt5.relative.inEachLayer && umt5.logitScale == 0.25);
    // Scaled before the head even where the head is a table of its own.
    QVERIFY(parsed(t5(), R"({"model_type":"umt5","tie_word_embeddings":false})")->logitScale == 0.25);
    const auto mt5 = parsed(t5(), R"({"model_type":"mt5"})").value();
    QVERIFY(mt5.gated() && mt5.logitScale == 1);
    const auto global =
        parsed(t5(), R"({"model_type":"longt5","encoder_attention_type":"transient-global"})")
            .value();
    QCOMPARE(global.encoder.localRadius, 127);
    QCOMPARE(global.encoder.globalBlock, 16);
}

void TestImportEncoders::headScale_data()
{
    QTest::addColumn<QString>("patch");
    QTest::addColumn<double>("scale");
    QTest::newRow("nothing said") << "{}" << 0.25;
    QTest::newRow("tied") << R"({"tie_word_embeddings":true})" << 0.25;
    QTest::newRow("own head") << R"({"tie_word_embeddings":false})" << 1.0;
    QTest::newRow("new file of an own head")
        << R"({"tie_word_embeddings":true,"scale_decoder_outputs":false})" << 1.0;
}

void TestImportEncoders::headScale()
{
    QFETCH(QString, patch);
    QTEST(parsed(t5(), qPrintable(patch)).value().logitScale, "scale");
}

void TestImportEncoders::refuses_data()
{
    QTest::addColumn<QString>("patch");
    QTest::addColumn<QString>("words");
    const auto row = [](const char* name, const char* patch, const char* words) {
        QTest::newRow(name) << patch << words;
    };
    row("bert that writes", R"({"model_type":"bert","is_decoder":true})", "is_decoder");
    row("bert with cross attention", R"({"model_type":"bert","add_cross_attention":true})",
        "rebuilt to write");
    row("relative positions", R"({"model_type":"bert","position_embedding_type":"relative_key"})",
        "absolute");
    row("no token types", R"({"model_type":"bert","type_vocab_size":0})", "'type_vocab_size'");
    row("activation of bert", R"({"model_type":"bert","hidden_act":"mish"})", "mish");
    row("padding beyond the table", R"({"model_type":"roberta","pad_token_id":60})",
        "'pad_token_id'");
    row("forward part", R"({"model_type":"t5","feed_forward_proj":"gated-mish"})", "mish");
    row("no width", R"({"model_type":"t5","d_model":null})", "'d_model' is missing");
    row("width of a head", R"({"model_type":"t5","d_kv":0})", "'d_kv'");
    row("odd buckets", R"({"model_type":"t5","relative_attention_num_buckets":6})",
        "multiple of 4");
    row("near distances", R"({"model_type":"t5","relative_attention_max_distance":16})",
        "max_distance");
    row("start token", R"({"model_type":"t5","decoder_start_token_id":60})",
        "'decoder_start_token_id'");
    row("attention of longt5", R"({"model_type":"longt5","encoder_attention_type":"sparse"})",
        "transient-global");
    row("a reading half", R"({"model_type":"t5","architectures":["T5EncoderModel"]})",
        "only the reading half");
    row("a reading half of umt5", R"({"model_type":"umt5","architectures":["UMT5EncoderModel"]})",
        "only the reading half");
    row("radius", R"({"model_type":"longt5","local_radius":0})", "'local_radius'");
}

void TestImportEncoders::refuses()
{
    QFETCH(QString, patch);
    QFETCH(QString, words);
    Json config = bert();
    config.update(t5());
    const auto refused = parsed(config, qPrintable(patch));
    QVERIFY(!refused);
    QVERIFY2(QString::fromStdString(refused.error().what).contains(words),
             refused.error().what.c_str());
    QVERIFY(!refused.error().where.empty() && !refused.error().remedy.empty());
}

void TestImportEncoders::tableUnderAnyName_data()
{
    QTest::addColumn<QString>("name");
    for (const char* name :
         {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"})
        QTest::newRow(name) << name;
}

void TestImportEncoders::tableUnderAnyName()
{
    QFETCH(QString, name);
    const auto folder = changed("t5", [&](auto& weights) {
        for (auto& weight : weights) {
            if (weight.plan.name == "decoder.embed_tokens.weight")
                weight.plan.name = name.toStdString();
        }
    });
    const auto files = ModelFiles::open(folder).value();
    QVERIFY(files.find("shared.weight"));
    QVERIFY(files.warnings().empty() && files.config().tieEmbeddings);
}

/// The file says that head and table are one, and holds both.
void TestImportEncoders::headThatDiffersIsUsed()
{
    std::string other;
    const auto folder = changed("t5", [&](auto& weights) {
        for (const auto& weight : weights) {
            if (weight.plan.name != "decoder.embed_tokens.weight")
                continue;
            other.assign(static_cast<const char*>(weight.data), weight.size);
            other[5] = static_cast<char>(other[5] ^ 1);
            weights.push_back({{"lm_head.weight", weight.plan.dtype, weight.plan.shape},
                               other.data(),
                               other.size()});
            break;
        }
    });
    const auto files = ModelFiles::open(folder).value();
    QVERIFY(!files.config().tieEmbeddings);
    QCOMPARE(files.warnings().size(), std::size_t{1});
    QVERIFY(files.warnings()[0].find("differs from the embedding table") != std::string::npos);
}

void TestImportEncoders::damagedFolders()
{
    const auto folder = changed("bert", [](auto& weights) {
        std::erase_if(weights, [](const auto& weight) {
            return weight.plan.name.ends_with("1.output.LayerNorm.bias");
        });
    });
    const auto missing = ModelFiles::open(folder);
    QVERIFY(!missing);
    QVERIFY(missing.error().what.find("bert.encoder.layer.1.output.LayerNorm.bias") !=
            std::string::npos);
    fs::remove_all(folder);
    const auto extra = changed(
        "bert", [](auto& weights) { weights.front().plan.name = "bert.encoder.layer.9.x"; });
    QVERIFY(!ModelFiles::open(extra));
}

void TestImportEncoders::writingIsRefused()
{
    const auto refused = requireWriter(parsed(bert()).value(), "bert-base");
    QVERIFY(!refused && refused.error().code == ErrorCode::Unsupported &&
            refused.error().where == "bert-base");
    QVERIFY(refused.error().what.find("cannot write answers") != std::string::npos);
    QVERIFY(requireWriter(parsed(t5()).value(), ""));
}

void TestImportEncoders::mutationsNeverCrash()
{
    const Rng rng(5, "mutations");
    int accepted = 0;
    for (std::uint64_t round = 0; round < 6'000; ++round) {
        Json config = round % 2 ? bert() : t5();
        config["model_type"] = round % 2 ? "roberta" : "longt5";
        config["encoder_attention_type"] = "transient-global";
        std::string text = config.dump();
        for (std::uint64_t i = 0; i <= rng.bits(round, 0) % 3; ++i)
            text[rng.bits(round, 2 * i + 1) % text.size()] =
                "0123456789-.eE{}[]\",:ntf"[rng.bits(round, 2 * i + 2) % 24];
        const auto json = parseJson(text, "x", true);
        const auto read =
            json ? parseModelConfig(*json, Json(), "x") : Result<ModelConfig>(json.error());
        accepted += read ? 1 : 0;
        QVERIFY(!read || read->parameters() > 0);
    }
    QVERIFY(accepted > 100);
}

QTEST_GUILESS_MAIN(TestImportEncoders)
#include "test_import_encoders.moc"

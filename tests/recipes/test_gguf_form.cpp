#include "base/sha256.h"
#include "model/gguf_helpers.h"
#include "model/import/hf_folder.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/files/gguf.h"

#include <ATen/ATen.h>
#include <QTemporaryDir>
#include <QTest>
#include <fstream>

using namespace fettle;
using namespace fettle::recipes;
namespace fs = std::filesystem;

namespace {

fs::path tiny() { return fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama"; }

const deploy::Texts kTexts = {{5, 17, 200, 8, 3, 99, 45, 231}, {7, 7, 120, 66, 31}};

} // namespace

/// GGUF files through the table of export forms: written, read back, and changed on the disk.
class TestGgufForm : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_model.folder = tiny();
        m_model.decoder =
            model::loadLanguageModel(model::ModelFiles::open(tiny()).value(), c10::kCPU, at::kFloat)
                .value();
    }

    void everyTypePassesItsProof_data()
    {
        QTest::addColumn<QString>("form");
        QTest::addColumn<QString>("type");
        for (const auto& form : {ggufForm(), ollamaForm()}) {
            for (const auto& type : form.info.types)
                QTest::addRow("%s %s", form.info.id.c_str(), type.c_str())
                    << QString::fromStdString(form.info.id) << QString::fromStdString(type);
        }
    }
    void everyTypePassesItsProof()
    {
        QFETCH(QString, form);
        QFETCH(QString, type);
        const auto row = form == "gguf" ? ggufForm() : ollamaForm();
        auto source = sourceOf(row, type.toStdString());
        row.write(source).value();
        const auto file = source.plan.folder / (form == "gguf" ? "letters.gguf" : "model.gguf");
        QVERIFY(fs::exists(file));
        QCOMPARE(fs::exists(source.plan.folder / "Modelfile"), form == "ollama");
        auto back = row.readBack(source);
        QVERIFY2(back, back ? "" : back.error().sentence().c_str());
        const auto before = deploy::answersOf(*m_model.decoder, kTexts);
        const auto proof = deploy::proveModel(*m_model.decoder, *back->onDisk, before, kTexts);
        QVERIFY2(proof.passed, deploy::toJson(proof).dump().c_str());
        QVERIFY(back->weights > 0);
        QCOMPARE(std::distance(fs::directory_iterator(at("")), {}), 1); // nothing else stays
    }

    /// A tied head that files hold apart, scales of the scores that they put into the queries or the
    /// norms behind these, windows, and the two forms of GELU.
    void otherFamiliesPassTheirProof_data()
    {
        QTest::addColumn<QString>("family");
        QTest::addColumn<QString>("config"); // over that of the committed checkpoint
        QTest::newRow("gemma2") << "gemma2" << R"({"hidden_activation":"gelu"})";
        QTest::newRow("gemma3") << "gemma3_text" << R"({"query_pre_attn_scalar":77})";
        QTest::newRow("gpt_neox") << "gpt_neox" << R"({"tie_word_embeddings":true})";
        QTest::newRow("granite") << "granite" << "{}";
        const QString far = R"({"relative_attention_max_distance":128,"num_decoder_layers":2})";
        QTest::newRow("t5, scaled before the head") << "t5" << far;
        QTest::newRow("t5 with a head of its own") << "t5_gated" << far;
        QTest::newRow("umt5") << "umt5" << far;
        QTest::newRow("bert, whose heads stay behind") << "bert"
                                                       << "{}";
        QTest::newRow("roberta") << "roberta"
                                 << R"({"hidden_act":"gelu"})";
        QTest::newRow("distilbert") << "distilbert"
                                    << "{}";
    }
    void otherFamiliesPassTheirProof()
    {
        QFETCH(QString, family);
        QFETCH(QString, config);
        const auto folder = at("model");
        fs::copy(fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families" / family.toStdString(),
                 folder);
        std::ofstream(folder / "tokenizer.json")
            << testing::usualTokenizer(family.toStdString()).dump();
        Json changed = readJsonFile(folder / "config.json").value();
        changed.merge_patch(Json::parse(config.toStdString()));
        std::ofstream(folder / "config.json") << changed.dump();
        m_model.folder = folder;
        const auto model =
            model::loadAny(model::ModelFiles::open(folder).value(), c10::kCPU, at::kFloat).value();
        const deploy::Texts texts = {{5, 17, 20, 8}, {7, 7}};
        const auto before = deploy::answersOf(*model, texts);
        const auto row = ggufForm();
        auto source = sourceOf(row, "F16", model.get());
        const auto written = row.write(source);
        QVERIFY2(written, written ? "" : written.error().sentence().c_str());
        auto back = row.readBack(source);
        QVERIFY2(back, back ? "" : back.error().sentence().c_str());
        const auto proof = deploy::proveModel(*model, *back->onDisk, before, texts);
        QVERIFY2(proof.passed, deploy::toJson(proof).dump().c_str());
    }

    void aChangedByteIsFound_data()
    {
        QTest::addColumn<double>("place");
        QTest::newRow("in the keys") << 0.01;
        QTest::newRow("in the middle") << 0.5;
        QTest::newRow("at the end") << 0.999;
    }
    void aChangedByteIsFound()
    {
        QFETCH(double, place);
        const auto row = ggufForm();
        auto source = sourceOf(row, "Q4_K_M");
        row.write(source).value();
        const auto file = source.plan.folder / "letters.gguf";
        std::string bytes = readFile(file).value();
        auto& byte = bytes[static_cast<std::size_t>(place * static_cast<double>(bytes.size()))];
        byte = static_cast<char>(byte ^ 1);
        std::ofstream(file, std::ios::binary) << bytes;
        const auto back = row.readBack(source);
        QVERIFY(!back);
        QVERIFY2(back.error().what.find("not what was written") != std::string::npos,
                 back.error().sentence().c_str());
    }

    /// Even where the digest would not tell: a writer that is wrong.
    void aWrongWeightFailsTheComparison_data()
    {
        QTest::addColumn<QString>("type");
        QTest::addColumn<int>("first"); // byte with the sign of a value, or of a block's scale
        QTest::addColumn<int>("stride");
        QTest::newRow("F32") << "F32" << 3 << 4;
        QTest::newRow("BF16") << "BF16" << 1 << 2;
        QTest::newRow("Q8_0") << "Q8_0" << 1 << 34;
        QTest::newRow("Q4_0") << "Q4_0" << 1 << 18;
    }
    void aWrongWeightFailsTheComparison()
    {
        QFETCH(QString, type);
        QFETCH(int, first);
        QFETCH(int, stride);
        const auto row = ggufForm();
        auto source = sourceOf(row, type.toStdString());
        row.write(source).value();
        const auto file = source.plan.folder / "letters.gguf";
        std::string bytes = readFile(file).value();
        {
            const auto opened = tensor::GgufFile::open(file).value();
            const auto down = opened.tensor("blk.1.ffn_down.weight")->bytes;
            const auto start =
                bytes.find(std::string(reinterpret_cast<const char*>(down.data()), down.size()));
            for (auto i = static_cast<std::size_t>(first); i < down.size();
                 i += static_cast<std::size_t>(stride))
                bytes[start + i] = static_cast<char>(bytes[start + i] ^ 0x80); // every sign
        }
        std::ofstream(file, std::ios::binary) << bytes;
        source.digest = sha256(bytes);
        const auto back = row.readBack(source);
        QVERIFY(!back);
        QVERIFY2(back.error().what.find("mlp.down_proj.weight") != std::string::npos,
                 back.error().what.c_str());
    }

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    ExportSource sourceOf(const ExportForm& form, const std::string& type,
                          model::Model* model = nullptr)
    {
        ExportPlan plan;
        plan.form = form.info.id;
        plan.type = type;
        plan.folder = at("letters");
        return {model ? *model : *m_model.decoder,
                m_model.attached.get(),
                m_model.folder,
                "tiny",
                std::nullopt,
                plan,
                {}};
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    LoadedModel m_model;
};

QTEST_GUILESS_MAIN(TestGgufForm)
#include "test_gguf_form.moc"

#include "model/import/export_files.h"
#include "model/import/hf_folder.h"
#include "model/import/import.h"
#include "model/import_helpers.h"
#include "text/tokenizer.h"

#include <QtTest>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;
namespace fs = std::filesystem;

class TestExportFiles : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void shardsHoldTheSameModel();
    void exportsAModel();
    void exportsEveryFamily_data();
    void exportsEveryFamily();
    void exportsAnAdapter();
    void refusesAdaptersThatPeftWouldIgnore();

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    fs::path imported()
    {
        importModel(fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama", at("tiny")).value();
        return at("tiny");
    }
    bool nothingLeft() const { return fs::is_empty(at("out")); }

    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestExportFiles::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    fs::create_directories(at("out"));
}

void TestExportFiles::shardsHoldTheSameModel()
{
    const auto files = ModelFiles::open(imported()).value();
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : expectedWeights(files.config()))
        plan.push_back({weight.name, tensor::DType::F32, weight.shape});
    const auto source = [&](const tensor::TensorPlan& item, const PartSink& sink) -> Result<void> {
        const auto& bytes = files.find(item.name)->bytes;
        if (auto first = sink(bytes.data(), 4); !first)
            return first;
        return sink(bytes.data() + 4, bytes.size() - 4);
    };
    writeModelFolder(at("out") / "m", files.folder(), plan, source, 50'000).value();
    QVERIFY(fs::exists(at("out") / "m/model-00001-of-00003.safetensors"));
    const auto index = readJsonFile(at("out") / "m/model.safetensors.index.json").value();
    QCOMPARE(index["weight_map"].size(), plan.size());
    QCOMPARE(index["metadata"]["total_size"], Json(files.config().parameters() * 4));
    const auto shards = ModelFiles::open(at("out") / "m").value();
    for (const auto& item : plan)
        QCOMPARE(bytesOf(*shards.find(item.name)), bytesOf(*files.find(item.name)));
    importModel(at("out") / "m", at("again")).value();
    QVERIFY(contents(at("again")) == contents(at("out") / "m"));
}

void TestExportFiles::exportsAModel()
{
    const auto base = imported();
    Json config = readJsonFile(base / "config.json").value();
    config["auto_map"] = {{"AutoModel", "modeling_custom.Model"}};
    config["dtype"] = config["torch_dtype"] = "bfloat16";
    writeText(base / "config.json", config.dump());
    writeText(base / "modeling_custom.py", "print('no')");
    const auto files = ModelFiles::open(base).value();
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : expectedWeights(files.config()))
        plan.push_back({weight.name, tensor::DType::F32, weight.shape});
    plan.push_back(
        {"lm_head.weight", tensor::DType::F32, {files.config().vocab, files.config().hidden}});
    const auto source = [&](const tensor::TensorPlan& item, const PartSink& sink) {
        const auto& name = item.name == "lm_head.weight" ? "model.embed_tokens.weight" : item.name;
        const auto& bytes = files.find(name)->bytes;
        return sink(bytes.data(), bytes.size());
    };
    writeModelFolder(at("out") / "m", base, plan, source).value();
    const auto written = ModelFiles::open(at("out") / "m").value();
    QVERIFY(!written.config().tieEmbeddings);
    QCOMPARE(written.config().raw["dtype"], Json("float32"));
    QCOMPARE(written.config().raw["torch_dtype"], Json("float32"));
    QVERIFY(!written.config().raw.contains("auto_map"));
    QVERIFY(!fs::exists(at("out") / "m/modeling_custom.py"));
    QVERIFY(text::Tokenizer::load(at("out") / "m"));
    const auto stopped =
        writeModelFolder(at("out") / "n", base, plan, [](const auto&, const auto&) {
            return Result<void>(Error{ErrorCode::Cancelled, "stopped", "", ""});
        });
    QVERIFY(!stopped && !fs::exists(at("out") / "n") &&
            contents(at("out")).size() == contents(at("out") / "m").size() + 1);
}

void TestExportFiles::exportsEveryFamily_data()
{
    QTest::addColumn<QString>("name");
    const fs::path families = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families";
    for (const auto& entry : fs::directory_iterator(families))
        QTest::newRow(entry.path().filename().c_str())
            << QString::fromStdString(entry.path().string());
}

/// What is written has the head, the names and the shapes of what was read.
void TestExportFiles::exportsEveryFamily()
{
    QFETCH(QString, name);
    const auto base = ModelFiles::open(name.toStdString()).value();
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : expectedWeights(base.config()))
        plan.push_back({weight.name, tensor::DType::F32, weight.shape});
    const auto source = [&](const tensor::TensorPlan& item, const PartSink& sink) {
        const auto& bytes = base.find(item.name)->bytes;
        return sink(bytes.data(), bytes.size());
    };
    writeModelFolder(at("out") / "m", base.folder(), plan, source).value();
    const auto written = ModelFiles::open(at("out") / "m").value();
    QCOMPARE(written.config().tieEmbeddings, base.config().tieEmbeddings);
    QVERIFY(written.warnings().empty());
    for (const auto& item : plan)
        QCOMPARE(bytesOf(*written.find(item.name)), bytesOf(*base.find(item.name)));
}

void TestExportFiles::exportsAnAdapter()
{
    const std::vector<float> a(2 * 32, 0.5f), b(32 * 2, 0.25f);
    const std::string module = "base_model.model.model.layers.0.self_attn.q_proj.";
    const std::vector<tensor::TensorToWrite> tensors{
        {{module + "lora_B.weight", tensor::DType::F32, {32, 2}}, b.data(), b.size() * 4},
        {{module + "lora_A.weight", tensor::DType::F32, {2, 32}}, a.data(), a.size() * 4}};
    const Json config{{"peft_type", "LORA"}, {"r", 2},         {"lora_alpha", 4},
                      {"lora_dropout", 0.0}, {"bias", "none"}, {"target_modules", {"q_proj"}}};
    writePeftAdapter(at("out") / "a", config, tensors).value();
    const auto written = readJsonFile(at("out") / "a/adapter_config.json").value();
    QCOMPARE(written["inference_mode"], Json(true));
    QCOMPARE(written["task_type"], Json("CAUSAL_LM"));
    QVERIFY(written.contains("base_model_name_or_path"));
    for (const auto& [key, value] : config.items())
        QCOMPARE(written[key], value);
    const auto file =
        tensor::SafetensorsFile::open(at("out") / "a/adapter_model.safetensors").value();
    QCOMPARE(file.metadata().at("format"), std::string("pt"));
    QCOMPARE(file.find(module + "lora_A.weight")->shape, (std::vector<std::int64_t>{2, 32}));
}

void TestExportFiles::refusesAdaptersThatPeftWouldIgnore()
{
    const float one[1] = {1};
    const auto item = [&](const char* name) {
        return tensor::TensorToWrite{{name, tensor::DType::F32, {1}}, one, 4};
    };
    const Json lora{{"peft_type", "LORA"}};
    QVERIFY(!writePeftAdapter(at("out") / "a", Json::object(), {}));
    QVERIFY(!writePeftAdapter(at("out") / "a", lora, {item("model.layers.0.lora_A.weight")}));
    QVERIFY(!writePeftAdapter(at("out") / "a", lora, {item("base_model.model.x.lora_A.weight")}));
    QVERIFY(!writePeftAdapter(at("out") / "a", lora, {item("base_model.model.x.lora_B.weight")}));
    QVERIFY(nothingLeft());
}

QTEST_GUILESS_MAIN(TestExportFiles)
#include "test_export_files.moc"

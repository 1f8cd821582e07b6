#include "model/adapter_help.h"
#include "model/import/adapter.h"
#include "model/import/adapter_merge.h"
#include "tensor/files/convert.h"

#include <QTemporaryDir>
#include <QtTest>
#include <cmath>

using namespace fettle;
using namespace fettle::model;
using namespace fettle::testing;
namespace fs = std::filesystem;

/// LoRA adapters of PEFT merged into their bases; the logits are compared in test_adapter_logits.
class TestAdapter : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() { m_golden = adapterGolden(); }
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }
    void weightsAreThoseOfPeft_data();
    void weightsAreThoseOfPeft();
    void takesTheTokenizerOfTheAdapter();
    void stopsWithoutATrace();
    void refusesSettings_data();
    void refusesSettings();
    void refusesFiles_data();
    void refusesFiles();
    void refusesAnotherBase();
    void matchesModules_data();
    void matchesModules();
    void findsFolders();

private:
    fs::path at(const char* name) const { return fs::path(m_folder->path().toStdString()) / name; }
    /// A copy of a fixture with another configuration and other tensors.
    fs::path
    changed(const std::string& name, const std::function<void(Json&)>& config,
            const std::function<void(std::map<std::string, AdapterTensor>&)>& tensors = {}) const;

    Json m_golden;
    std::unique_ptr<QTemporaryDir> m_folder;
};

fs::path TestAdapter::changed(
    const std::string& name, const std::function<void(Json&)>& config,
    const std::function<void(std::map<std::string, AdapterTensor>&)>& tensors) const
{
    const auto folder = at("changed");
    fs::remove_all(folder);
    fs::copy(fixtures() / "adapters" / name, folder);
    Json json = readJsonFile(folder / "adapter_config.json").value();
    if (config)
        config(json);
    std::ofstream(folder / "adapter_config.json") << json.dump();
    if (!tensors)
        return folder;
    std::map<std::string, AdapterTensor> all;
    {
        const auto file =
            tensor::SafetensorsFile::open(folder / "adapter_model.safetensors").value();
        for (const auto& each : file.tensors()) {
            AdapterTensor values{each.shape, std::vector<float>(each.bytes.size() / 4)};
            tensor::toFloats(each.dtype, each.bytes, values.values.data());
            all[each.name] = values;
        }
    }
    tensors(all);
    std::vector<tensor::TensorToWrite> out;
    for (const auto& [key, value] : all)
        out.push_back(
            {{key, tensor::DType::F32, value.shape}, value.values.data(), value.values.size() * 4});
    tensor::writeSafetensors(folder / "adapter_model.safetensors", out).value();
    return folder;
}

void TestAdapter::weightsAreThoseOfPeft_data()
{
    QTest::addColumn<QString>("name");
    for (const auto& [name, expected] : m_golden["cases"].items())
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
}

void TestAdapter::weightsAreThoseOfPeft()
{
    QFETCH(QString, name);
    const auto& expected = m_golden["cases"][name.toStdString()];
    const auto base = makeBase(at(""), expected["family"]);
    const auto merged =
        mergeAdapter(fixtures() / "adapters" / name.toStdString(), base, at("merged"));
    QVERIFY2(merged, merged ? "" : merged.error().sentence().c_str());
    const auto before = ModelFiles::open(base).value(),
               after = ModelFiles::open(at("merged")).value();
    QVERIFY(after.warnings().empty());
    const auto head = after.config().names.head + ".weight";
    // Merging in place, peft lets a shared head follow its table, though the adapter's answers did
    // not.
    const bool sharedHead = name == "gpt2_embedding";
    double largest = 0;
    for (const auto& [key, weight] : expected["weights"].items()) {
        if (sharedHead && key == head)
            continue;
        const auto* info = after.find(key);
        QVERIFY2(info, key.c_str());
        QCOMPARE(info->dtype, tensor::DType::F32);
        std::vector<float> values(info->bytes.size() / 4);
        tensor::toFloats(info->dtype, info->bytes, values.data());
        double sum = 0;
        for (const float value : values)
            sum += value;
        QVERIFY2(std::abs(sum - weight["sum"].get<double>()) <
                     1e-6 * static_cast<double>(values.size()),
                 key.c_str());
        for (std::size_t i = 0; i < weight["at"].size(); ++i)
            largest = std::max(largest, std::abs(values.at(weight["at"][i].get<std::size_t>()) -
                                                 weight["values"][i].get<double>()));
    }
    qInfo("largest difference of a weight: %.2g", largest);
    QVERIFY(largest <= 1e-6);
    for (const auto& weight : expectedWeights(after.config())) {
        if (expected["weights"].contains(weight.name) || weight.name == head)
            continue;
        const auto *was = before.find(weight.name), *is = after.find(weight.name);
        QVERIFY2(was && is && std::ranges::equal(was->bytes, is->bytes), weight.name.c_str());
    }
}

void TestAdapter::takesTheTokenizerOfTheAdapter()
{
    const auto base = makeBase(at(""), "llama");
    const auto adapter = changed("llama_regex", {});
    std::ofstream(adapter / "chat_template.jinja") << "{{ messages[0].content }}";
    mergeAdapter(adapter, base, at("without")).value();
    QVERIFY(!fs::exists(at("without") / "chat_template.jinja")); // no tokenizer beside it
    writeSmallTokenizer(adapter);
    std::ofstream(base / "chat_template.jinja") << "old";
    std::ofstream(base / "special_tokens_map.json") << "{}";
    mergeAdapter(adapter, base, at("with")).value();
    QCOMPARE(readFile(at("with") / "chat_template.jinja").value(),
             std::string("{{ messages[0].content }}"));
    QVERIFY(!fs::exists(at("with") / "special_tokens_map.json"));
    QVERIFY(fs::exists(base / "special_tokens_map.json"));
}

void TestAdapter::stopsWithoutATrace()
{
    const auto base = makeBase(at(""), "llama");
    std::stop_source stop;
    fs::create_directories(at("out"));
    const auto stopped = mergeAdapter(
        fixtures() / "adapters/llama_regex", base, at("out") / "m",
        [&](auto, auto) { stop.request_stop(); }, stop.get_token());
    QVERIFY(!stopped && stopped.error().code == ErrorCode::Cancelled);
    QVERIFY(fs::is_empty(at("out")));
}

void TestAdapter::refusesSettings_data()
{
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QString>("named");
    const auto row = [](const char* key, const char* value, const char* named) {
        QTest::newRow(key) << key << value << named;
    };
    row("peft_type", "\"IA3\"", "IA3");
    row("task_type", "\"SEQ_CLS\"", "SEQ_CLS");
    row("target_parameters", "[\"experts.gate_up_proj\"]", "target_parameters");
    row("trainable_token_indices", "[1, 2]", "trainable_token_indices");
    row("layer_replication", "[[0, 1]]", "layer_replication");
    row("use_qalora", "true", "use_qalora");
    row("arrow_config", "{\"top_k\": 2}", "arrow_config");
    row("alora_invocation_tokens", "[3]", "alora_invocation_tokens");
    row("ensure_weight_tying", "true", "ensure_weight_tying");
    row("something_of_tomorrow", "1", "something_of_tomorrow");
    row("init_lora_weights", "\"pissa_niter_4\"", "pissa_niter_4");
    row("r", "0", "r must be");
    row("lora_alpha", "\"much\"", "lora_alpha");
    row("use_rslora", "\"yes\"", "use_rslora");
    row("bias", "\"some\"", "bias");
    row("rank_pattern", "{\"q_proj\": 0}", "rank_pattern");
    row("alpha_pattern", "[1]", "alpha_pattern");
    row("target_modules", "\"(\"", "pattern");
    row("layers_to_transform", "\"1\"", "layers_to_transform");
}

void TestAdapter::refusesSettings()
{
    QFETCH(QString, key);
    QFETCH(QString, value);
    QFETCH(QString, named);
    const auto base = makeBase(at(""), "llama");
    const auto folder = changed("llama_regex", [&](Json& json) {
        json[key.toStdString()] = Json::parse(value.toStdString());
    });
    const auto merged = mergeAdapter(folder, base, at("merged"));
    QVERIFY(!merged);
    QVERIFY2(merged.error().sentence().find(named.toStdString()) != std::string::npos,
             merged.error().sentence().c_str());
    QVERIFY(!fs::exists(at("merged")));
}

using Tensors = std::map<std::string, AdapterTensor>;

const std::string kQuery = "base_model.model.model.layers.1.self_attn.q_proj.";

const std::vector<std::tuple<const char*, std::function<void(Tensors&)>, const char*>> kFaults = {
    {"an A without its B", [](Tensors& t) { t.erase(kQuery + "lora_B.weight"); },
     "has lora_A and no lora_B"},
    {"a B without its A", [](Tensors& t) { t.erase(kQuery + "lora_A.weight"); },
     "has lora_B and no lora_A"},
    {"a place without weights",
     [](Tensors& t) {
         t.erase(kQuery + "lora_A.weight");
         t.erase(kQuery + "lora_B.weight");
     },
     "model.layers.1.self_attn.q_proj"},
    {"another rank",
     [](Tensors& t) {
         t[kQuery + "lora_A.weight"] = {{3, 16}, std::vector<float>(48)};
         t[kQuery + "lora_B.weight"] = {{16, 3}, std::vector<float>(48)};
     },
     "shape [3, 16], the base needs [2, 16]"},
    {"another width",
     [](Tensors& t) {
         t[kQuery + "lora_B.weight"] = {{8, 2}, std::vector<float>(16)};
     },
     "shape [8, 2], the base needs [16, 2]"},
    {"a place that the base has not",
     [](Tensors& t) {
         t["base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"] = {
             {2, 16}, std::vector<float>(32)};
     },
     "the base has no place for 1 of the adapter: model.layers.7.self_attn.q_proj"},
    {"a place that is not named",
     [](Tensors& t) {
         t["base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"] = {
             {2, 24}, std::vector<float>(48)};
     },
     "which adapter_config.json does not name"},
    {"a whole weight that is not named",
     [](Tensors& t) {
         t["base_model.model.model.norm.weight"] = {{16}, std::vector<float>(16)};
     },
     "replaces model.norm.weight"},
    {"a larger vocabulary",
     [](Tensors& t) {
         t["base_model.model.lm_head.weight"] = {{50, 16}, std::vector<float>(800)};
     },
     "vocabulary of 50 tokens"},
    {"another kind of name",
     [](Tensors& t) {
         t["x"] = {{1}, {0}};
     },
     "the tensor 'x' has a name"},
    {"a value that is not finite",
     [](Tensors& t) {
         t[kQuery + "lora_A.weight"].values[3] = std::numeric_limits<float>::infinity();
     },
     "not finite"},
    {"a magnitude without DoRA",
     [](Tensors& t) {
         t[kQuery + "lora_magnitude_vector"] = {{16}, std::vector<float>(16)};
     },
     "use_dora"},
    {"a bias without lora_bias",
     [](Tensors& t) {
         t[kQuery + "lora_B.bias"] = {{16}, std::vector<float>(16)};
     },
     "lora_B.bias"},
    {"nothing", [](Tensors& t) { t.clear(); }, "no weights of an adapter"},
};

void TestAdapter::refusesFiles_data()
{
    QTest::addColumn<int>("number");
    for (std::size_t i = 0; i < kFaults.size(); ++i)
        QTest::newRow(std::get<0>(kFaults[i])) << static_cast<int>(i);
}

void TestAdapter::refusesFiles()
{
    QFETCH(int, number);
    const auto& [title, fault, words] = kFaults[static_cast<std::size_t>(number)];
    const auto base = makeBase(at(""), "llama");
    const auto merged = mergeAdapter(changed("llama_regex", {}, fault), base, at("merged"));
    QVERIFY(!merged);
    QVERIFY2(merged.error().sentence().find(words) != std::string::npos,
             merged.error().sentence().c_str());
    QVERIFY(!fs::exists(at("merged")));
}

void TestAdapter::refusesAnotherBase()
{
    const auto merged =
        mergeAdapter(fixtures() / "adapters/llama_regex", makeBase(at(""), "gpt2"), at("merged"));
    QVERIFY(!merged);
    QVERIFY2(merged.error().what.find("the base has no place for 5 of the adapter") !=
                 std::string::npos,
             merged.error().what.c_str());
    QVERIFY(merged.error().remedy.find("--base") != std::string::npos);
}

void TestAdapter::matchesModules_data()
{
    QTest::addColumn<QString>("config");
    QTest::addColumn<QString>("module");
    QTest::addColumn<bool>("targeted");
    const auto row = [](const char* title, const char* config, const char* module, bool targeted) {
        QTest::newRow(title) << config << module << targeted;
    };
    const char* q = "model.layers.3.self_attn.q_proj";
    row("last part", R"("target_modules": ["q_proj"])", q, true);
    row("part of a word", R"("target_modules": ["proj"])", q, false);
    row("two parts", R"("target_modules": ["self_attn.q_proj"])", q, true);
    row("pattern over all", R"("target_modules": ".*q_proj")", q, true);
    row("pattern over a part", R"("target_modules": "q_proj")", q, false);
    row("excluded", R"("target_modules": ["q_proj"], "exclude_modules": ["q_proj"])", q, false);
    row("excluded by pattern", R"("target_modules": ["q_proj"], "exclude_modules": ".*\\.3\\..*")",
        q, false);
    row("saved whole", R"("target_modules": ["q_proj"], "modules_to_save": ["self_attn"])", q,
        false);
    row("layer of the list", R"("target_modules": ["q_proj"], "layers_to_transform": [1, 3])", q,
        true);
    row("layer not of the list", R"("target_modules": ["q_proj"], "layers_to_transform": 2)", q,
        false);
    row("layer by pattern",
        R"("target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": "h")", q,
        false);
    row("layer before expert", R"("target_modules": ["w1"], "layers_to_transform": [3])",
        "model.layers.3.moe.experts.5.w1", true);
    row("expert is no layer", R"("target_modules": ["w1"], "layers_to_transform": [5])",
        "model.layers.3.moe.experts.5.w1", false);
    row("named in full",
        R"("target_modules": ["model.layers.3.self_attn.q_proj"], "layers_to_transform": [9])", q,
        true);
    row("all linear", R"("target_modules": "ALL-LINEAR")", q, true);
}

void TestAdapter::matchesModules()
{
    QFETCH(QString, config);
    QFETCH(QString, module);
    QFETCH(bool, targeted);
    const auto parsed =
        AdapterConfig::parse("{\"peft_type\": \"LORA\", " + config.toStdString() + "}", "test");
    QVERIFY2(parsed, parsed ? "" : parsed.error().sentence().c_str());
    QCOMPARE(parsed->targets(module.toStdString(), true), targeted);
}

void TestAdapter::findsFolders()
{
    QCOMPARE(adapterFolder(fixtures() / "adapters/llama_named").value().filename(),
             fs::path("letters"));
    QVERIFY(isAdapter(fixtures() / "adapters/llama_named") &&
            !isAdapter(fixtures() / "families/llama"));
    const auto several = adapterFolder(fixtures() / "adapters");
    QVERIFY(!several && several.error().what.find("several adapters") != std::string::npos);
    QVERIFY(!adapterFolder(fixtures() / "families/llama"));
}

QTEST_GUILESS_MAIN(TestAdapter)
#include "test_adapter.moc"

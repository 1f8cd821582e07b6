#include "base/rng.h"
#include "model/import/hf_folder.h"
#include "model/import/model_config.h"
#include "tensor/files/safetensors.h"

#include <QTemporaryDir>
#include <QtTest>
#include <algorithm>
#include <cmath>
#include <fstream>

using namespace fettle;
using namespace fettle::model;

namespace {

Json smallLlama()
{
    return Json::parse(
        R"({"model_type":"llama","vocab_size":100,"hidden_size":32,"intermediate_size":48,
        "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"bos_token_id":1,"eos_token_id":2,
        "rope_theta":500000.0})");
}

Result<ModelConfig> parsed(const Json& config, const Json& generation = nullptr)
{
    return parseModelConfig(config, generation, "config.json");
}

Json changed(const char* patch)
{
    Json config = smallLlama();
    config.merge_patch(Json::parse(patch)); // null in a patch removes the key
    return config;
}

} // namespace

class TestImportConfig : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void readsTheShape();
    void defaultsOfTheFamily();
    void oldAndNewRotaryKeysAgree_data();
    void oldAndNewRotaryKeysAgree();
    void longropeAndYarn();
    void quirksOfTheReference();
    void mistralWindows();
    void endIdsAreTheUnion();
    void countsParameters();
    void refuses_data();
    void refuses();
    void theLanguagePartOfAModelThatReadsPictures();
    void foldersWithoutConfig();
    void mutationsNeverCrash();
};

void TestImportConfig::readsTheShape()
{
    const auto config =
        parsed(changed(R"({"attention_bias":true,"mlp_bias":true,"rms_norm_eps":1e-5,
        "max_position_embeddings":4096,"tie_word_embeddings":true,"pad_token_id":0,"hidden_act":"swish"})"))
            .value();
    QCOMPARE(config.family, std::string("llama"));
    QCOMPARE(config.layers, 2);
    QCOMPARE(config.hidden, 32);
    QCOMPARE(config.intermediate, 48);
    QCOMPARE(config.heads, 4);
    QCOMPARE(config.kvHeads, 2);
    QCOMPARE(config.headDim, 8);
    QCOMPARE(config.vocab, 100);
    QCOMPARE(config.maxPositions, 4096);
    QCOMPARE(config.normEps, 1e-5);
    QCOMPARE(config.ropeTheta, 500000.0);
    QCOMPARE(config.activation, std::string("silu"));
    QVERIFY(config.attentionBias && config.mlpBias && config.tieEmbeddings);
    QCOMPARE(config.padId, std::optional<std::int32_t>(0));
    QCOMPARE(config.slidingWindow, 0);
    QCOMPARE(config.raw["vocab_size"], Json(100));
}

void TestImportConfig::defaultsOfTheFamily()
{
    const auto config =
        parsed(changed(R"({"num_key_value_heads":null,"rope_theta":null})")).value();
    QCOMPARE(config.kvHeads, 4);
    QCOMPARE(config.ropeTheta, 10000.0);
    QCOMPARE(config.maxPositions, 2048);
    QCOMPARE(config.normEps, 1e-6);
    QVERIFY(!config.tieEmbeddings && !config.padId);
    const auto wide = parsed(changed(R"({"head_dim":16})")).value();
    QCOMPARE(wide.headDim, 16);
    const auto byClass =
        parsed(changed(R"({"model_type":null,"architectures":["LlamaForCausalLM"]})")).value();
    QCOMPARE(byClass.family, std::string("llama"));
}

void TestImportConfig::oldAndNewRotaryKeysAgree_data()
{
    QTest::addColumn<QString>("patch");
    QTest::newRow("old")
        << R"({"rope_scaling":{"rope_type":"llama3","factor":32.0,"low_freq_factor":1.0,
        "high_freq_factor":4.0,"original_max_position_embeddings":8192}})";
    QTest::newRow("older, type")
        << R"({"rope_scaling":{"type":"llama3","factor":32,"low_freq_factor":1,
        "high_freq_factor":4,"original_max_position_embeddings":8192}})";
    QTest::newRow("new")
        << R"({"rope_theta":null,"rope_parameters":{"rope_theta":500000.0,"rope_type":"llama3",
        "factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}})";
    QTest::newRow("new, per kind of layer")
        << R"({"rope_theta":null,"rope_parameters":{"full_attention":{
        "rope_theta":500000.0,"rope_type":"llama3","factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
        "original_max_position_embeddings":8192}}})";
}

void TestImportConfig::oldAndNewRotaryKeysAgree()
{
    QFETCH(QString, patch);
    const auto config = parsed(changed(qPrintable(patch))).value();
    QCOMPARE(config.ropeTheta, 500000.0);
    QCOMPARE(config.rope.type, std::string("llama3"));
    QCOMPARE(config.rope.factor, 32.0);
    QCOMPARE(config.rope.lowFreqFactor, 1.0);
    QCOMPARE(config.rope.highFreqFactor, 4.0);
    QCOMPARE(config.rope.originalMaxPositions, 8192.0);
}

void TestImportConfig::longropeAndYarn()
{
    const auto longrope = parsed(changed(R"({"rope_scaling":{"type":"su","short_factor":[1,1,1,1],
        "long_factor":[1,2,3,4]},"original_max_position_embeddings":4096})"))
                              .value();
    QCOMPARE(longrope.rope.type, std::string("longrope"));
    QCOMPARE(longrope.rope.longFactors, (std::vector<double>{1, 2, 3, 4}));
    QCOMPARE(longrope.rope.originalMaxPositions, 4096.0);
    const auto yarn = parsed(changed(R"({"rope_scaling":{"type":"yarn","factor":4,"mscale":2,
        "mscale_all_dim":1}})"))
                          .value();
    // (0.1 * 2 * ln 4 + 1) / (0.1 * 1 * ln 4 + 1)
    QVERIFY(std::abs(yarn.rope.attentionFactor - 1.2772588722 / 1.1386294361) < 1e-9);
    QCOMPARE(yarn.rope.betaFast, 32.0);
}

/// What only checkpoints with unusual settings show (tests/oracles/held_back.py found them).
void TestImportConfig::quirksOfTheReference()
{
    const auto with = [](const char* patch) { return parsed(changed(patch)).value(); };
    QCOMPARE(with(R"({"model_type":"gemma","hidden_act":"gelu"})").activation,
             std::string("gelu_tanh"));
    const char* other = R"({"model_type":"gemma","hidden_act":"silu","hidden_activation":"relu"})";
    QCOMPARE(with(other).activation, std::string("silu"));
    const auto third = with(
        R"({"model_type":"gemma3_text","attn_logit_softcapping":3.0,"final_logit_softcapping":5.0})");
    QCOMPARE(third.attentionSoftcap, 0.0);
    QCOMPARE(third.logitSoftcap, 5.0);
    // sqrt(1 + ln 4 / ln 16)
    QVERIFY(std::abs(with(R"({"max_position_embeddings":4096,"rope_parameters":{
        "rope_type":"longrope","factor":4.0,"original_max_position_embeddings":16,
        "short_factor":[1,1,1,1],"long_factor":[2,2,2,2]}})")
                         .rope.attentionFactor -
                     std::sqrt(1.5)) < 1e-12);
    const auto umt5 = parsed(Json::parse(
        R"({"model_type":"umt5","vocab_size":100,"d_model":16,"d_ff":24,"d_kv":4,"num_layers":1,
        "num_heads":4,"tie_word_embeddings":false})"));
    QVERIFY2(umt5, umt5 ? "" : umt5.error().sentence().c_str());
    QCOMPARE(umt5->logitScale, 0.25);
}

void TestImportConfig::mistralWindows()
{
    const auto windows = [](const Json& json) {
        std::vector<std::int64_t> sizes;
        for (const auto& layer : parsed(json).value().layer)
            sizes.push_back(layer.window);
        return sizes;
    };
    using Sizes = std::vector<std::int64_t>;
    QCOMPARE(windows(changed(R"({"model_type":"mistral"})")), (Sizes{4096, 4096}));
    QCOMPARE(windows(changed(R"({"model_type":"mistral","sliding_window":7})")), (Sizes{7, 7}));
    Json none = changed(R"({"model_type":"mistral"})");
    none["sliding_window"] = nullptr;
    QCOMPARE(windows(none), (Sizes{0, 0}));
    none["layer_types"] = {"full_attention", "full_attention"};
    none["sliding_window"] = 9;
    QCOMPARE(windows(none), (Sizes{0, 0}));
    none["layer_types"] = {"full_attention", "sliding_attention"};
    QCOMPARE(windows(none), (Sizes{0, 9}));
    none["layer_types"] = {"full_attention"};
    QVERIFY(!parsed(none));
    none["layer_types"] = {"full_attention", "chunked_attention"};
    QVERIFY(!parsed(none));
}

void TestImportConfig::endIdsAreTheUnion()
{
    const Json generation = Json::parse(R"({"eos_token_id":[5,2],"pad_token_id":7})");
    const auto config = parsed(smallLlama(), generation).value();
    QCOMPARE(config.eosIds, (std::vector<std::int32_t>{5, 2}));
    QCOMPARE(config.bosId, std::optional<std::int32_t>(1));
    QCOMPARE(config.padId, std::optional<std::int32_t>(7));
    const auto several =
        parsed(changed(R"({"eos_token_id":[3,4],"pad_token_id":-1})"), generation).value();
    QCOMPARE(several.eosIds, (std::vector<std::int32_t>{5, 2, 3, 4}));
}

void TestImportConfig::countsParameters()
{
    // 2 tables of 100 x 32, per layer 2 norms, q and o 32 x 32, k and v 16 x 32, three 48 x 32;
    // last norm
    const std::int64_t layer = 2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32;
    QCOMPARE(parsed(smallLlama()).value().parameters(), 2 * 3200 + 2 * layer + 32);
    QCOMPARE(parsed(changed(R"({"tie_word_embeddings":true})")).value().parameters(),
             3200 + 2 * layer + 32);
    const auto biased = parsed(changed(R"({"attention_bias":true,"mlp_bias":true})")).value();
    QCOMPARE(biased.parameters(), 2 * 3200 + 2 * (layer + 32 + 16 + 16 + 32 + 48 + 48 + 32) + 32);
}

void TestImportConfig::refuses_data()
{
    QTest::addColumn<QString>("patch");
    QTest::addColumn<QString>("words");
    auto row = [](const char* name, const char* patch, const char* words) {
        QTest::newRow(name) << QString(patch) << QString(words);
    };
    row("unknown family", R"({"model_type":"lama2"})",
        "'lama2' is not known here; the nearest known one is 'llama'");
    row("near another", R"({"model_type":"qwen4"})", "nearest known one is 'qwen2'");
    row("experts without number", R"({"model_type":"mixtral","num_local_experts":0})",
        "'num_local_experts'");
    row("layers without kind", R"({"model_type":"gpt_neo","num_layers":2,"num_heads":4})",
        "'attention_types' must");
    row("no family", R"({"model_type":null})", "'model_type' is missing");
    row("family is a number", R"({"model_type":3})", "'model_type' must be a text");
    row("compressed", R"({"quantization_config":{"quant_method":"gptq"}})", "compressed");
    row("no layers", R"({"num_hidden_layers":0})", "from 1 to 512");
    row("513 layers", R"({"num_hidden_layers":513})", "from 1 to 512");
    row("half a layer", R"({"num_hidden_layers":1.5})", "whole number");
    row("layers as text", R"({"num_hidden_layers":"2"})", "whole number");
    row("huge number", R"({"hidden_size":1e300})", "whole number");
    row("no hidden size", R"({"hidden_size":null})", "'hidden_size' is missing");
    row("negative", R"({"intermediate_size":-4})", "'intermediate_size'");
    row("vocabulary too large", R"({"vocab_size":1000001})", "'vocab_size'");
    row("positions too many", R"({"max_position_embeddings":10000001})",
        "'max_position_embeddings'");
    row("heads do not divide", R"({"num_attention_heads":5})",
        "not a multiple of 'num_attention_heads'");
    row("groups do not divide", R"({"num_key_value_heads":3})",
        "not a multiple of 'num_key_value_heads'");
    row("odd head", R"({"head_dim":7})", "must be even");
    row("another activation", R"({"hidden_act":"gelu_10"})", "'gelu_10' is not supported");
    row("unknown rotary type", R"({"rope_scaling":{"rope_type":"spiral"}})",
        "'spiral' is not known");
    row("scaling without factor", R"({"rope_scaling":{"type":"linear"}})", "'factor' is missing");
    row("factor below 1", R"({"rope_scaling":{"type":"linear","factor":0}})", "'factor' must be");
    row("llama3 without limits", R"({"rope_scaling":{"type":"llama3","factor":8}})",
        "'low_freq_factor' is missing");
    row("longrope of another length",
        R"({"rope_scaling":{"type":"su","short_factor":[1],"long_factor":[1]}})",
        "must have 4 numbers");
    row("longrope with a text",
        R"({"rope_scaling":{"type":"su","short_factor":["a"],"long_factor":[1]}})",
        "positive numbers");
    row("partly rotated", R"({"partial_rotary_factor":0.5})", "part of each head");
    row("theta of zero", R"({"rope_theta":0})", "'rope_theta'");
    row("end id beyond the table", R"({"eos_token_id":100})", "'eos_token_id'");
    row("end id as text", R"({"eos_token_id":["2"]})", "'eos_token_id'");
    row("tie as text", R"({"tie_word_embeddings":"yes"})", "true or false");
}

void TestImportConfig::refuses()
{
    QFETCH(QString, patch);
    QFETCH(QString, words);
    const auto config = parsed(changed(qPrintable(patch)));
    QVERIFY(!config);
    QVERIFY2(QString::fromStdString(config.error().what).contains(words),
             config.error().what.c_str());
    QVERIFY(!config.error().where.empty() && !config.error().remedy.empty());
}

void TestImportConfig::theLanguagePartOfAModelThatReadsPictures()
{
    // As published for the 4B size: what equals the defaults is left out.
    const auto four = parsed(Json::parse(R"({"model_type":"gemma3","eos_token_id":[1,106],
        "text_config":{"hidden_size":2560,"intermediate_size":10240,"model_type":"gemma3_text",
        "num_hidden_layers":34,"rope_scaling":{"factor":8.0,"rope_type":"linear"},
        "sliding_window":1024},"vision_config":{"hidden_size":1152}})"));
    QVERIFY2(four, four ? "" : four.error().sentence().c_str());
    QCOMPARE(four->family, std::string("gemma3_text"));
    QCOMPARE(four->vocab, 262208);
    QCOMPARE(four->heads, 8);
    QCOMPARE(four->kvHeads, 4);
    QCOMPARE(four->headDim, 256);
    QCOMPARE(four->eosIds, (std::vector<std::int32_t>{1, 106}));
    QVERIFY(four->tieEmbeddings && four->wrapped);
    QCOMPARE(four->layer[0].window, 1024);
    QCOMPARE(four->layer[5].window, 0);
    QCOMPARE(four->raw["model_type"], "gemma3_text");

    // The weights of such a folder, as old and as new versions name them.
    const auto small =
        std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families/gemma3_text";
    const auto plain = tensor::SafetensorsFile::open(small / "model.safetensors").value();
    const Json wrapper{{"model_type", "gemma3"},
                       {"text_config", readJsonFile(small / "config.json").value()}};
    for (const bool old : {true, false}) {
        QTemporaryDir temporary;
        const std::filesystem::path folder(temporary.path().toStdString());
        std::vector<tensor::TensorToWrite> weights;
        for (const auto& info : plain.tensors()) {
            const auto name =
                old ? "language_model." + info.name : "model.language_model." + info.name.substr(6);
            weights.push_back(
                {{name, info.dtype, info.shape}, info.bytes.data(), info.bytes.size()});
        }
        const float pixel = 1;
        weights.push_back(
            {{"vision_tower.x.weight", tensor::DType::F32, {1}}, &pixel, sizeof(pixel)});
        QVERIFY(tensor::writeSafetensors(folder / "model.safetensors", weights));
        std::ofstream(folder / "config.json") << wrapper.dump();
        const auto files = ModelFiles::open(folder);
        QVERIFY2(files, files ? "" : files.error().sentence().c_str());
        for (const auto& info : plain.tensors()) {
            const auto* found = files->find(info.name);
            QVERIFY2(found, info.name.c_str());
            QVERIFY(std::ranges::equal(found->bytes, info.bytes));
        }
        QCOMPARE(files->warnings().size(), 1U);
        QVERIFY(files->warnings()[0].find("pictures") != std::string::npos);
    }
}

void TestImportConfig::foldersWithoutConfig()
{
    QTemporaryDir folder;
    const std::filesystem::path path = folder.path().toStdString();
    QVERIFY(readModelConfig(path).error().code == ErrorCode::NotFound);
    std::ofstream(path / "config.json") << "{\"model_type\":";
    QVERIFY(!readModelConfig(path));
    Json config = smallLlama();
    config["initializer_range"] = 0.02;
    std::string text = config.dump();
    text.replace(text.find("0.02"), 4, "NaN"); // as Python writes it
    std::ofstream(path / "config.json") << text;
    QCOMPARE(readModelConfig(path).value().hidden, 32);
    std::ofstream(path / "config.json") << "[]";
    QVERIFY(!readModelConfig(path));
}

void TestImportConfig::mutationsNeverCrash()
{
    const std::string whole =
        changed(R"({"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":1,
        "high_freq_factor":4,"original_max_position_embeddings":8192},"eos_token_id":[1,2]})")
            .dump();
    const Rng rng(3, "mutations");
    int accepted = 0;
    for (std::uint64_t round = 0; round < 20'000; ++round) {
        std::string text = whole;
        for (std::uint64_t i = 0; i <= rng.bits(round, 0) % 3; ++i)
            text[rng.bits(round, 2 * i + 1) % text.size()] =
                "0123456789-.eE{}[]\",:ntf"[rng.bits(round, 2 * i + 2) % 24];
        const auto json = parseJson(text, "x", true);
        if (!json)
            continue;
        const auto config = parsed(*json);
        accepted += config ? 1 : 0;
        QVERIFY(!config || config->parameters() > 0);
    }
    QVERIFY(accepted > 0);
}

QTEST_GUILESS_MAIN(TestImportConfig)
#include "test_import_config.moc"

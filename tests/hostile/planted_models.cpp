#include "hostile/planted.h"
#include "model/import/import.h"
#include "model/import_helpers.h"

#include <sys/stat.h>

namespace fettle::hostile {

using namespace fettle::model;
using testing::golden;
using testing::replaced;
using testing::tinyGguf;
using testing::writeText;

namespace fs = std::filesystem;

namespace {

Json llama()
{
    return {{"model_type", "llama"},       {"vocab_size", 100},
            {"hidden_size", 32},           {"intermediate_size", 48},
            {"num_hidden_layers", 2},      {"num_attention_heads", 4},
            {"num_key_value_heads", 2},    {"max_position_embeddings", 128},
            {"tie_word_embeddings", true}, {"eos_token_id", 2}};
}

Planted config(std::string fault, const std::string& patch, std::string words)
{
    Json json = llama();
    json.merge_patch(Json::parse(patch));
    return {"config.json", std::move(fault), std::move(words), [json](const fs::path&) {
                return errorOf(parseModelConfig(json, Json(), "config.json"));
            }};
}

std::vector<Planted> configCases()
{
    return {
        config("a family that is not known", R"({"model_type":"lama2"})", "nearest known one"),
        config(
            "a family chosen by code in the folder",
            R"({"model_type":"mine","auto_map":{"AutoModel":"modeling.Mine"},"trust_remote_code":true})",
            "'mine' is not known here"),
        config("a family whose name steers the terminal", R"({"model_type":"\u001b]0;x\u0007"})",
               "not known here"),
        config("no family", R"({"model_type":null})", "'model_type' is missing"),
        config("compressed weights", R"({"quantization_config":{"quant_method":"gptq"}})",
               "compressed"),
        config("2^62 layers", R"({"num_hidden_layers":4611686018427387904})", "from 1 to 512"),
        config("no layers", R"({"num_hidden_layers":0})", "from 1 to 512"),
        config("half a layer", R"({"num_hidden_layers":1.5})", "whole number"),
        config("a width of 1e300", R"({"hidden_size":1e300})", "whole number"),
        config("a negative width", R"({"intermediate_size":-4})", "'intermediate_size'"),
        config("a vocabulary of a thousand million", R"({"vocab_size":1000000000})",
               "'vocab_size'"),
        config("heads that do not divide the width", R"({"num_attention_heads":5})",
               "not a multiple"),
        config("heads whose weights would pass 64 bits",
               R"({"num_attention_heads":8192,"num_key_value_heads":8192,"head_dim":1048576})",
               "together wider"),
        config("two million experts, whose names alone fill the memory",
               R"({"model_type":"mixtral","num_local_experts":4096,"num_hidden_layers":512})",
               "more than 100000 parts"),
        config("an odd head", R"({"head_dim":7})", "must be even"),
        config("an unknown activation", R"({"hidden_act":"os.system"})", "not supported"),
        config("an unknown rotary type", R"({"rope_scaling":{"rope_type":"spiral"}})", "not known"),
        config("a rotary factor of zero", R"({"rope_scaling":{"type":"linear","factor":0}})",
               "'factor' must be"),
        config("an end mark beyond the vocabulary", R"({"eos_token_id":100})", "'eos_token_id'"),
        {"config.json", "100,000 nested lists", "nested deeper",
         [](const fs::path& folder) {
             writeText(folder / "config.json", std::string(100'000, '['));
             return errorOf(readModelConfig(folder));
         }},
        {"config.json", "a number beyond 1.8e308", "beyond 1.8e308",
         [](const fs::path& folder) {
             writeText(folder / "config.json", R"({"vocab_size":1e309})");
             return errorOf(readModelConfig(folder));
         }},
        {"config.json", "a file of 17 MB", "at most",
         [](const fs::path& folder) {
             writeText(folder / "config.json", "{\"a\":\"" + std::string(17 << 20, 'x') + "\"}");
             return errorOf(readModelConfig(folder));
         }},
    };
}

Planted gguf(std::string fault, std::string from, std::string to, std::string words)
{
    return {"model in a GGUF file", std::move(fault), std::move(words),
            [from = std::move(from), to = std::move(to)](const fs::path& folder) {
                writeText(folder / "x.gguf", replaced(tinyGguf(), from, to));
                return errorOf(importModel(folder / "x.gguf", folder / "model"));
            }};
}

/// The model of tests/golden as a folder, and something done to it.
Planted folderWith(std::string fault, void (*change)(const fs::path& model), std::string words)
{
    return {"model folder", std::move(fault), std::move(words), [change](const fs::path& folder) {
                const auto model = folder / "model";
                importModel(golden("tiny_llama.gguf"), model).value();
                change(model);
                const auto error = errorOf(importModel(model, folder / "copy"));
                const bool nothingLeft = !fs::exists(folder / "copy");
                return nothingLeft ? error : Error{ErrorCode::Internal, "LEFT BEHIND", "", ""};
            }};
}

std::vector<Planted> folderCases()
{
    return {
        folderWith(
            "no configuration", [](auto& m) { fs::remove(m / "config.json"); }, "no config.json"),
        folderWith(
            "no tokenizer", [](auto& m) { fs::remove(m / "tokenizer.json"); }, "tokenizer"),
        folderWith(
            "no weights", [](auto& m) { fs::remove(m / "model.safetensors"); },
            "no model.safetensors"),
        folderWith(
            "weights of another size",
            [](auto& m) {
                auto json = readJsonFile(m / "config.json").value();
                json["intermediate_size"] = 63;
                writeText(m / "config.json", json.dump());
            },
            "shape"),
        folderWith(
            "a list of weights in place of the weights",
            [](auto& m) {
                fs::remove(m / "model.safetensors");
                writeText(m / "model.safetensors.index.json",
                          R"({"weight_map":{"a":"../../etc/passwd"}})");
            },
            "points outside"),
        folderWith(
            "only the files of a training run",
            [](auto& m) { fs::rename(m / "model.safetensors", m / "optimizer.pt"); },
            "foreign code"),
        folderWith(
            "a card that is a link to a private file",
            [](auto& m) {
                fs::remove(m / "README.md");
                fs::create_symlink("/etc/passwd", m / "README.md");
            },
            "leads out of the folder"),
        folderWith(
            "weights that are a link out of the folder",
            [](auto& m) {
                fs::rename(m / "model.safetensors", m.parent_path() / "elsewhere");
                fs::create_symlink("../elsewhere", m / "model.safetensors");
            },
            "leads out of the folder"),
        folderWith(
            "a named pipe in the place of the weights",
            [](auto& m) {
                fs::remove(m / "model.safetensors");
                ::mkfifo((m / "model.safetensors").c_str(), 0600);
            },
            "not a regular file"),
        {"model folder", "one PyTorch file alone", "alone is not a model",
         [](const fs::path& folder) {
             writeText(folder / "pytorch_model.bin", "PK");
             return errorOf(importModel(folder / "pytorch_model.bin", folder / "model"));
         }},
        {"model folder", "a name that is not there", "no such file",
         [](const fs::path& folder) {
             return errorOf(importModel(folder / "nothing", folder / "model"));
         }},
    };
}

std::vector<Planted> ggufCases()
{
    return {
        gguf("an architecture that is not known", "llama", "lamma", "'lamma'"),
        gguf("no number of layers", "llama.block_count", "llama.block_kount",
             "'llama.block_count' is missing"),
        gguf("no epsilon", "layer_norm_rms_epsilon", "layer_norm_rms_epsilom",
             "layer_norm_rms_epsilon"),
        gguf("no table of tokens", "token_embd.weight", "token_embd.weighd", "'token_embd.weight'"),
        gguf("a weight missing", "blk.1.ffn_up.weight", "blk.7.ffn_up.weight",
             "blk.1.ffn_up.weight"),
        gguf("no tokenizer", "tokenizer.ggml.tokens", "tokenizer.ggml.tokenz", "no tokenizer"),
        gguf("an unknown pre-tokenizer", "gpt-2", "gpt-9", "gpt-9"),
    };
}

} // namespace

std::vector<Planted> modelCases()
{
    std::vector<Planted> all;
    for (auto* more : {configCases, ggufCases, folderCases}) {
        auto cases = more();
        std::ranges::move(cases, std::back_inserter(all));
    }
    return all;
}

} // namespace fettle::hostile

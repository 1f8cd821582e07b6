#include "base/json.h"
#include "fuzz/fuzz_target.h"
#include "tensor/file_helpers.h"
#include "tensor/files/ggml_types.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace fettle::fuzz {

namespace {

namespace fs = std::filesystem;
using testing::raw;

fs::path golden(const std::string& name)
{
    return fs::path(FETTLE_SOURCE_DIR) / "tests/golden" / name;
}
Json goldenJson(const std::string& name) { return readJsonFile(golden(name)).value(); }

std::vector<std::string> safetensorsSeeds()
{
    std::vector<std::string> seeds;
    const Json all = goldenJson("files.json");
    for (const auto& entry : all["safetensors"])
        seeds.push_back(testing::fromHex(entry["file"]));
    seeds.push_back(testing::safetensorsFile(
        R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F8_E4M3","shape":[],"data_offsets":[4,5]}})",
        "12345"));
    return seeds;
}

/// The keys of a tokenizer of seven tokens.
void addWords(testing::GgufBuilder& words)
{
    using Builder = testing::GgufBuilder;
    const auto list = [](const std::vector<std::string>& items) {
        std::string out = raw<std::uint32_t>(8) + raw<std::uint64_t>(items.size());
        for (const auto& item : items)
            out += Builder::text(item);
        return out;
    };
    words.key("tokenizer.ggml.model", 8, Builder::text("gpt2"))
        .key("tokenizer.ggml.pre", 8, Builder::text("smollm"))
        .key("tokenizer.ggml.tokens", 9, list({"<s>", "H", "e", "l", "o", "el", "lo"}))
        .key("tokenizer.ggml.token_type", 9,
             raw<std::uint32_t>(5) + raw<std::uint64_t>(7) + raw(3) + raw(1) + raw(1) + raw(1) +
                 raw(1) + raw(1) + raw(1))
        .key("tokenizer.ggml.merges", 9, list({"e l", "l o"}))
        .key("tokenizer.ggml.bos_token_id", 4, raw<std::uint32_t>(0))
        .key("tokenizer.ggml.add_bos_token", 7, "\1")
        .key("tokenizer.chat_template", 8, Builder::text("{{ messages[0].content }}"));
}

using Numbers = std::map<std::string, std::uint32_t>;
using Shapes = std::vector<std::pair<std::string, std::vector<std::uint64_t>>>;

/// A whole model with keys and tensors of an architecture.
std::string modelOf(const std::string& architecture, const Numbers& numbers,
                    const std::string& epsilon, const Shapes& shapes)
{
    testing::GgufBuilder model;
    model.key("general.architecture", 8, testing::GgufBuilder::text(architecture));
    for (const auto& [name, value] : numbers)
        model.key(architecture + "." + name, 4, raw(value));
    model.key(architecture + ".attention." + epsilon, 6, raw(1e-5f));
    addWords(model);
    std::uint64_t offset = 0;
    for (const auto& [name, dims] : shapes) {
        model.tensor(name, dims, 0, offset);
        std::uint64_t values = 1;
        for (const auto size : dims)
            values *= size;
        offset += (values * 4 + 31) / 32 * 32;
    }
    model.data = std::string(offset, '\x3c');
    return model.file();
}

// Tensors of one layer of eight numbers, for each kind of model.

const Shapes kDecoder{{"token_embd.weight", {8, 7}},    {"blk.0.attn_norm.weight", {8}},
                      {"blk.0.attn_q.weight", {8, 8}},  {"blk.0.attn_k.weight", {8, 4}},
                      {"blk.0.attn_v.weight", {8, 4}},  {"blk.0.attn_output.weight", {8, 8}},
                      {"blk.0.ffn_norm.weight", {8}},   {"blk.0.ffn_gate.weight", {8, 16}},
                      {"blk.0.ffn_up.weight", {8, 16}}, {"blk.0.ffn_down.weight", {16, 8}},
                      {"output_norm.weight", {8}}};

Shapes encoderShapes()
{
    Shapes shapes{{"token_embd.weight", {8, 7}},
                  {"position_embd.weight", {8, 64}},
                  {"token_types.weight", {8, 1}}};
    for (const auto& [name, dims] : Shapes{{"token_embd_norm", {8}},
                                           {"blk.0.attn_q", {8, 8}},
                                           {"blk.0.attn_k", {8, 8}},
                                           {"blk.0.attn_v", {8, 8}},
                                           {"blk.0.attn_output", {8, 8}},
                                           {"blk.0.attn_output_norm", {8}},
                                           {"blk.0.ffn_up", {8, 16}},
                                           {"blk.0.ffn_down", {16, 8}},
                                           {"blk.0.layer_output_norm", {8}}}) {
        shapes.push_back({name + ".weight", dims});
        shapes.push_back({name + ".bias", {dims.back()}});
    }
    return shapes;
}

Shapes stacksShapes()
{
    Shapes shapes{{"token_embd.weight", {8, 7}}};
    for (const std::string stack : {"enc.", "dec."}) {
        const auto add = [&](const std::string& name, std::vector<std::uint64_t> dims) {
            shapes.push_back({stack + name + ".weight", std::move(dims)});
        };
        for (const std::string part : {"blk.0.attn_", "blk.0.cross_attn_"}) {
            if (stack == "enc." && part == "blk.0.cross_attn_")
                continue;
            add(part + "norm", {8});
            for (const char* name : {"q", "k", "v", "o"})
                add(part + name, {8, 8});
        }
        add("blk.0.attn_rel_b", {2, 8});
        add("blk.0.ffn_norm", {8});
        add("blk.0.ffn_up", {8, 16});
        add("blk.0.ffn_down", {16, 8});
        add("output_norm", {8});
    }
    return shapes;
}

std::vector<std::string> smallestModels()
{
    const auto numbers = [](const std::string& name, std::uint32_t value) {
        return Numbers{{"block_count", 1},          {"context_length", 64},
                       {"embedding_length", 8},     {"feed_forward_length", 16},
                       {"attention.head_count", 2}, {name, value}};
    };
    return {
        modelOf("llama", numbers("attention.head_count_kv", 1), "layer_norm_rms_epsilon", kDecoder),
        modelOf("bert", numbers("vocab_size", 7), "layer_norm_epsilon", encoderShapes()),
        modelOf("t5", numbers("attention.relative_buckets_count", 8), "layer_norm_rms_epsilon",
                stacksShapes())};
}

/// One tensor of each quantisation, and keys of each kind.
std::vector<std::string> ggufSeeds()
{
    using Builder = testing::GgufBuilder;
    auto seeds = smallestModels();
    for (std::uint32_t id = 0; id < 64; ++id) {
        const auto* type = tensor::ggmlTypeInfo(id);
        if (!type || !type->readable)
            continue;
        Builder builder;
        builder.key("general.architecture", 8, Builder::text("llama"));
        builder.tensor("x.weight", {type->values, 2}, id, 0);
        builder.data = std::string(type->bytes * 2, '\x3c');
        seeds.push_back(builder.file());
    }
    Builder kinds;
    for (const auto& [kind, size] : std::map<std::uint32_t, int>{{0, 1},
                                                                 {1, 1},
                                                                 {2, 2},
                                                                 {3, 2},
                                                                 {4, 4},
                                                                 {5, 4},
                                                                 {6, 4},
                                                                 {7, 1},
                                                                 {10, 8},
                                                                 {11, 8},
                                                                 {12, 8}})
        kinds
            .key("k" + std::to_string(kind), kind,
                 std::string(static_cast<std::size_t>(size), '\1'))
            .key("l" + std::to_string(kind), 9,
                 raw(kind) + raw<std::uint64_t>(2) +
                     std::string(static_cast<std::size_t>(2 * size), '\1'));
    kinds.key("general.alignment", 4, raw<std::uint32_t>(64));
    kinds.alignment = 64;
    seeds.push_back(kinds.file());
    Builder words;
    addWords(words);
    seeds.push_back(words.file());
    return seeds;
}

std::vector<std::string> torchSeeds()
{
    std::vector<std::string> seeds;
    const Json all = goldenJson("torch_files.json");
    for (const char* list : {"honest", "hostile"}) {
        for (const auto& entry : all[list])
            seeds.push_back(testing::fromHex(entry["file"]));
    }
    return seeds;
}

/// The vocabulary cut to what the first few merges need, so that a run is quick.
void shrink(Json& model)
{
    constexpr std::size_t kMerges = 40, kPieces = 90;
    Json& vocab = model["vocab"];
    if (vocab.is_array()) {
        if (vocab.size() > kPieces)
            vocab.erase(vocab.begin() + kPieces, vocab.end());
        return;
    }
    std::set<std::string> kept;
    if (model.contains("merges")) {
        Json& merges = model["merges"];
        if (merges.size() > kMerges)
            merges.erase(merges.begin() + kMerges, merges.end());
        for (const auto& merge : merges) {
            const bool pair = merge.is_array();
            const std::string text = pair ? "" : merge.get<std::string>();
            const std::string a =
                pair ? merge[0].get<std::string>() : text.substr(0, text.find(' '));
            const std::string b =
                pair ? merge[1].get<std::string>() : text.substr(text.find(' ') + 1);
            kept.insert({a, b, a + b});
        }
    }
    Json small = Json::object();
    for (const auto& [token, id] : vocab.items()) {
        if (kept.contains(token) || token.size() < 2 || small.size() < kPieces)
            small[token] = id;
    }
    vocab = small;
}

std::vector<Json> tokenizers()
{
    std::vector<Json> all;
    for (const char* file : {"text_variants.json", "text_models.json"}) {
        const Json json = goldenJson(file);
        for (const auto& [name, entry] : json.items()) {
            if (!entry.is_object() || !entry.contains("tokenizer"))
                continue;
            all.push_back(entry["tokenizer"]);
            shrink(all.back()["model"]);
        }
    }
    return all;
}

std::vector<std::string> tokenizerSeeds()
{
    std::vector<std::string> seeds;
    for (const auto& tokenizer : tokenizers())
        seeds.push_back(tokenizer.dump());
    return seeds;
}

std::vector<std::string> templateSeeds()
{
    std::vector<std::string> seeds;
    for (const char* file : {"text_jinja.json", "text_chat.json"}) {
        const Json json = goldenJson(file);
        const auto add = [&](const Json& entry) {
            if (entry.is_object() && entry.contains("source"))
                seeds.push_back(entry["source"]);
        };
        for (const auto& [name, entry] : json.items()) {
            add(entry);
            for (const auto& inner : entry.is_array() ? entry : Json::array())
                add(inner);
        }
    }
    return seeds;
}

std::vector<std::string> configSeeds()
{
    std::vector<std::string> seeds;
    const auto folder = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures";
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().filename() == "config.json")
            seeds.push_back(readFile(entry.path()).value());
    }
    std::sort(seeds.begin(), seeds.end());
    const auto tiny = folder / "tiny_llama";
    seeds.push_back(joinedParts({readFile(tiny / "config.json").value(),
                                 readFile(tiny / "generation_config.json").value()}));
    return seeds;
}

std::vector<std::string> adapterSeeds()
{
    std::vector<std::string> seeds{
        R"({"peft_type":"LORA","task_type":"CAUSAL_LM","r":8,"lora_alpha":16,"target_modules":)"
        R"(["q_proj","v_proj"],"bias":"none","base_model_name_or_path":"x","use_rslora":false})",
        R"({"peft_type":"LORA","r":4,"lora_alpha":4,"target_modules":".*\\.(q|k)_proj","rank_pattern":)"
        R"({"^model.layers.0.*q_proj":2},"alpha_pattern":{"k_proj":1.5},"use_dora":true,)"
        R"("layers_to_transform":[0,2],"layers_pattern":"layers","modules_to_save":["lm_head"]})",
        R"({"peft_type":"LORA","target_modules":"all-linear","exclude_modules":"lm_.*","bias":"all"})",
        R"({"peft_type":"IA3","target_modules":null})"};
    const auto folder = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/adapters";
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().filename() == "adapter_config.json")
            seeds.push_back(readFile(entry.path()).value());
    }
    return seeds;
}

std::vector<std::string> vocabularySeeds()
{
    std::vector<std::string> seeds;
    for (const auto& tokenizer : tokenizers()) {
        const Json& model = tokenizer["model"];
        std::string lines;
        if (model["vocab"].is_object() && model.contains("merges")) {
            for (const auto& merge : model["merges"])
                lines += (merge.is_array()
                              ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                              : merge.get<std::string>()) +
                         "\n";
            seeds.push_back(joinedParts(
                {R"({"tokenizer_class":"RobertaTokenizer","bos_token":"<s>","add_bos_token":true,)"
                 R"("added_tokens_decoder":{"3":{"content":"<s>","special":true}}})",
                 model["vocab"].dump(), "#version: 0.2\n" + lines, "",
                 R"({"eos_token":{"content":"</s>"}})", R"({"<x>":900})"}));
        } else if (model["vocab"].is_object()) {
            for (const auto& [token, id] : model["vocab"].items())
                lines += token + "\n";
            seeds.push_back(
                joinedParts({R"({"do_lower_case":true,"strip_accents":null})", "", "", lines}));
        }
        if (seeds.size() > 12)
            break;
    }
    return seeds;
}

std::vector<std::string> sentencePieceSeeds()
{
    const std::string config = R"({"added_tokens_decoder":{"1":{"content":"<s>","special":true},)"
                               R"("5000":{"content":"<x>","lstrip":true}},"legacy":false})";
    std::vector<std::string> seeds;
    for (const char* name : {"text_bpe.model", "text_unigram.model"}) {
        seeds.push_back(readFile(golden(name)).value());
        seeds.push_back(joinedParts({seeds.back(), config}));
    }
    return seeds;
}

} // namespace

std::vector<std::string> seedsOf(std::string_view target)
{
    using Maker = std::vector<std::string> (*)();
    static const std::map<std::string_view, Maker> kMakers{
        {"safetensors", safetensorsSeeds},
        {"gguf", ggufSeeds},
        {"torch", torchSeeds},
        {"tokenizer", tokenizerSeeds},
        {"template", templateSeeds},
        {"config", configSeeds},
        {"vocabulary", vocabularySeeds},
        {"adapter", adapterSeeds},
        {"sentencepiece", sentencePieceSeeds},
    };
    return kMakers.at(target)();
}

} // namespace fettle::fuzz

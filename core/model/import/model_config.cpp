#include "model/import/model_config.h"

#include "base/checked.h"
#include "base/text.h"
#include "model/architectures/family.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxConfigBytes = 16u << 20;

/// The family of the file; nullptr after a refusal.
const Family* readFamily(ConfigReader& reader)
{
    std::string type = reader.text("model_type", "");
    const auto& config = reader.object();
    if (type.empty() && config.contains("architectures") && config["architectures"].is_array() &&
        !config["architectures"].empty() && config["architectures"][0] == "LlamaForCausalLM")
        type = "llama";
    if (type.empty()) {
        reader.refuse("the key 'model_type' is missing, so the model's family is not known");
        return nullptr;
    }
    const auto* family = findFamily(type);
    if (!family)
        reader.refuse(
            fmt::format("the model family '{}' is not known here; the nearest known one is '{}'",
                        quotable(type, 60), nearestFamily(std::string_view(type).substr(0, 60))),
            ErrorCode::Unsupported, "Choose a model of a known family, such as llama or qwen3");
    return family;
}

void readTokens(ConfigReader& reader, ConfigReader& generation, ModelConfig& config)
{
    for (auto* source : {&generation, &reader}) {
        for (const std::int32_t id : source->ids("eos_token_id", config.vocab)) {
            if (std::find(config.eosIds.begin(), config.eosIds.end(), id) == config.eosIds.end())
                config.eosIds.push_back(id);
        }
        const auto bos = source->ids("bos_token_id", config.vocab);
        const auto pad = source->ids("pad_token_id", config.vocab);
        if (!bos.empty() && !config.bosId)
            config.bosId = bos[0];
        if (!pad.empty() && !config.padId)
            config.padId = pad[0];
    }
}

/// The language part of a model that reads pictures too, as a configuration of its own: what
/// transformers calls the text model. Nothing for other models.
std::optional<Json> languagePart(const Json& json)
{
    const auto type = json.find("model_type");
    const auto text = json.find("text_config");
    if (type == json.end() || *type != "gemma3" || text == json.end() || !text->is_object())
        return std::nullopt;
    // Files leave out what equals the defaults of the reference.
    Json part = {{"vocab_size", 262208},       {"hidden_size", 2304},
                 {"intermediate_size", 9216},  {"num_hidden_layers", 26},
                 {"num_attention_heads", 8},   {"num_key_value_heads", 4},
                 {"head_dim", 256},            {"max_position_embeddings", 131072},
                 {"tie_word_embeddings", json.value("tie_word_embeddings", Json(true))}};
    part.update(*text);
    part["model_type"] = "gemma3_text";
    part["architectures"] = {"Gemma3ForCausalLM"};
    for (const char* key : {"eos_token_id", "bos_token_id", "pad_token_id", "quantization_config",
                            "dtype", "torch_dtype"}) {
        if (!part.contains(key) && json.contains(key))
            part[key] = json[key];
    }
    return part;
}

/// Numbers that are possible alone and not together: sizes that pass 64 bits, and a table of weights
/// that would fill the memory before a file is opened.
void checkTogether(ConfigReader& reader, const ModelConfig& config)
{
    constexpr std::uint64_t kMaxWide = 1u << 24, kMaxParts = 100'000;
    const auto number = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
    for (const auto heads : {config.heads, config.kvHeads}) {
        if (!(Checked(number(heads)) * number(config.headDim)).within(kMaxWide))
            reader.refuse(fmt::format("{} heads of {} values are together wider than {}", heads,
                                      config.headDim, kMaxWide));
    }
    if (!(Checked(number(config.layers)) * number(config.experts.count)).within(kMaxParts))
        reader.refuse(fmt::format("{} layers of {} experts are more than {} parts", config.layers,
                                  config.experts.count, kMaxParts));
}

} // namespace

std::string WeightNames::inLayer(std::int64_t number, const std::string& part) const
{
    return part.empty() ? std::string() : fmt::format("{}{}.{}", layer, number, part);
}

double ModelConfig::scaleOfLayer(std::int64_t number) const
{
    const double scale =
        attentionScale != 0 ? attentionScale : 1 / std::sqrt(static_cast<double>(headDim));
    return scaleByLayer ? scale / static_cast<double>(number + 1) : scale;
}

Result<ModelConfig> parseModelConfig(const Json& json, const Json& generationJson,
                                     const std::string& where)
{
    const Json empty = Json::object();
    if (!json.is_object())
        return Error{ErrorCode::InvalidInput, "the configuration is not a JSON object", where,
                     "Fetch the model's folder again"};
    const auto part = languagePart(json);
    const Json& own = part ? *part : json;
    ConfigReader reader(own, where);
    ConfigReader generation(generationJson.is_object() ? generationJson : empty,
                            "generation_config.json");
    if (reader.has("quantization_config"))
        reader.refuse("the weights are stored in a compressed form (quantization_config)",
                      ErrorCode::Unsupported, "Choose the uncompressed version of the model");
    ModelConfig config;
    const auto* family = readFamily(reader);
    if (reader.problem())
        return *reader.problem();
    config.family = family->type;
    config.raw = own;
    config.wrapped = part.has_value();
    family->read(reader, config);
    checkTogether(reader, config);
    config.tieEmbeddings = reader.flag("tie_word_embeddings", config.tieEmbeddings);
    readTokens(reader, generation, config);
    if (reader.problem())
        return *reader.problem();
    if (generation.problem())
        return *generation.problem();
    return config;
}

Result<ModelConfig> readModelConfig(const fs::path& folder)
{
    const auto path = folder / "config.json";
    std::error_code ec;
    if (!fs::exists(path, ec))
        return Error{ErrorCode::NotFound, "the folder has no config.json", folder.string(),
                     "Choose the folder of a model in Hugging Face form"};
    auto config = readJsonFile(path, kMaxConfigBytes);
    if (!config)
        return at(config.error(), folder.string());
    Json generation;
    if (fs::exists(folder / "generation_config.json", ec)) {
        auto read = readJsonFile(folder / "generation_config.json", kMaxConfigBytes);
        if (!read)
            return at(read.error(), folder.string());
        generation = std::move(*read);
    }
    return parseModelConfig(*config, generation, path.string());
}

Result<void> requireWriter(const ModelConfig& config, const std::string& where)
{
    if (config.kind != ModelKind::Encoder)
        return {};
    return Error{
        ErrorCode::Unsupported,
        fmt::format("the model is an encoder ({}): it reads and compares texts, but cannot "
                    "write answers",
                    config.family),
        where, "Choose a model that writes, such as llama, qwen3 or t5"};
}

} // namespace fettle::model

#include "model/import/model_config.h"

#include "model/architectures/family.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

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
                        type.substr(0, 60), nearestFamily(type.substr(0, 60))),
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

/// Collects the weights of one model in the order of its layers.
class WeightList
{
public:
    explicit WeightList(const ModelConfig& config)
        : m_config(config)
    {
    }

    void table(const std::string& name, std::int64_t rows, std::int64_t columns)
    {
        m_weights.push_back({name + ".weight", {rows, columns}});
    }
    void norm(const std::string& name, std::int64_t size)
    {
        if (name.empty())
            return;
        m_weights.push_back({name + ".weight", {size}});
        if (m_config.norm == NormKind::Layer)
            m_weights.push_back({name + ".bias", {size}});
    }
    void linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias,
                bool site = true)
    {
        std::vector<std::int64_t> shape{out, in};
        if (m_config.transposedWeights)
            std::swap(shape[0], shape[1]);
        m_weights.push_back({name + ".weight", shape, site});
        if (bias)
            m_weights.push_back({name + ".bias", {out}});
    }
    void attention(std::int64_t number)
    {
        const auto& c = m_config;
        const auto at = [&](const std::string& part) { return c.names.inLayer(number, part); };
        const auto queries = c.heads * c.headDim, keys = c.kvHeads * c.headDim;
        if (c.qkv == QkvForm::Apart) {
            linear(at(c.names.q), queries, c.hidden, c.attentionBias);
            linear(at(c.names.k), keys, c.hidden, c.attentionBias);
            linear(at(c.names.v), keys, c.hidden, c.attentionBias);
        } else {
            linear(at(c.names.qkv), queries + 2 * keys, c.hidden, c.attentionBias);
        }
        if (c.headNorm != HeadNorm::None) {
            const bool whole = c.headNorm == HeadNorm::Whole;
            norm(at(c.names.qNorm), whole ? queries : c.headDim);
            norm(at(c.names.kNorm), whole ? keys : c.headDim);
        }
        linear(at(c.names.o), c.hidden, queries, c.outputBias);
    }
    void feedForward(std::int64_t number)
    {
        const auto& c = m_config;
        const auto at = [&](const std::string& part) { return c.names.inLayer(number, part); };
        if (!c.names.gateUp.empty()) {
            linear(at(c.names.gateUp), 2 * c.intermediate, c.hidden, c.mlpBias);
        } else {
            if (c.gated())
                linear(at(c.names.gate), c.intermediate, c.hidden, c.mlpBias);
            linear(at(c.names.up), c.intermediate, c.hidden, c.mlpBias);
        }
        linear(at(c.names.down), c.hidden, c.intermediate, c.mlpBias);
    }
    void experts(std::int64_t number)
    {
        const auto& c = m_config;
        linear(c.names.inLayer(number, c.names.router), c.experts.count, c.hidden, false, false);
        for (std::int64_t e = 0; e < c.experts.count; ++e) {
            const auto at = [&](const std::string& part) {
                return c.names.inLayer(number, fmt::format(fmt::runtime(part), e));
            };
            linear(at(c.names.expertGate), c.experts.intermediate, c.hidden, false, false);
            linear(at(c.names.expertUp), c.experts.intermediate, c.hidden, false, false);
            linear(at(c.names.expertDown), c.hidden, c.experts.intermediate, false, false);
        }
    }
    void layer(std::int64_t number)
    {
        const auto& names = m_config.names;
        norm(names.inLayer(number, names.attentionNorm), m_config.hidden);
        attention(number);
        norm(names.inLayer(number, names.afterAttention), m_config.hidden);
        norm(names.inLayer(number, names.mlpNorm), m_config.hidden);
        if (m_config.layer[static_cast<std::size_t>(number)].sparse)
            experts(number);
        else
            feedForward(number);
        norm(names.inLayer(number, names.afterMlp), m_config.hidden);
    }
    std::vector<WeightShape> take() { return std::move(m_weights); }

private:
    const ModelConfig& m_config;
    std::vector<WeightShape> m_weights;
};

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
    ConfigReader reader(json, where);
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
    config.raw = json;
    family->read(reader, config);
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

std::vector<WeightShape> expectedWeights(const ModelConfig& config)
{
    WeightList list(config);
    list.table(config.names.embedding, config.vocab, config.hidden);
    if (config.learnedPositions)
        list.table(config.names.positions, config.maxPositions, config.hidden);
    for (std::int64_t number = 0; number < config.layers; ++number)
        list.layer(number);
    list.norm(config.names.finalNorm, config.hidden);
    auto weights = list.take();
    if (!config.tieEmbeddings)
        weights.push_back({config.names.head + ".weight", {config.vocab, config.hidden}});
    if (config.headBias)
        weights.push_back({config.names.head + ".bias", {config.vocab}});
    return weights;
}

std::int64_t ModelConfig::parameters() const
{
    std::int64_t total = 0;
    for (const auto& weight : expectedWeights(*this)) {
        std::int64_t size = 1;
        for (const auto dimension : weight.shape)
            size *= dimension;
        total += size;
    }
    return total;
}

} // namespace fettle::model

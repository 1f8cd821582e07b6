#include "model/import/stored_names.h"

#include <fmt/format.h>

namespace fettle::model {

namespace {

/// Heads of the published encoders that are kept as they are.
constexpr const char* kHeads[] = {"pre_classifier",      "classifier", "classifier.dense",
                                  "classifier.out_proj", "qa_outputs", "cls.seq_relationship"};

/// "x.weight" -> "weight"; the part behind the last dot.
std::string_view lastPart(std::string_view name) { return name.substr(name.rfind('.') + 1); }

void addOldNorm(std::vector<std::string>& names, const std::string& name)
{
    const std::string stem = name.substr(0, name.rfind('.'));
    if (stem.ends_with("LayerNorm"))
        names.push_back(stem + (lastPart(name) == "weight" ? ".gamma" : ".beta"));
}

void findHeads(ModelConfig& config, const StoredWeights& stored)
{
    auto& encoder = config.encoder;
    encoder.pooler =
        !config.names.pooler.empty() && stored.shapeOf(config.names.pooler + ".weight");
    encoder.languageHead = stored.shapeOf(config.names.headDense + ".weight") != nullptr;
    encoder.heads.clear();
    for (const std::string head : kHeads) {
        for (const char* part : {".weight", ".bias"}) {
            if (const auto* shape = stored.shapeOf(head + part))
                encoder.heads.push_back({head + part, *shape});
        }
    }
}

/// Whether the head is the embedding table.
std::vector<std::string> findTie(ModelConfig& config, const StoredWeights& stored)
{
    const std::string head = config.names.head + ".weight";
    const bool own = stored.shapeOf(head) != nullptr;
    if (!config.tieEmbeddings && !own) {
        config.tieEmbeddings = true;
        return {
            fmt::format("there is no {}: the embedding table is used as the output head", head)};
    }
    // Files often repeat a tied table; where the two differ the file's statement is wrong.
    const std::string table = config.names.embedding + ".weight";
    const auto* tableShape = stored.shapeOf(table);
    if (config.tieEmbeddings && own && tableShape && *stored.shapeOf(head) == *tableShape &&
        !stored.same(head, table)) {
        config.tieEmbeddings = false;
        return {
            fmt::format("{} differs from the embedding table, so it is used as the output head, "
                        "although config.json says that they are one",
                        head)};
    }
    return {};
}

/// Masked-language heads name their bias twice; new files of untied heads hold two different ones,
/// of which the table's is used.
void findHeadBias(ModelConfig& config, const StoredWeights& stored)
{
    auto& names = config.names;
    const std::string usual = names.headBias + ".bias", tables = names.head + ".bias";
    if (usual == tables || !stored.shapeOf(tables) ||
        (config.tieEmbeddings && stored.same(usual, tables)))
        return;
    names.headBias = names.head;
    if (const auto* unused = stored.shapeOf(usual))
        config.encoder.heads.push_back({usual, *unused});
}

} // namespace

std::vector<std::string> storedNames(const ModelConfig& config, const std::string& name)
{
    std::vector<std::string> names{name};
    if (config.kind == ModelKind::Encoder) {
        if (name == config.names.headBias + ".bias")
            names.push_back(config.names.head + ".bias");
        addOldNorm(names, name);
    }
    if (config.kind == ModelKind::EncoderDecoder && name == config.names.embedding + ".weight") {
        names.push_back("encoder.embed_tokens.weight");
        names.push_back("decoder.embed_tokens.weight");
    }
    if (config.wrapped) { // "model.x" was "language_model.model.x" and is "model.language_model.x"
        for (std::size_t i = 0, count = names.size(); i < count; ++i) {
            names.push_back("language_model." + names[i]);
            if (names[i].starts_with("model."))
                names.push_back("model.language_model." + names[i].substr(6));
        }
    }
    const auto& prefix = config.names.prefix;
    for (std::size_t i = 0, count = names.size(); i < count && !prefix.empty(); ++i) {
        if (names[i].starts_with(prefix))
            names.push_back(names[i].substr(prefix.size()));
    }
    return names;
}

std::vector<std::string> completeFromWeights(ModelConfig& config, const StoredWeights& stored)
{
    if (config.kind != ModelKind::Encoder)
        return findTie(config, stored);
    findHeads(config, stored);
    if (!config.encoder.languageHead)
        return {};
    auto notes = findTie(config, stored);
    findHeadBias(config, stored);
    return notes;
}

} // namespace fettle::model

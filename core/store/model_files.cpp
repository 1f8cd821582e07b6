// Records of models: models/<name>.json beside the folder models/<name>/, or naming a folder
// elsewhere.

#include "base/atomic_file.h"
#include "base/json.h"
#include "store/workspace_parts.h"

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

bool isInside(const fs::path& folder, const fs::path& base)
{
    const fs::path relative = folder.lexically_normal().lexically_relative(base.lexically_normal());
    return !relative.empty() && *relative.begin() != "..";
}

ModelRecord parseModel(const Json& json)
{
    ModelRecord record;
    record.name = json.at("name").get<std::string>();
    record.folder = json.at("folder").get<std::string>();
    record.family = json.value("family", "");
    record.parameters = json.value("parameters", std::int64_t{0});
    record.contextLength = json.value("contextLength", std::int64_t{0});
    record.bytes = json.value("bytes", std::uint64_t{0});
    record.licence = json.value("licence", "");
    record.digest = json.value("digest", "");
    record.addedAt = json.value("addedAt", std::int64_t{0});
    record.info = json.value("info", Json::object());
    return record;
}

} // namespace

Result<ModelRecord> readModelFile(const fs::path& workspace, const fs::path& file)
{
    auto json = readJsonFile(file, 16u << 20);
    if (!json)
        return json.error();
    try {
        ModelRecord record = parseModel(*json);
        if (record.folder.is_relative())
            record.folder = (workspace / record.folder).lexically_normal();
        return record;
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "the record of the model is damaged",
                     ("models" / file.filename()).string(),
                     "Remove this file and import the model again"};
    }
}

Result<void> writeModelFile(const fs::path& workspace, const ModelRecord& record)
{
    std::error_code ec;
    const fs::path absolute = fs::absolute(record.folder, ec).lexically_normal();
    const bool inside = isInside(absolute, workspace);
    const OrderedJson json = {
        {"name", record.name},
        {"folder",
         (inside ? absolute.lexically_relative(workspace.lexically_normal()) : absolute).string()},
        {"family", record.family},
        {"parameters", record.parameters},
        {"contextLength", record.contextLength},
        {"bytes", record.bytes},
        {"licence", record.licence},
        {"digest", record.digest},
        {"addedAt", record.addedAt},
        {"info", OrderedJson(record.info)}};
    return writeFileAtomically(workspace / "models" / (record.name + ".json"),
                               json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<ModelRecord> describeModelFolder(const fs::path& folder)
{
    auto config = readJsonFile(folder / "config.json", 16u << 20);
    if (!config)
        return config.error();
    if (!config->is_object() || !config->contains("model_type") ||
        !(*config)["model_type"].is_string())
        return Error{ErrorCode::InvalidInput,
                     "config.json does not say which family of model this is",
                     folder.filename().string(), "Import the model again"};
    ModelRecord record;
    record.name = folder.filename().string();
    record.folder = folder;
    record.family = (*config)["model_type"].get<std::string>();
    if (const auto found = config->find("max_position_embeddings");
        found != config->end() && found->is_number_integer())
        record.contextLength = found->get<std::int64_t>();
    std::error_code ec;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code sizeError;
        if (it->is_regular_file(sizeError))
            record.bytes += it->file_size(sizeError);
    }
    return record;
}

} // namespace fettle::store

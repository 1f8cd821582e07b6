#include "model/import/adapter.h"
#include "model/import/adapter_merge.h"
#include "recipes/front_door.h"
#include "recipes/model_intake.h"

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

/// The last part of the path, without ".gguf".
std::string nameFrom(const fs::path& path)
{
    std::string name =
        path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
    if (name.ends_with(".gguf"))
        name.resize(name.size() - 5);
    return name;
}

/// Brings a GGUF file, a Hugging Face folder, or an adapter with its base into the workspace.
class ModelImportJob final : public jobs::Job
{
public:
    ModelImportJob(std::shared_ptr<store::Workspace> workspace, fs::path path, std::string name,
                   std::string base)
        : m_workspace(std::move(workspace))
        , m_path(std::move(path))
        , m_name(std::move(name))
        , m_base(std::move(base))
    {
        if (m_name.empty())
            m_name = nameFrom(m_path);
    }

    std::string title() const override { return "import a model"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        Json info = {{"origin", m_path.filename().string()}};
        if (!m_base.empty())
            return takeInAdapter(*m_workspace, m_name, m_path, m_base, std::move(info), context);
        if (model::isAdapter(m_path))
            return Error{ErrorCode::InvalidInput, "the folder holds an adapter, not a model",
                         m_path.filename().string(),
                         "Import its base first, then name the base with the adapter (--base)"};
        const auto make = [&](const fs::path& folder, const model::ImportProgress& progress,
                              std::stop_token stop) {
            return model::importModel(m_path, folder, progress, std::move(stop));
        };
        return takeIn(*m_workspace, m_name, std::move(info), make, context);
    }

private:
    std::shared_ptr<store::Workspace> m_workspace;
    fs::path m_path;
    std::string m_name, m_base;
};

/// A copy of a model with further tokens.
class GrowJob final : public jobs::Job
{
public:
    GrowJob(std::shared_ptr<store::Workspace> workspace, std::string model, std::string name,
            model::VocabularyGrowth growth)
        : m_workspace(std::move(workspace))
        , m_model(std::move(model))
        , m_name(std::move(name))
        , m_growth(std::move(growth))
    {
    }

    std::string title() const override { return "add tokens to a model"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        const auto record = m_workspace->model(m_model);
        if (!record)
            return record.error();
        Json tokens = Json::array();
        const auto make = [&](const fs::path& folder, const model::ImportProgress& progress,
                              std::stop_token stop) -> Result<model::ImportedModel> {
            auto grown =
                model::growVocabulary(record->folder, folder, m_growth, progress, std::move(stop));
            if (!grown)
                return grown.error();
            for (const auto& token : grown->added.tokens)
                tokens.push_back({{"id", token.id}, {"new", token.isNew}});
            return std::move(grown->model);
        };
        auto end = takeIn(*m_workspace, m_name,
                          {{"origin", m_model}, {"grownFrom", record->digest}}, make, context);
        if (end) {
            if (auto* finished = std::get_if<jobs::Finished>(&*end))
                finished->result["tokens"] = tokens;
        }
        return end;
    }

private:
    std::shared_ptr<store::Workspace> m_workspace;
    std::string m_model, m_name;
    model::VocabularyGrowth m_growth;
};

} // namespace

std::shared_ptr<jobs::Job> makeGrowJob(std::shared_ptr<store::Workspace> workspace,
                                       std::string model, std::string name,
                                       model::VocabularyGrowth growth)
{
    return std::make_shared<GrowJob>(std::move(workspace), std::move(model), std::move(name),
                                     std::move(growth));
}

Result<jobs::JobEnd> takeInAdapter(store::Workspace& workspace, const std::string& name,
                                   const fs::path& adapter, const std::string& base, Json info,
                                   jobs::JobContext& context)
{
    const auto record = workspace.model(base);
    if (!record)
        return record.error();
    const auto folder = model::adapterFolder(adapter);
    if (!folder)
        return folder.error();
    const auto config = model::AdapterConfig::read(*folder);
    if (!config)
        return config.error();
    info["base"] = {
        {"model", base}, {"digest", record->digest}, {"calledByTheAdapter", config->baseModel()}};
    const auto make = [&](const fs::path& target, const model::ImportProgress& progress,
                          std::stop_token stop) {
        return model::mergeAdapter(*folder, record->folder, target, progress, std::move(stop));
    };
    return takeIn(workspace, name, std::move(info), make, context);
}

std::shared_ptr<jobs::Job> makeModelImportJob(std::shared_ptr<store::Workspace> workspace,
                                              fs::path path, std::string name, std::string base)
{
    return std::make_shared<ModelImportJob>(std::move(workspace), std::move(path), std::move(name),
                                            std::move(base));
}

} // namespace fettle::recipes

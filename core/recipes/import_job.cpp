#include "base/clock.h"
#include "base/text.h"
#include "model/import/hf_folder.h"
#include "model/import/import.h"
#include "recipes/front_door.h"
#include "recipes/encode.h"
#include "recipes/loaded_model.h"

#include <fmt/format.h>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

/// Brings a GGUF file or a Hugging Face folder into the workspace.
class ModelImportJob final : public jobs::Job
{
public:
    ModelImportJob(std::shared_ptr<store::Workspace> workspace, fs::path path, std::string name)
        : m_workspace(std::move(workspace)), m_path(std::move(path)), m_name(std::move(name))
    {
    }

    std::string title() const override { return "import a model"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        if (m_name.empty())
            m_name = nameFrom(m_path);
        if (m_workspace->model(m_name))
            return Error{ErrorCode::InvalidInput, "there is a model of this name already", "model " + m_name,
                         "Choose another name with --as, or delete that model first"};
        const auto folder = m_workspace->modelFolder(m_name);
        const auto progress = [&](std::uint64_t done, std::uint64_t total) {
            context.emit(jobs::PhaseChanged{"import the model", static_cast<double>(done) / static_cast<double>(std::max<std::uint64_t>(1, total)),
                                            humanBytes(done) + " of " + humanBytes(total)});
        };
        auto imported = model::importModel(m_path, folder, progress, context.stopToken());
        if (!imported)
            return imported.error();
        auto record = describe(folder, *imported, context);
        if (!record) {
            std::error_code ec;
            fs::remove_all(folder, ec);
            return record.error();
        }
        if (auto added = m_workspace->addModel(*record); !added)
            return added.error();
        return jobs::JobEnd{jobs::Finished{{{"name", record->name},
                                            {"folder", record->folder.string()},
                                            {"family", record->family},
                                            {"parameters", record->parameters},
                                            {"contextLength", record->contextLength},
                                            {"bytes", record->bytes},
                                            {"licence", record->licence},
                                            {"digest", record->digest}}}};
    }

private:
    static std::string nameFrom(const fs::path& path)
    {
        std::string name = path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
        if (name.ends_with(".gguf"))
            name.resize(name.size() - 5);
        return name;
    }

    /// What the model card's front matter states as licence; empty when it states none.
    static std::string licenceOf(const fs::path& folder)
    {
        auto card = readFile(folder / "README.md", 1 << 20);
        if (!card || !card->starts_with("---"))
            return {};
        for (const auto& line : splitOn(card->substr(0, card->find("\n---", 3)), '\n')) {
            if (line.starts_with("license:")) {
                const auto value = trimmed(line.substr(8));
                return value.size() > 1 && value.front() == '"' ? value.substr(1, value.size() - 2) : value;
            }
        }
        return {};
    }

    Result<store::ModelRecord> describe(const fs::path& folder, const model::ImportedModel& imported, jobs::JobContext& context)
    {
        context.emit(jobs::PhaseChanged{"check the model", -1, ""});
        auto files = model::ModelFiles::open(folder);
        if (!files)
            return files.error();
        if (auto encoder = loadEncoder(folder); !encoder)
            return encoder.error();
        auto digest = files->digest();
        if (!digest)
            return digest.error();
        store::ModelRecord record;
        record.name = m_name;
        record.folder = folder;
        record.family = files->config().family;
        record.parameters = files->config().parameters();
        record.contextLength = files->config().maxPositions;
        for (const auto& entry : fs::directory_iterator(folder))
            record.bytes += entry.is_regular_file() ? entry.file_size() : 0;
        record.licence = licenceOf(folder);
        record.digest = *digest;
        record.addedAt = nowMilliseconds();
        record.info = {{"origin", m_path.filename().string()}, {"notes", imported.notes}};
        return record;
    }

    std::shared_ptr<store::Workspace> m_workspace;
    fs::path m_path;
    std::string m_name;
};

} // namespace

std::shared_ptr<jobs::Job> makeModelImportJob(std::shared_ptr<store::Workspace> workspace, fs::path path, std::string name)
{
    return std::make_shared<ModelImportJob>(std::move(workspace), std::move(path), std::move(name));
}

} // namespace fettle::recipes

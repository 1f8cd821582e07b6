#include "recipes/model_intake.h"

#include "base/clock.h"
#include "base/text.h"
#include "model/import/hf_folder.h"
#include "model/import/model_card.h"
#include "recipes/loaded_model.h"

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

Result<store::ModelRecord> describe(const fs::path& folder)
{
    auto files = model::ModelFiles::open(folder);
    if (!files)
        return files.error();
    if (auto encoder = loadEncoder(folder); !encoder)
        return encoder.error();
    auto digest = files->digest();
    if (!digest)
        return digest.error();
    store::ModelRecord record;
    record.folder = folder;
    record.family = files->config().family;
    record.parameters = files->config().parameters();
    record.contextLength = files->config().maxPositions;
    for (const auto& entry : fs::directory_iterator(folder))
        record.bytes += entry.is_regular_file() ? entry.file_size() : 0;
    record.licence = model::readModelCard(folder).licence;
    record.digest = *digest;
    record.addedAt = nowMilliseconds();
    return record;
}

} // namespace

Result<void> checkNameIsFree(const store::Workspace& workspace, const std::string& name)
{
    if (!workspace.model(name))
        return {};
    return Error{ErrorCode::InvalidInput, "there is a model of this name already", "model " + name,
                 "Choose another name (--as), or remove that model first"};
}

Result<jobs::JobEnd> takeIn(store::Workspace& workspace, const std::string& name, Json info,
                            const MakeModel& make, jobs::JobContext& context)
{
    if (auto free = checkNameIsFree(workspace, name); !free)
        return free.error();
    const auto folder = workspace.modelFolder(name);
    const auto progress = [&](std::uint64_t done, std::uint64_t total) {
        context.emit(jobs::PhaseChanged{"import the model",
                                        static_cast<double>(done) /
                                            static_cast<double>(std::max<std::uint64_t>(1, total)),
                                        humanBytes(done) + " of " + humanBytes(total)});
    };
    auto made = make(folder, progress, context.stopToken());
    if (!made)
        return made.error();
    context.emit(jobs::PhaseChanged{"check the model", -1, ""});
    auto record = describe(folder);
    if (!record) {
        std::error_code ec;
        fs::remove_all(folder, ec);
        return record.error();
    }
    record->name = name;
    record->info = std::move(info);
    record->info["notes"] = made->notes;
    if (auto added = workspace.addModel(*record); !added)
        return added.error();
    return jobs::JobEnd{jobs::Finished{{{"name", record->name},
                                        {"folder", record->folder.string()},
                                        {"family", record->family},
                                        {"parameters", record->parameters},
                                        {"contextLength", record->contextLength},
                                        {"bytes", record->bytes},
                                        {"licence", record->licence},
                                        {"digest", record->digest},
                                        {"info", record->info}}}};
}

} // namespace fettle::recipes

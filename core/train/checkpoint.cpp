#include "train/checkpoint.h"

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/text.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace fettle::train {

namespace fs = std::filesystem;
using at::Tensor;

namespace {

constexpr const char* kAdapterFile = "adapter_model.safetensors";
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kPrefix = "base_model.model.";  // PEFT's wrapper in names of adapter tensors
constexpr const char* kPartial = ".partial";          // being written
constexpr const char* kGone = ".gone";                // being deleted
constexpr int kFormat = 1;

std::string folderName(std::int64_t step) { return fmt::format("step-{:07}", step); }

tensor::NamedTensors weightsOf(const methods::Attached& attached, bool adapter)
{
    tensor::NamedTensors out;
    for (const auto& each : attached.trainable())
        out.emplace_back(adapter ? kPrefix + each.name : each.name, each.value.detach());
    return out;
}

Result<void> writeManifest(const fs::path& folder)
{
    Json files = Json::array();
    std::error_code ec;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        auto digest = sha256OfFile(it->path());
        if (!digest)
            return digest.error();
        const auto size = it->file_size(ec);
        if (ec)
            break;
        files.push_back({{"name", it->path().filename().string()}, {"size", size}, {"sha256", *digest}});
    }
    if (ec)
        return Error{ErrorCode::Io, "the save point cannot be read back (" + ec.message() + ")",
                     folder.filename().string(), "Check the disk"};
    const Json manifest = {{"format", kFormat}, {"time", isoTime(nowMilliseconds())}, {"files", files}};
    return writeFileAtomically(folder / "MANIFEST.json", manifest.dump(1));
}

Result<void> writeContents(const fs::path& folder, const methods::Attached& attached, const Adamw& optimizer,
                           const CheckpointInfo& info)
{
    const bool adapter = !info.adapterConfig.is_null();
    if (auto done = tensor::writeTensors(folder / (adapter ? kAdapterFile : kModelFile), weightsOf(attached, adapter)); !done)
        return done;
    if (adapter) {
        if (auto done = writeFileAtomically(folder / "adapter_config.json", info.adapterConfig.dump(2)); !done)
            return done;
    }
    tensor::NamedTensors moments;
    for (const auto& [name, value] : optimizer.state())
        moments.emplace_back(name, value);
    if (auto done = tensor::writeTensors(folder / "optimizer.safetensors", moments); !done)
        return done;
    const Json state = {{"training", toJson(info.state)},
                        {"optimizerSteps", optimizer.steps()},
                        {"fingerprints", info.fingerprints}};
    if (auto done = writeFileAtomically(folder / "state.json", state.dump(1)); !done)
        return done;
    return writeManifest(folder);
}

struct ListedFile
{
    std::string name, digest;
    std::uint64_t size = 0;
};

/// What a manifest lists. Nothing when it is damaged: any value may be of any kind then.
std::optional<std::vector<ListedFile>> readManifest(const fs::path& folder)
{
    const auto manifest = readJsonFile(folder / "MANIFEST.json", 1 << 20);
    if (!manifest || !manifest->is_object() || !manifest->contains("files") || !(*manifest)["files"].is_array())
        return {};
    std::vector<ListedFile> files;
    for (const auto& file : (*manifest)["files"]) {
        if (!file.is_object() || !file.contains("name") || !file["name"].is_string() || !file.contains("sha256")
            || !file["sha256"].is_string() || !file.contains("size") || !file["size"].is_number_unsigned())
            return {};
        files.push_back({file["name"], file["sha256"], file["size"]});
        if (files.back().name.empty() || files.back().name.find('/') != std::string::npos)
            return {};
    }
    return files;
}

/// All files that the manifest names are there in their sizes.
bool looksWhole(const fs::path& folder)
{
    const auto files = readManifest(folder);
    return files && std::ranges::all_of(*files, [&](const ListedFile& file) {
        std::error_code ec;
        return fs::file_size(folder / file.name, ec) == file.size && !ec;
    });
}

/// Takes the folder out of the list first, so that one that is half deleted is never met there.
void removeCheckpoint(const fs::path& folder)
{
    std::error_code ec;
    fs::path gone = folder;
    gone += kGone;
    fs::remove_all(gone, ec);
    fs::rename(folder, gone, ec);
    fs::remove_all(ec ? folder : gone, ec);
}

} // namespace

std::uint64_t checkpointBytes(const methods::Attached& attached)
{
    std::uint64_t values = 0;
    for (const auto& each : attached.trainable())
        values += static_cast<std::uint64_t>(each.value.numel());
    return values * 4 * 3 + values / 5 + (1 << 20);  // weights and two moments in float32, 5 % room
}

Result<std::string> saveCheckpoint(const fs::path& runFolder, const methods::Attached& attached,
                                   const Adamw& optimizer, const CheckpointInfo& info)
{
    const fs::path parent = runFolder / "checkpoints";
    const auto name = folderName(info.state.step);
    std::error_code ec;
    fs::create_directories(parent, ec);  // made with the run; its own folder is synced by run.json
    const auto needed = checkpointBytes(attached), available = freeBytes(parent);
    if (available < needed)
        return Error{ErrorCode::DiskFull,
                     fmt::format("a save point needs {}, {} are free", humanBytes(needed), humanBytes(available)),
                     runFolder.filename().string(), "Free some space, then continue the run; earlier save points are safe"};
    const fs::path partial = parent / (name + kPartial);
    fs::remove_all(partial, ec);
    if (!fs::create_directory(partial, ec) && ec == std::errc::no_space_on_device)
        return Error{ErrorCode::DiskFull, "the disk is full, the folder for a save point cannot be made",
                     runFolder.filename().string(), "Free some space, then continue the run"};
    if (ec)
        return Error{ErrorCode::Io, "the folder for a save point cannot be made (" + ec.message() + ")",
                     runFolder.filename().string(), "Check the disk and the permissions of the workspace"};
    auto done = writeContents(partial, attached, optimizer, info);
    if (done)
        done = replaceFolder(partial, parent / name);
    if (done)
        done = verifyCheckpoint(parent / name);
    if (!done) {
        fs::remove_all(partial, ec);
        return done.error();
    }
    return "checkpoints/" + name;
}

std::optional<std::int64_t> stepOfCheckpoint(const fs::path& folder)
{
    const std::string name = folder.filename().string();
    std::int64_t step = 0;
    if (!name.starts_with("step-"))
        return {};
    const auto [end, ec] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    return ec == std::errc() && end == name.data() + name.size() ? std::optional(step) : std::nullopt;
}

Result<void> verifyCheckpoint(const fs::path& folder)
{
    const auto damaged = [&](const std::string& name) {
        return Error{ErrorCode::InvalidInput, "the file " + name + " of this save point is damaged or missing",
                     folder.filename().string(), "Another save point of the run is used"};
    };
    auto files = readManifest(folder);
    if (!files)
        return damaged("MANIFEST.json");
    for (const auto& file : *files) {
        std::error_code ec;
        if (fs::file_size(folder / file.name, ec) != file.size || ec)
            return damaged(file.name);
        auto digest = sha256OfFile(folder / file.name);
        if (!digest || *digest != file.digest)
            return damaged(file.name);
    }
    const auto listed = [&](const char* name) { return std::ranges::find(*files, name, &ListedFile::name) != files->end(); };
    for (const char* needed : {"state.json", "optimizer.safetensors"}) {
        if (!listed(needed))
            return damaged(needed);
    }
    if (!listed(kModelFile) && !(listed(kAdapterFile) && listed("adapter_config.json")))
        return damaged("with the weights");
    auto info = readCheckpointInfo(folder);
    if (!info || info->state.step != stepOfCheckpoint(folder))
        return damaged("state.json");
    return {};
}

std::vector<fs::path> listCheckpoints(const fs::path& runFolder)
{
    std::vector<fs::path> out;
    std::error_code ec;
    for (fs::directory_iterator it(runFolder / "checkpoints", ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code each;
        if (stepOfCheckpoint(it->path()) && fs::exists(it->path() / "MANIFEST.json", each))
            out.push_back(it->path());
    }
    std::ranges::sort(out, {}, [](const fs::path& p) { return *stepOfCheckpoint(p); });
    return out;
}

FoundCheckpoint findCheckpoint(const fs::path& runFolder, std::int64_t last)
{
    FoundCheckpoint found;
    const auto all = listCheckpoints(runFolder);
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        const auto step = *stepOfCheckpoint(*at);
        if (step > last)
            continue;
        if (verifyCheckpoint(*at)) {
            found.folder = *at;
            break;
        }
        found.damaged.push_back(step);
    }
    return found;
}

std::optional<fs::path> newestIntactCheckpoint(const fs::path& runFolder) { return findCheckpoint(runFolder).folder; }

Result<CheckpointInfo> readCheckpointInfo(const fs::path& folder)
{
    auto json = readJsonFile(folder / "state.json", 1 << 20);
    if (!json)
        return json.error();
    try {
        CheckpointInfo info;
        info.state = trainingStateFrom(json->at("training"));
        info.fingerprints = json->at("fingerprints");
        if (fs::exists(folder / "adapter_config.json")) {
            auto config = readFile(folder / "adapter_config.json", 1 << 20);
            if (!config)
                return config.error();
            info.adapterConfig = OrderedJson::parse(*config);
        }
        return info;
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "the state of this save point cannot be read", folder.filename().string(),
                     "Continue from another save point"};
    }
}

std::string differences(const Json& one, const Json& other)
{
    std::string names;
    for (const auto& [key, value] : other.items()) {
        if (!one.is_object() || !one.contains(key) || one[key] != value)
            names += (names.empty() ? "" : " and ") + key;
    }
    return names.empty() && one != other ? "set of facts" : names;
}

Result<void> loadWeights(const fs::path& folder, const methods::Attached& attached)
{
    const bool adapter = fs::exists(folder / kAdapterFile);
    auto tensors = tensor::readTensors(folder / (adapter ? kAdapterFile : kModelFile));
    if (!tensors)
        return tensors.error();
    const at::NoGradGuard noGrad;
    for (const auto& each : attached.trainable()) {
        const auto found = tensors->find(adapter ? kPrefix + each.name : each.name);
        if (found == tensors->end() || found->second.sizes() != each.value.sizes())
            return Error{ErrorCode::InvalidInput, "the weight " + each.name + " is missing or has another shape",
                         folder.filename().string(), "Use the settings that the run was started with"};
        Tensor target = each.value;
        target.copy_(found->second);
    }
    if (tensors->size() != attached.trainable().size())
        return Error{ErrorCode::InvalidInput, "the save point holds weights that this method does not have",
                     folder.filename().string(), "Use the settings that the run was started with"};
    return {};
}

Result<void> loadOptimizer(const fs::path& folder, Adamw& optimizer)
{
    auto tensors = tensor::readTensors(folder / "optimizer.safetensors");
    if (!tensors)
        return tensors.error();
    auto json = readJsonFile(folder / "state.json", 1 << 20);
    if (!json)
        return json.error();
    return optimizer.load(*tensors, json->value("optimizerSteps", std::int64_t{0}));
}

void rotateCheckpoints(const fs::path& runFolder, std::int64_t newest, std::int64_t keep,
                       const std::vector<std::int64_t>& protectedSteps)
{
    auto all = listCheckpoints(runFolder);
    std::ranges::reverse(all);
    if (std::ranges::find(all, std::optional(newest), stepOfCheckpoint) == all.end())
        return;  // nothing goes before its successor is there
    std::int64_t kept = 0;
    std::error_code ec;
    for (const auto& folder : all) {
        const auto step = *stepOfCheckpoint(folder);
        if (step <= newest && kept < keep && (step == newest || looksWhole(folder))) {
            ++kept;
            continue;
        }
        if (std::ranges::find(protectedSteps, step) == protectedSteps.end() && !fs::exists(folder / "PINNED", ec))
            removeCheckpoint(folder);
    }
    std::vector<fs::path> rest;
    for (fs::directory_iterator it(runFolder / "checkpoints", ec), end; !ec && it != end; it.increment(ec)) {
        if (it->path().extension() == kPartial || it->path().extension() == kGone)
            rest.push_back(it->path());
    }
    for (const auto& folder : rest)
        fs::remove_all(folder, ec);
}

} // namespace fettle::train

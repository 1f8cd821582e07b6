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
constexpr int kFormat = 1;

std::string folderName(std::int64_t step) { return fmt::format("step-{:07}", step); }

std::optional<std::int64_t> stepOf(const fs::path& folder)
{
    const std::string name = folder.filename().string();
    std::int64_t step = 0;
    if (!name.starts_with("step-"))
        return {};
    const auto [end, ec] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    return ec == std::errc() && end == name.data() + name.size() ? std::optional(step) : std::nullopt;
}

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
    for (const auto& entry : fs::directory_iterator(folder)) {
        auto digest = sha256OfFile(entry.path());
        if (!digest)
            return digest.error();
        files.push_back({{"name", entry.path().filename().string()},
                         {"size", entry.file_size()},
                         {"sha256", *digest}});
    }
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
    fs::create_directories(parent, ec);
    const auto needed = checkpointBytes(attached), available = freeBytes(parent);
    if (available < needed)
        return Error{ErrorCode::DiskFull,
                     fmt::format("a save point needs {}, {} are free", humanBytes(needed), humanBytes(available)),
                     runFolder.filename().string(), "Free some space, then continue the run; earlier save points are safe"};
    const fs::path partial = parent / (name + ".partial");
    fs::remove_all(partial, ec);
    if (!fs::create_directory(partial, ec))
        return Error{ErrorCode::Io, "the folder for a save point cannot be made", runFolder.filename().string(),
                     "Check the permissions of the workspace"};
    auto done = writeContents(partial, attached, optimizer, info);
    if (!done) {
        fs::remove_all(partial, ec);
        return done.error();
    }
    fs::remove_all(parent / name, ec);  // the same step saved before a resume: equal content
    if (auto published = publishFolder(partial, parent / name); !published)
        return published.error();
    return "checkpoints/" + name;
}

Result<void> verifyCheckpoint(const fs::path& folder)
{
    auto manifest = readJsonFile(folder / "MANIFEST.json", 1 << 20);
    if (!manifest)
        return manifest.error();
    const auto damaged = [&](const std::string& name) {
        return Error{ErrorCode::InvalidInput, "the file " + name + " of this save point is damaged or missing",
                     folder.filename().string(), "Another save point of the run is used"};
    };
    if (!manifest->contains("files") || !(*manifest)["files"].is_array())
        return damaged("MANIFEST.json");
    for (const auto& file : (*manifest)["files"]) {
        const auto name = file.value("name", std::string());
        if (name.empty() || name.find('/') != std::string::npos)
            return damaged("MANIFEST.json");
        std::error_code ec;
        if (fs::file_size(folder / name, ec) != file.value("size", std::uint64_t{0}) || ec)
            return damaged(name);
        auto digest = sha256OfFile(folder / name);
        if (!digest || *digest != file.value("sha256", std::string()))
            return damaged(name);
    }
    return {};
}

std::vector<fs::path> listCheckpoints(const fs::path& runFolder)
{
    std::vector<fs::path> out;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(runFolder / "checkpoints", ec)) {
        if (stepOf(entry.path()) && fs::exists(entry.path() / "MANIFEST.json"))
            out.push_back(entry.path());
    }
    std::ranges::sort(out, {}, [](const fs::path& p) { return *stepOf(p); });
    return out;
}

std::optional<fs::path> newestIntactCheckpoint(const fs::path& runFolder)
{
    auto all = listCheckpoints(runFolder);
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        if (verifyCheckpoint(*at))
            return *at;
    }
    return {};
}

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

void rotateCheckpoints(const fs::path& runFolder, std::int64_t keep, const std::vector<std::int64_t>& protectedSteps)
{
    const auto all = listCheckpoints(runFolder);
    std::error_code ec;
    for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < all.size(); ++i) {
        if (std::ranges::find(protectedSteps, *stepOf(all[i])) == protectedSteps.end()
            && !fs::exists(all[i] / "PINNED"))
            fs::remove_all(all[i], ec);
    }
    for (const auto& entry : fs::directory_iterator(runFolder / "checkpoints", ec)) {
        if (entry.path().extension() == ".partial")
            fs::remove_all(entry.path(), ec);
    }
}

} // namespace fettle::train

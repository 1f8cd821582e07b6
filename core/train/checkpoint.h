#pragma once

#include "methods/method.h"
#include "train/optimizers/adamw.h"
#include "train/state.h"

#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace fettle::train {

/// What a save point holds besides tensors.
struct CheckpointInfo
{
    TrainingState state;
    OrderedJson adapterConfig;      ///< null when the whole model is saved
    Json fingerprints;              ///< digests of model, data, settings: resume refuses others
};

/// Writes `runFolder/checkpoints/step-0000120/`: weights (PEFT adapter or model.safetensors),
/// optimizer.safetensors, state.json, MANIFEST.json with size and SHA-256 of each file. Made as
/// `.partial`, synced, renamed; one of the same step gives way in one move. Gives the folder's name
/// inside the run folder. Errors: DiskFull before anything is written when the space is short; Io.
Result<std::string> saveCheckpoint(const std::filesystem::path& runFolder, const methods::Attached& attached,
                                   const Adamw& optimizer, const CheckpointInfo& info);

/// Checks every file of a save point against its manifest, that none is missing, and that the folder
/// is named for the step that it holds. Errors: InvalidInput naming the file.
Result<void> verifyCheckpoint(const std::filesystem::path& folder);

/// Folders of a run's save points, oldest first; verified by name and manifest presence only.
std::vector<std::filesystem::path> listCheckpoints(const std::filesystem::path& runFolder);
/// The step in the name of a save point's folder, or nothing when it is none.
std::optional<std::int64_t> stepOfCheckpoint(const std::filesystem::path& folder);

/// Where a run can go on, and what stood in the way.
struct FoundCheckpoint
{
    std::optional<std::filesystem::path> folder;  ///< the newest whose files are intact
    std::vector<std::int64_t> damaged;            ///< steps of newer ones that are not, newest first
};
/// The newest intact save point of at most step `last`.
FoundCheckpoint findCheckpoint(const std::filesystem::path& runFolder,
                               std::int64_t last = std::numeric_limits<std::int64_t>::max());
/// The newest save point whose files are intact, or nothing.
std::optional<std::filesystem::path> newestIntactCheckpoint(const std::filesystem::path& runFolder);

Result<CheckpointInfo> readCheckpointInfo(const std::filesystem::path& folder);
/// What two sets of fingerprints differ in: "model" or "data and settings"; empty when in nothing.
std::string differences(const Json& one, const Json& other);
/// Puts saved weights into an attached method's tensors (or a plain model's).
Result<void> loadWeights(const std::filesystem::path& folder, const methods::Attached& attached);
Result<void> loadOptimizer(const std::filesystem::path& folder, Adamw& optimizer);

/// Makes room once the save point of step `newest` is verified: that one, the `keep` - 1 whole ones
/// before it, those of `protectedSteps` and pinned ones stay. Later ones belong to a course that was
/// given up and go, as do partial ones.
void rotateCheckpoints(const std::filesystem::path& runFolder, std::int64_t newest, std::int64_t keep,
                       const std::vector<std::int64_t>& protectedSteps);

/// Bytes that one save point needs.
std::uint64_t checkpointBytes(const methods::Attached& attached);

} // namespace fettle::train

#pragma once

#include "methods/method.h"
#include "train/optimizers/adamw.h"
#include "train/state.h"

#include <filesystem>
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
/// `.partial`, synced, renamed. Gives the folder's name inside the run folder.
/// Errors: DiskFull before anything is written when the space is short; Io.
Result<std::string> saveCheckpoint(const std::filesystem::path& runFolder, const methods::Attached& attached,
                                   const Adamw& optimizer, const CheckpointInfo& info);

/// Checks every file of a save point against its manifest. Errors: InvalidInput naming the file.
Result<void> verifyCheckpoint(const std::filesystem::path& folder);

/// Folders of a run's save points, oldest first; verified by name and manifest presence only.
std::vector<std::filesystem::path> listCheckpoints(const std::filesystem::path& runFolder);

/// The newest save point whose files are intact, or nothing.
std::optional<std::filesystem::path> newestIntactCheckpoint(const std::filesystem::path& runFolder);

Result<CheckpointInfo> readCheckpointInfo(const std::filesystem::path& folder);
/// Puts saved weights into an attached method's tensors (or a plain model's).
Result<void> loadWeights(const std::filesystem::path& folder, const methods::Attached& attached);
Result<void> loadOptimizer(const std::filesystem::path& folder, Adamw& optimizer);

/// Deletes all but the `keep` newest and those of `protectedSteps`. Partial ones go too.
void rotateCheckpoints(const std::filesystem::path& runFolder, std::int64_t keep,
                       const std::vector<std::int64_t>& protectedSteps);

/// Bytes that one save point needs.
std::uint64_t checkpointBytes(const methods::Attached& attached);

} // namespace fettle::train

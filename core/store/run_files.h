#pragma once

// What a run's folder holds besides its weights: run.json, events.jsonl, owner.json, checkpoints/.

#include "store/workspace.h"

#include <functional>

namespace fettle::store {

OrderedJson toJson(const RunRecord& record);
Result<RunRecord> runRecordFromJson(const OrderedJson& json);
Result<RunRecord> readRunFile(const std::filesystem::path& runFolder);
Result<void> writeRunFile(const std::filesystem::path& runFolder, const RunRecord& record);

/// Hands every event of events.jsonl to `take`, oldest first. Lines that are cut off or damaged are
/// skipped; gives how many those were. A run without events is no error.
Result<std::int64_t> readEvents(const std::filesystem::path& runFolder,
                                const std::function<void(const jobs::Event&)>& take);

/// How far a run is, folded from its events.
class RunProgress
{
public:
    void fold(const jobs::Event& event);
    /// Puts what the events say over the record; the status only when the last word is an end.
    void apply(RunRecord& record) const;

private:
    void forgetAfter(std::int64_t step);

    std::int64_t m_step = 0, m_totalSteps = 0, m_lastTime = 0;
    std::optional<double> m_loss;
    std::vector<std::pair<std::int64_t, double>> m_evaluations;
    std::optional<RunStatus> m_end;
    std::string m_message;
    bool m_any = false;
};

/// Who works on a run: process, start of the process and of the machine, so that a number that is
/// used again does not pass for the old process.
void writeOwner(const std::filesystem::path& runFolder, bool recording);
void removeOwner(const std::filesystem::path& runFolder);
struct Owner
{
    bool alive = false;
    bool recording = false;
    bool self = false; ///< this very process
};
Owner ownerOf(const std::filesystem::path& runFolder);

/// Checkpoints whose MANIFEST.json names files that are there in the right sizes, by step.
std::vector<CheckpointRecord> verifiedCheckpoints(const std::filesystem::path& runFolder);

} // namespace fettle::store

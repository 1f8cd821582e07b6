// How a run writes its save points.

#include "base/clock.h"
#include "train/trainer.h"

#include <fmt/format.h>
#include <thread>

namespace fettle::train {

Result<void> Trainer::save(bool best)
{
    if (m_savedStep == m_state.step && !best)
        return {};
    m_context.emit(jobs::PhaseChanged{"save", -1, ""});
    // The curve up to here must be on the disk before a save point that a resumed run starts behind.
    if (m_parts.settle) {
        if (auto settled = m_parts.settle(); !settled)
            return settled;
    }
    auto folder = saveWhenThereIsRoom();
    if (!folder)
        return folder.error();
    m_savedStep = m_state.step;
    if (auto emitted = emit(jobs::CheckpointSaved{m_state.step, *folder, best}); !emitted)
        return emitted;
    rotateCheckpoints(m_parts.runFolder, m_state.step, m_parts.settings.keepCheckpoints, {m_state.bestStep, calmSavePoint()});
    m_context.emit(jobs::PhaseChanged{"train", -1, ""});
    return {};
}

/// A full disk pauses the run: it goes on by itself as soon as there is room.
Result<std::string> Trainer::saveWhenThereIsRoom()
{
    const CheckpointInfo info{m_state, m_parts.attached.adapterConfig(m_parts.baseModel), m_parts.fingerprints};
    const Stopwatch waited;
    for (bool told = false;; told = true) {
        auto folder = saveCheckpoint(m_parts.runFolder, m_parts.attached, m_optimizer, info);
        if (folder || folder.error().code != ErrorCode::DiskFull || m_context.stopRequested()
            || waited.seconds() >= m_parts.settings.waitForSpace)
            return folder;
        if (!told) { // not recorded: that needs room too
            m_watchdog.rest();
            m_context.emit(jobs::Warning{"disk_full", fmt::format("{}. The run waits for room on the disk and then goes on by "
                                                                  "itself.", folder.error().what)});
            m_context.emit(jobs::PhaseChanged{"wait for room on the disk", -1, ""});
        }
        for (int i = 0; i < 20 && !m_context.stopRequested(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

} // namespace fettle::train

// What a run says when it cannot go on: what happened, what is safe, what to do.

#include "base/text.h"
#include "train/trainer.h"

#include <cmath>
#include <fmt/format.h>
#include <set>

namespace fettle::train {

namespace {

constexpr std::size_t kRowsNamed = 12;

} // namespace

std::int64_t Trainer::calmSavePoint() const
{
    std::int64_t found = -1;
    for (const auto& folder : listCheckpoints(m_parts.runFolder)) {
        if (*stepOfCheckpoint(folder) <= m_state.watch.calmStep())
            found = *stepOfCheckpoint(folder);
    }
    return found;
}

std::string Trainer::whatIsSafe() const
{
    return m_savedStep > 0 ? fmt::format("your work up to step {} is saved", m_savedStep)
                           : std::string("no save point was written yet");
}

/// "step 57, rows 3, 17 and 90": the rows of the dataset that the step read.
std::string Trainer::placeOfStep(std::int64_t step) const
{
    std::set<std::int64_t> rows;
    for (const auto& part : m_plan.window(step - 1)) {
        for (const auto index : part)
            rows.insert(m_parts.trainRows[index].row);
    }
    std::string names;
    std::size_t named = 0;
    for (const auto row : rows) {
        if (named == kRowsNamed)
            break;
        names += fmt::format("{}{}", named == 0 ? "" : ", ", row);
        ++named;
    }
    if (rows.size() > named)
        names += fmt::format(" and {} more", rows.size() - named);
    return fmt::format("step {}, {} {}", step, rows.size() == 1 ? "row" : "rows", names);
}

Error Trainer::notANumber(const StepResult& result) const
{
    const char* what = std::isfinite(result.loss) ? "size of change" : "loss";
    const auto step = m_state.step + 1;
    const auto remedy =
        m_savedStep > 0 ? fmt::format("Go on from step {} with half the change per step (resume with --rate 0.5), or look "
                                      "at these rows", m_savedStep)
                        : fmt::format("Start again with half the change per step ({}), or look at these rows",
                                      m_parts.settings.learningRate / 2);
    return {ErrorCode::Diverged,
            fmt::format("the {} stopped being a number at step {}; the weights were not changed by it, and {}", what, step,
                        whatIsSafe()),
            placeOfStep(step), remedy};
}

Error Trainer::ranAway() const
{
    const auto& watch = m_state.watch;
    const auto good = calmSavePoint();
    const auto remedy =
        good > 0 ? fmt::format("Go on from step {} with half the change per step (resume with --from {} --rate 0.5), or look "
                               "at these rows", good, good)
                 : fmt::format("Start again with half the change per step ({}), or look at these rows",
                               m_parts.settings.learningRate / 2);
    return {ErrorCode::Diverged,
            fmt::format("the loss ran away: it is about {:.3g} at step {}, {:.1f} deviations above the {:.3g} of the steps "
                        "before; it was in order up to step {}, and {}",
                        watch.fast(), m_state.step, (watch.fast() - watch.slow()) / std::max(watch.deviation(), 1e-9),
                        watch.slow(), watch.calmStep(),
                        good > 0 ? fmt::format("the save point of step {} is kept", good) : whatIsSafe()),
            placeOfStep(m_state.step), remedy};
}

Error Trainer::noRoom() const
{
    const auto tokens = m_parts.settings.microBatchTokens;
    return {ErrorCode::OutOfMemory,
            fmt::format("there is not enough memory for step {}, even with training.microBatchTokens at {}, one row at a time",
                        m_state.step + 1, tokens),
            fmt::format("step {}", m_state.step + 1),
            fmt::format("Close other programs and continue the run; or start one with training.maxLength lowered to {}, or "
                        "with a smaller lora.rank",
                        std::max<std::int64_t>(8, tokens / 2))};
}

} // namespace fettle::train

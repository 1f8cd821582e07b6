#include "train/trainer.h"

#include "base/clock.h"
#include "base/text.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::train {

namespace {

std::vector<std::int64_t> lengthsOf(const std::vector<EncodedRow>& rows)
{
    std::vector<std::int64_t> lengths;
    for (const auto& row : rows)
        lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
    return lengths;
}

objectives::Batch makeBatch(const std::vector<EncodedRow>& rows, const std::vector<std::size_t>& picked)
{
    objectives::Batch batch;
    for (const auto index : picked)
        batch.add(rows[index].ids, rows[index].trained, static_cast<std::int64_t>(index));
    return batch;
}

} // namespace

TrainerSettings TrainerSettings::from(const ParamValues& values, std::uint64_t seed)
{
    TrainerSettings s;
    s.passes = values.real("training.passes");
    s.maxSteps = values.integer("training.maxSteps");
    s.learningRate = values.real("training.learningRate");
    s.warmup = values.real("training.warmup");
    s.clipNorm = values.real("training.clipNorm");
    s.batchSize = values.integer("training.batchSize");
    s.microBatchTokens = values.integer("training.microBatchTokens");
    s.schedule = values.text("training.schedule");
    s.optimizer = {values.real("training.beta1"), values.real("training.beta2"), values.real("training.epsilon"),
                   values.real("training.weightDecay")};
    s.checkEvery = values.integer("checks.everySteps");
    s.earlyStop = values.flag("checks.earlyStop");
    s.patience = values.integer("checks.patience");
    s.checkpointEvery = values.integer("checkpoints.everySteps");
    s.keepCheckpoints = values.integer("checkpoints.keep");
    s.seed = seed;
    return s;
}

std::int64_t totalSteps(const TrainerSettings& settings, std::int64_t rows)
{
    const auto perPass = (rows + settings.batchSize - 1) / settings.batchSize;
    const auto steps = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::ceil(settings.passes * static_cast<double>(perPass) - 1e-9)));
    return settings.maxSteps > 0 ? std::min(steps, settings.maxSteps) : steps;
}

Trainer::Trainer(Parts parts, jobs::JobContext& context)
    : m_parts(std::move(parts))
    , m_context(context)
    , m_plan(lengthsOf(m_parts.trainRows), m_parts.settings.batchSize, m_parts.settings.microBatchTokens,
             m_parts.settings.seed)
    , m_optimizer(m_parts.attached.trainable(), m_parts.settings.optimizer)
    , m_dropout(m_parts.settings.seed, "dropout")
    , m_totalSteps(totalSteps(m_parts.settings, static_cast<std::int64_t>(m_parts.trainRows.size())))
{
    auto& settings = m_parts.settings;
    if (settings.checkEvery == 0)
        settings.checkEvery = std::max<std::int64_t>(1, m_totalSteps / 10);
    if (settings.checkpointEvery == 0)
        settings.checkpointEvery = settings.checkEvery;
    m_schedule = {settings.schedule, settings.learningRate,
                  static_cast<std::int64_t>(std::ceil(settings.warmup * static_cast<double>(m_totalSteps))), m_totalSteps};
}

Result<void> Trainer::resume(const std::filesystem::path& checkpoint)
{
    auto info = readCheckpointInfo(checkpoint);
    if (!info)
        return info.error();
    if (info->fingerprints != m_parts.fingerprints)
        return Error{ErrorCode::InvalidInput, "the save point was made with another model, other rows or other settings",
                     checkpoint.filename().string(), "Start a new run instead"};
    if (auto loaded = loadWeights(checkpoint, m_parts.attached); !loaded)
        return loaded;
    if (auto loaded = loadOptimizer(checkpoint, m_optimizer); !loaded)
        return loaded;
    m_state = info->state;
    m_savedStep = m_state.step;
    return emit(jobs::Resumed{m_state.step});
}

Result<jobs::JobEnd> Trainer::run()
{
    if (m_state.step == 0 && m_state.lastCheckStep < 0) {
        if (auto done = check(); !done)
            return done.error();
    }
    while (m_state.step < m_totalSteps && !shouldStopEarly()) {
        m_context.waitWhilePaused();
        const Stopwatch watch;
        const auto result = forwardBackward();
        if (!result)
            return stopAndKeep();
        if (!std::isfinite(result->loss) || !std::isfinite(result->gradNorm))
            return diverged(*result);
        const double clip = m_parts.settings.clipNorm;
        const double rate = m_schedule.at(m_state.step);
        m_optimizer.step(rate, clip > 0 ? std::min(1.0, clip / (result->gradNorm + 1e-6)) : 1.0);
        if (auto done = reportStep(*result, rate, watch.seconds()); !done)
            return done.error();
        if (checkDue()) {
            if (auto done = check(); !done)
                return done.error();
        }
        if (checkpointDue()) {
            if (auto done = save(false); !done)
                return done.error();
        }
    }
    return finish();
}

/// All micro-batches of one step; nothing when a person asked to stop meanwhile.
std::optional<Trainer::StepResult> Trainer::forwardBackward()
{
    std::vector<objectives::Batch> window;
    objectives::Totals totals;
    for (const auto& picked : m_plan.window(m_state.step)) {
        window.push_back(makeBatch(m_parts.trainRows, picked));
        for (const auto& [name, value] : m_parts.objective.measure(window.back()))
            totals[name] += value;
    }
    StepResult result;
    objectives::TrainContext context{m_parts.model, {true, &m_dropout, 0}};
    for (std::size_t i = 0; i < window.size(); ++i) {
        if (m_context.stopRequested()) {
            m_optimizer.zeroGrad();
            return {};
        }
        context.pass.draw = static_cast<std::uint64_t>(m_state.step) << 16 | i;
        auto loss = m_parts.objective.compute(context, window[i], totals);
        loss.value.backward();
        result.loss += loss.sum;
        result.tokens += window[i].tokens.size();
        result.trainedTokens += window[i].trainedCount();
    }
    result.loss /= static_cast<double>(std::max<std::int64_t>(1, result.trainedTokens));
    result.gradNorm = m_optimizer.gradNorm();
    return result;
}

Result<void> Trainer::emit(jobs::Event event)
{
    if (auto recorded = m_parts.record(event); !recorded)
        return recorded;
    m_context.emit(std::move(event));
    return {};
}

Result<void> Trainer::reportStep(const StepResult& result, double learningRate, double seconds)
{
    ++m_state.step;
    m_state.tokens += result.tokens;
    m_state.trainedTokens += result.trainedTokens;
    m_state.seconds += seconds;
    jobs::StepDone done;
    done.step = m_state.step, done.totalSteps = m_totalSteps;
    done.epoch = static_cast<double>(m_state.step) / static_cast<double>(m_plan.stepsPerPass());
    done.loss = result.loss, done.learningRate = learningRate, done.gradNorm = result.gradNorm;
    done.tokensPerSecond = static_cast<double>(result.tokens) / std::max(1e-9, seconds);
    done.tokens = m_state.tokens, done.trainedTokens = m_state.trainedTokens;
    done.seconds = m_state.seconds, done.time = nowMilliseconds();
    return emit(done);
}

/// Loss on the checking rows, answers to the fixed questions, and a save point when it is the best.
Result<void> Trainer::check()
{
    m_context.emit(jobs::PhaseChanged{m_state.step == 0 ? "first check of the original" : "check", -1, ""});
    m_state.lastCheckStep = m_state.step;
    bool best = false;
    if (!m_parts.validationRows.empty()) {
        const auto result = evaluate(m_parts.model, m_parts.objective, m_parts.validationRows,
                                     m_parts.settings.microBatchTokens, [&] { return m_context.stopRequested(); });
        if (!result)
            return {};
        best = result->loss < m_state.bestEvalLoss;
        if (best)
            m_state.bestEvalLoss = result->loss, m_state.bestStep = m_state.step, m_state.checksWithoutGain = 0;
        else
            ++m_state.checksWithoutGain;
        jobs::EvalDone done{m_state.step, result->loss, result->low, result->high,
                            static_cast<std::int64_t>(m_parts.validationRows.size()), result->trainedTokens, best,
                            m_state.seconds, nowMilliseconds()};
        if (auto emitted = emit(done); !emitted)
            return emitted;
    }
    if (m_parts.answerPrompts)
        m_parts.answerPrompts(m_state.step);
    if (best && m_state.step > 0) {
        if (auto saved = save(true); !saved)
            return saved;
    }
    m_context.emit(jobs::PhaseChanged{"train", -1, ""});
    return {};
}

Result<void> Trainer::save(bool best)
{
    if (m_savedStep == m_state.step)
        return {};
    m_context.emit(jobs::PhaseChanged{"save", -1, ""});
    auto folder = saveCheckpoint(m_parts.runFolder, m_parts.attached, m_optimizer,
                                 {m_state, m_parts.attached.adapterConfig(m_parts.baseModel), m_parts.fingerprints});
    if (!folder)
        return folder.error();
    m_savedStep = m_state.step;
    if (auto emitted = emit(jobs::CheckpointSaved{m_state.step, *folder, best}); !emitted)
        return emitted;
    rotateCheckpoints(m_parts.runFolder, m_parts.settings.keepCheckpoints, {m_state.bestStep});
    m_context.emit(jobs::PhaseChanged{"train", -1, ""});
    return {};
}

Result<jobs::JobEnd> Trainer::stopAndKeep()
{
    if (m_state.step > 0) {
        if (auto saved = save(false); !saved)
            return saved.error();
    }
    return jobs::JobEnd{jobs::Stopped{{{"step", m_state.step}, {"totalSteps", m_totalSteps}}}};
}

Result<jobs::JobEnd> Trainer::finish()
{
    if (m_state.lastCheckStep != m_state.step) {
        if (auto done = check(); !done)
            return done.error();
    }
    if (m_context.stopRequested())
        return stopAndKeep();
    if (m_state.step < m_totalSteps) {
        const jobs::Warning warning{"early_stop", fmt::format("Stopped at step {} of {}: the last {} checks were no "
                                                              "better than step {}.",
                                                              m_state.step, m_totalSteps, m_state.checksWithoutGain,
                                                              m_state.bestStep)};
        if (auto emitted = emit(warning); !emitted)
            return emitted.error();
    }
    if (auto saved = save(false); !saved)
        return saved.error();
    Json result = {{"step", m_state.step}, {"totalSteps", m_totalSteps}, {"bestStep", m_state.bestStep}};
    if (m_state.bestStep >= 0)
        result["bestEvalLoss"] = m_state.bestEvalLoss;
    return jobs::JobEnd{jobs::Finished{std::move(result)}};
}

bool Trainer::checkDue() const
{
    return m_state.step % m_parts.settings.checkEvery == 0 && m_state.step < m_totalSteps;
}

bool Trainer::checkpointDue() const { return m_state.step % m_parts.settings.checkpointEvery == 0; }

bool Trainer::shouldStopEarly() const
{
    return m_parts.settings.earlyStop && m_state.checksWithoutGain >= m_parts.settings.patience;
}

Error Trainer::diverged(const StepResult& result) const
{
    const char* what = std::isfinite(result.loss) ? "size of change" : "loss";
    const auto safe = m_savedStep > 0 ? fmt::format("your work up to step {} is saved", m_savedStep)
                                      : std::string("no save point was written yet");
    return {ErrorCode::Diverged,
            fmt::format("the {} stopped being a number at step {}; the weights were not changed by it, and {}", what,
                        m_state.step + 1, safe),
            "step " + std::to_string(m_state.step + 1),
            fmt::format("Start again with half the change per step ({})", m_parts.settings.learningRate / 2)};
}

} // namespace fettle::train

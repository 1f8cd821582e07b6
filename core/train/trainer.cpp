#include "train/trainer.h"

#include "base/clock.h"
#include "base/text.h"
#include "tensor/device.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

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

jobs::Warning lateWarning(const jobs::Watchdog::Late& late, bool goesOn)
{
    return {"step_slow", goesOn ? fmt::format("Step {} has been going on for {}; a step takes {} as a rule.", late.step,
                                              humanDuration(late.seconds), humanDuration(late.median))
                                : fmt::format("Step {} took {}; a step takes {} as a rule.", late.step,
                                              humanDuration(late.seconds), humanDuration(late.median))};
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
                   values.real("training.weightDecay"), values.text("training.optimizer") == "adamw8bit", seed};
    s.checkEvery = values.integer("checks.everySteps");
    s.earlyStop = values.flag("checks.earlyStop");
    s.stopOnRise = values.flag("checks.stopOnRise");
    s.patience = values.integer("checks.patience");
    s.checkpointEvery = values.integer("checkpoints.everySteps");
    s.keepCheckpoints = values.integer("checkpoints.keep");
    s.waitForSpace = values.real("checkpoints.waitForSpace") * 60;
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

std::int64_t checkInterval(const TrainerSettings& settings, std::int64_t steps)
{
    return settings.checkEvery > 0 ? settings.checkEvery : std::max<std::int64_t>(1, steps / 10);
}

Trainer::Trainer(Parts parts, jobs::JobContext& context)
    : m_parts(std::move(parts))
    , m_context(context)
    , m_plan(lengthsOf(m_parts.trainRows), m_parts.settings.batchSize, m_parts.settings.microBatchTokens,
             m_parts.settings.seed)
    , m_optimizer(m_parts.attached.trainable(), m_parts.settings.optimizer)
    , m_dropout(m_parts.settings.seed, "dropout")
    , m_threadsBefore(at::get_num_threads())
    , m_totalSteps(totalSteps(m_parts.settings, static_cast<std::int64_t>(m_parts.trainRows.size())))
    , m_watchdog([this](const jobs::Watchdog::Late& late) { m_context.emit(lateWarning(late, true)); })
{
    m_state.threads = m_threadsBefore;
    auto& settings = m_parts.settings;
    settings.checkEvery = checkInterval(settings, m_totalSteps);
    if (settings.checkpointEvery == 0)
        settings.checkpointEvery = settings.checkEvery;
    m_schedule = {settings.schedule, settings.learningRate,
                  static_cast<std::int64_t>(std::ceil(settings.warmup * static_cast<double>(m_totalSteps))), m_totalSteps};
}

Trainer::~Trainer()
{
    if (at::get_num_threads() != m_threadsBefore)
        tensor::useComputeThreads(m_threadsBefore);
}

Result<void> Trainer::resume(const std::filesystem::path& checkpoint, std::optional<double> rateScale)
{
    auto info = readCheckpointInfo(checkpoint);
    if (!info)
        return info.error();
    if (const auto other = differences(info->fingerprints, m_parts.fingerprints); !other.empty())
        return Error{ErrorCode::InvalidInput, "the save point was made with another " + other,
                     checkpoint.filename().string(), "Start a new run instead"};
    if (auto loaded = loadWeights(checkpoint, m_parts.attached); !loaded)
        return loaded;
    if (auto loaded = loadOptimizer(checkpoint, m_optimizer); !loaded)
        return loaded;
    m_state = info->state;
    m_savedStep = m_state.step;
    if (m_state.microBatchTokens > 0)
        setMicroBatchTokens(m_state.microBatchTokens);
    if (m_state.threads == 0)
        m_state.threads = m_threadsBefore;
    if (m_state.threads != m_threadsBefore && !tensor::useComputeThreads(static_cast<int>(m_state.threads)))
        return noRoom();
    if (auto emitted = emit(jobs::Resumed{m_state.step}); !emitted)
        return emitted;
    // Once more: the program may have ended between the save point and the word of it.
    const jobs::CheckpointSaved saved{m_state.step, "checkpoints/" + checkpoint.filename().string(),
                                      m_state.bestStep == m_state.step};
    if (auto recorded = m_parts.record(saved); !recorded || !rateScale)
        return recorded;
    m_state.rateScale *= *rateScale;
    m_state.watch = {};  // measured anew: the old course was given up
    return emit(jobs::Warning{"rate_changed", fmt::format("From step {} on, the change per step is {:.3g} times that of "
                                                          "the settings.", m_state.step, m_state.rateScale)});
}

Result<jobs::JobEnd> Trainer::run()
{
    auto end = loop();
    if (end || end.error().code == ErrorCode::Diverged)
        return end;
    auto error = end.error();
    error.what += "; " + whatIsSafe();
    return error;
}

Result<jobs::JobEnd> Trainer::loop()
{
    // Before the first step, or where a stop came before the check of the last one.
    if (checkDue() && m_state.lastCheckStep != m_state.step) {
        if (auto done = check(); !done)
            return done.error();
    }
    while (m_state.step < m_totalSteps && !shouldStopEarly()) {
        m_context.waitWhilePaused();
        const Stopwatch watch;
        m_watchdog.begin(m_state.step + 1);
        const auto computed = withinMemory([this] { return forwardBackward(); });
        if (!computed)
            return computed.error();
        const auto& result = *computed;
        if (!result)
            return stopAndKeep();
        if (!std::isfinite(result->loss) || !std::isfinite(result->gradNorm))
            return notANumber(*result);
        const double clip = m_parts.settings.clipNorm;
        const double rate = m_schedule.at(m_state.step) * m_state.rateScale;
        m_optimizer.step(rate, clip > 0 ? std::min(1.0, clip / (result->gradNorm + 1e-6)) : 1.0);
        const auto late = m_watchdog.end();
        if (auto done = reportStep(*result, rate, watch.seconds()); !done)
            return done.error();
        if (late) {
            if (auto done = m_parts.record(lateWarning(*late, false)); !done)
                return done.error();
        }
        if (m_state.watch.add(m_state.step, result->loss) && m_parts.settings.stopOnRise)
            return ranAway();
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

template<class Work> auto Trainer::withinMemory(Work work) -> Result<decltype(work())>
{
    while (true) {
        try {
            return work();
        } catch (const std::exception& problem) {
            if (!jobs::meansOutOfMemory(problem))
                throw;
        }
        // Outside the handler: the exception may hold what was allocated.
        m_optimizer.zeroGrad();
        if (auto lowered = lowerMicroBatch(); !lowered)
            return lowered.error();
    }
}

void Trainer::setMicroBatchTokens(std::int64_t tokens)
{
    m_parts.settings.microBatchTokens = m_state.microBatchTokens = tokens;
    m_plan = BatchPlan(lengthsOf(m_parts.trainRows), m_parts.settings.batchSize, tokens, m_parts.settings.seed);
}

/// Half as many tokens together, down to the longest row, which cannot be divided. The rows of a step and their
/// weight in it stay as they are.
Result<void> Trainer::lowerMicroBatch()
{
    std::int64_t longest = 1;
    for (const auto* rows : {&m_parts.trainRows, &m_parts.validationRows}) {
        for (const auto& row : *rows)
            longest = std::max(longest, static_cast<std::int64_t>(row.ids.size()));
    }
    const auto before = m_parts.settings.microBatchTokens;
    if (before <= longest)
        return noRoom();
    setMicroBatchTokens(std::max(before / 2, longest));
    return emit(jobs::Warning{"memory_short",
                              fmt::format("There was not enough memory at step {}: training.microBatchTokens went from {} to {} "
                                          "for the rest of this run, and the step is done again. Each step still reads the same rows.",
                                          m_state.step + 1, before, m_parts.settings.microBatchTokens)});
}

/// All micro-batches of one step; nothing when a person asked to stop meanwhile. A device is waited for once,
/// when all is queued.
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
    at::Tensor lossThere;
    objectives::TrainContext context{m_parts.model, {true, &m_dropout, 0}};
    for (std::size_t i = 0; i < window.size(); ++i) {
        if (m_context.stopRequested()) {
            m_optimizer.zeroGrad();
            return {};
        }
        const auto places = window[i].places();
        context.pass.draw = static_cast<std::uint64_t>(m_state.step);
        context.pass.places = places;
        context.pass.recomputedLayers = m_parts.settings.recomputedLayers;
        auto loss = m_parts.objective.compute(context, window[i], totals);
        loss.value.backward();
        result.loss += loss.sum;
        if (loss.sumThere.defined())
            lossThere = lossThere.defined() ? lossThere + loss.sumThere : loss.sumThere;
        result.tokens += window[i].tokens.size();
        result.trainedTokens += window[i].trainedCount();
    }
    const auto squares = m_optimizer.gradSquares();
    const auto read = tensor::readTogether({lossThere, squares.there});
    result.loss = (result.loss + read[0]) / static_cast<double>(std::max<std::int64_t>(1, result.trainedTokens));
    result.gradNorm = std::sqrt(squares.here + read[1]);
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

/// Loss on the checking rows, answers to the fixed questions, and a save point when it is the best. A stop
/// meanwhile leaves the state as it was, so that a resumed run does the whole check again.
Result<void> Trainer::check()
{
    m_context.emit(jobs::PhaseChanged{m_state.step == 0 ? "first check of the original" : "check", -1, ""});
    const auto before = m_state;
    bool best = false;
    if (!m_parts.validationRows.empty()) {
        const auto evaluated = withinMemory([this] {
            return evaluate(m_parts.model, m_parts.objective, m_parts.validationRows, m_parts.settings.microBatchTokens,
                            [this] { return m_context.stopRequested(); });
        });
        if (!evaluated)
            return evaluated.error();
        const auto& result = *evaluated;
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
    if (m_context.stopRequested()) {
        const auto lowered = m_state.microBatchTokens;
        m_state = before;
        m_state.microBatchTokens = lowered;
        return {};
    }
    m_state.lastCheckStep = m_state.step;
    if (best && m_state.step > 0) {
        if (auto saved = save(true); !saved)
            return saved;
    }
    m_context.emit(jobs::PhaseChanged{"train", -1, ""});
    return {};
}

Result<jobs::JobEnd> Trainer::stopAndKeep()
{
    m_watchdog.rest();
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

/// The last step is saved when its check is known.
bool Trainer::checkpointDue() const
{
    return m_state.step % m_parts.settings.checkpointEvery == 0 && m_state.step < m_totalSteps;
}

bool Trainer::shouldStopEarly() const
{
    return m_parts.settings.earlyStop && m_state.checksWithoutGain >= m_parts.settings.patience;
}

} // namespace fettle::train

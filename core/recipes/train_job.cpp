#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sha256.h"
#include "generate/generator.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"
#include "recipes/memory.h"
#include "recipes/run_measures.h"
#include "recipes/run_setup.h"
#include "tensor/device.h"
#include "tensor/torch_pch.h"
#include "train/trainer.h"

#include <fmt/format.h>
#include <limits>

namespace fettle::recipes {

namespace {

constexpr const char* kVersion = "0.1.0";

ParamValues valuesOf(const store::RunRecord& run)
{
    ParamValues values(trainingSettings());
    values.setAll(Json(run.settings)).value();
    return values;
}

/// Carries out one run from its record, from its start or from a save point.
class TrainJob final : public jobs::Job
{
public:
    TrainJob(std::shared_ptr<store::Workspace> workspace, store::RunRecord run, std::optional<ResumeOptions> resume)
        : m_workspace(std::move(workspace)), m_run(std::move(run)), m_resume(resume)
    {
    }

    std::string title() const override { return m_run.name; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        ModelShelf::onThisThread().clear();
        auto recorder = store::RunRecorder::open(m_workspace, m_run.id);
        if (!recorder)
            return recorder.error();
        m_recorder = *std::move(recorder);
        m_measures.begin(roomFor(valuesOf(m_run)).onCard);
        auto end = guarded(context);
        if (end)
            std::visit([this](auto& e) { e.result["run"] = m_run.id; }, *end);
        keepMeasures();
        const jobs::Event event = end ? std::visit([](auto e) { return jobs::Event{std::move(e)}; }, *end)
                                      : jobs::Event{jobs::Failed{end.error()}};
        if (auto recorded = m_recorder->record(event); !recorded && end)
            return recorded.error();
        if (auto flushed = m_recorder->flush(); !flushed && end)
            return flushed.error();
        return end;
    }

private:
    /// What escapes from the libraries is the run's end too, and its record says so.
    Result<jobs::JobEnd> guarded(jobs::JobContext& context)
    {
        try {
            return carryOut(context);
        } catch (const std::exception& problem) {
            auto error = jobs::errorFrom(problem, m_run.name);
            if (error.code != ErrorCode::OutOfMemory)
                return error;
            const auto tokens = valuesOf(m_run).integer("training.microBatchTokens");
            error.what += "; what the run has saved is safe";
            error.remedy = fmt::format("Close other programs and continue the run, choose a smaller model, or lower "
                                       "training.microBatchTokens from {} to {}", tokens, std::max<std::int64_t>(1, tokens / 2));
            return error;
        }
    }

    Result<jobs::JobEnd> carryOut(jobs::JobContext& context)
    {
        const auto values = valuesOf(m_run);
        context.emit(jobs::PhaseChanged{"load model", -1, ""});
        const auto room = roomFor(values); // before the model takes some of it
        auto loaded = loadModel(*m_workspace, m_run.model, values.text("training.device"), weightKind(values),
                                precisionOf(values));
        if (!loaded)
            return loaded.error();
        m_model = *std::move(loaded);
        auto splits = readRows(context, values);
        if (!splits)
            return splits.error();
        auto method = methods::makeMethod(values.text("method"));
        if (!method)
            return method.error();
        auto attached = (*method)->attach(*m_model->decoder, values, Rng(m_run.seed, "adapter init"));
        if (!attached)
            return attached.error();
        auto objective = objectives::makeObjective(values.text("objective"));
        if (!objective)
            return objective.error();
        auto settings = train::TrainerSettings::from(values, m_run.seed);
        const auto savings = savingsFor(m_model->config, m_model->stored, values, room);
        settings.recomputedLayers = savings.recomputed;
        settings.optimizer.hostMoments = savings.hostMoments;
        if (savings.hostTable)
            m_model->decoder->embeddingToHost();
        expect(settings, splits->train, values);
        train::Trainer trainer({*m_model->decoder, **attached, **objective, std::move(splits->train),
                                std::move(splits->validation), settings,
                                m_workspace->runFolder(m_run.id), m_run.model, fingerprints(),
                                [this](const jobs::Event& event) {
                                    m_measures.see(event);
                                    return m_recorder->record(event);
                                },
                                [this, &context](std::int64_t step) { answerPrompts(context, step); },
                                [this] { return m_recorder->flush(); }},
                               context);
        if (m_resume) {
            if (auto resumed = resume(trainer, context); !resumed)
                return resumed.error();
        }
        return trainer.run();
    }

    /// Tells the measures what is to come.
    void expect(const train::TrainerSettings& settings, const std::vector<train::EncodedRow>& rows, const ParamValues& values)
    {
        double tokens = 0;
        for (const auto& row : rows)
            tokens += static_cast<double>(row.ids.size());
        const auto count = static_cast<std::int64_t>(rows.size());
        const auto steps = train::totalSteps(settings, count);
        const auto every = train::checkInterval(settings, steps);
        const auto perPass = static_cast<double>((count + settings.batchSize - 1) / settings.batchSize);
        const auto checks = (steps - 1) / every + 1;
        const auto saves = settings.checkpointEvery > 0 ? std::max(checks, (steps - 1) / settings.checkpointEvery + 1) : checks;
        const auto& config = m_model->decoder->config;
        const auto bytes = static_cast<double>(momentBytes(config, values))
                           + 4 * static_cast<double>(trainableParameters(config, values));
        m_measures.training({tokens / perPass, checks,
                             static_cast<double>(saves) * bytes * savingSecondsPerByte(m_workspace->runFolder(m_run.id))});
    }

    Result<EncodedSplits> readRows(jobs::JobContext& context, const ParamValues& values)
    {
        context.emit(jobs::PhaseChanged{"read rows", -1, ""});
        auto dataset = m_workspace->dataset(m_run.dataset);
        if (!dataset)
            return dataset.error();
        auto rows = (*dataset)->rowsOf(m_run.datasetVersion, std::nullopt);
        if (!rows)
            return rows.error();
        addDatasetFacts(m_model->encoder, **dataset, *rows);
        auto splits = encodeRows(m_model->encoder, *rows, values, m_run.seed,
                                 [&](std::size_t) { return context.stopRequested(); });
        if (!splits)
            return splits;
        for (const auto& example : fixedQuestions(*splits, values)) {
            auto prompt = m_model->encoder.encodePrompt(example);
            if (prompt)
                m_prompts.push_back(*std::move(prompt));
        }
        m_answerLength = values.integer("checks.answerLength");
        if (splits->tooLong > 0) {
            const jobs::Warning warning{"rows_too_long",
                                        fmt::format("{} rows have more than {} word pieces and were left out.",
                                                    splits->tooLong, values.integer("training.maxLength"))};
            if (!m_resume) {
                if (auto recorded = m_recorder->record(warning); !recorded)
                    return recorded.error();
            }
            context.emit(warning);
        }
        return splits;
    }

    /// Model, rows and settings that a save point belongs to.
    Json fingerprints() const
    {
        return {{"model", m_run.modelDigest},
                {"data", m_run.datasetDigest},
                {"settings", sha256(m_run.settings.dump())},
                {"seed", m_run.seed}};
    }

    Result<void> tell(jobs::JobContext& context, const jobs::Event& event)
    {
        if (auto recorded = m_recorder->record(event); !recorded)
            return recorded;
        context.emit(event);
        return {};
    }

    Result<void> resume(train::Trainer& trainer, jobs::JobContext& context)
    {
        const auto found = train::findCheckpoint(m_workspace->runFolder(m_run.id),
                                                 m_resume->from.value_or(std::numeric_limits<std::int64_t>::max()));
        for (const auto step : found.damaged) {
            const jobs::Warning warning{
                "save_point_damaged",
                fmt::format("The save point of step {} is damaged and is not used; the run goes on from {}.", step,
                            found.folder ? fmt::format("step {}", *train::stepOfCheckpoint(*found.folder))
                                         : std::string("its start"))};
            if (auto told = tell(context, warning); !told)
                return told;
        }
        if (found.folder)
            return trainer.resume(*found.folder, m_resume->rate);
        return tell(context, jobs::Resumed{0});  // no save point yet: the run starts over
    }

    /// What the run took, beside what was forecast. The record is read again: its name may have changed meanwhile.
    void keepMeasures()
    {
        auto current = m_workspace->run(m_run.id);
        if (!current)
            return;
        current->extra["measured"] = m_measures.json();
        if (auto kept = m_workspace->updateRun(*current); !kept)
            logWarning("recipes", "what the run took was not kept: {}", kept.error().what);
    }

    void answerPrompts(jobs::JobContext& context, std::int64_t step)
    {
        generate::Settings settings;
        settings.maxNewTokens = m_answerLength;
        settings.stopIds = m_model->stopIds();
        const auto answers = generate::generate(*m_model->decoder, *m_model->encoder.tokenizer, m_prompts, settings,
                                                {.stop = [&] { return context.stopRequested(); }});
        for (std::size_t i = 0; i < answers.size(); ++i) {
            jobs::SampleDone sample{step, static_cast<std::int64_t>(i), answers[i].text};
            if (auto recorded = m_recorder->record(sample); recorded)
                context.emit(std::move(sample));
        }
    }

    std::shared_ptr<store::Workspace> m_workspace;
    store::RunRecord m_run;
    std::optional<ResumeOptions> m_resume;  ///< nothing: from the start
    RunMeasures m_measures;
    std::unique_ptr<store::RunRecorder> m_recorder;
    std::shared_ptr<LoadedModel> m_model;
    std::vector<std::vector<std::int32_t>> m_prompts;
    std::int64_t m_answerLength = 48;
};

/// What the window and the report show beside the curves: the fixed questions with wanted answers.
Json describePrompts(const std::vector<data::Example>& questions)
{
    Json out = Json::array();
    for (const auto& example : questions)
        out.push_back({{"question", data::questionOf(example)}, {"answer", data::answerOf(example)}});
    return out;
}

} // namespace

Result<StartedRun> startRun(std::shared_ptr<store::Workspace> workspace, const RunPlan& plan)
{
    auto cost = forecast(*workspace, plan);
    if (!cost)
        return cost.error();
    for (const auto& problem : cost->problems) {
        if (problem.blocking)
            return Error{ErrorCode::InvalidInput, problem.text, "plan", ""};
    }
    auto model = workspace->model(plan.model);
    auto dataset = workspace->dataset(plan.dataset);
    if (!model || !dataset)
        return !model ? model.error() : dataset.error();
    auto version = (*dataset)->snapshot();
    if (!version)
        return version.error();
    auto encoder = loadEncoder(model->folder);
    auto rows = (*dataset)->rowsOf(version->number, data::Split::Validation);
    if (!encoder || !rows)
        return !encoder ? encoder.error() : rows.error();
    auto config = model::readModelConfig(model->folder);
    if (!config)
        return config.error();
    const auto settings = resolvedSettings(plan.settings, *config);
    store::RunRecord run;
    run.model = model->name, run.modelDigest = model->digest;
    run.dataset = plan.dataset, run.datasetVersion = version->number, run.datasetDigest = version->digest;
    run.settings = settings.all();
    run.seed = plan.seed;
    run.name = plan.name.empty() ? plan.dataset + ", " + settings.text("method") : plan.name;
    run.createdAt = nowMilliseconds();
    run.totalSteps = cost->steps;
    addDatasetFacts(*encoder, **dataset, *rows);
    std::vector<data::Example> questions;
    if (auto splits = encodeRows(*encoder, *(*dataset)->rowsOf(version->number, std::nullopt), settings, plan.seed))
        questions = fixedQuestions(*splits, settings);
    run.extra = {{"prompts", describePrompts(questions)},
                 {"version", kVersion},
                 {"libtorch", "2.11.0"},
                 {"forecast", {{"memoryBytes", cost->memoryBytes}, {"seconds", cost->seconds}}}};
    auto created = workspace->createRun(std::move(run));
    if (!created)
        return created.error();
    return StartedRun{*created, std::make_shared<TrainJob>(workspace, *created, std::nullopt)};
}

Result<StartedRun> resumeRun(std::shared_ptr<store::Workspace> workspace, const std::string& which,
                             const ResumeOptions& options)
{
    // A run whose recording broke off, on a full disk say, is nobody's any more.
    if (auto marked = workspace->markInterrupted(); !marked)
        return marked.error();
    auto run = workspace->run(which);
    if (!run)
        return run.error();
    if (run->status == store::RunStatus::Finished && !options.from)
        return Error{ErrorCode::InvalidInput, "this run is finished; there is nothing to continue", "run " + run->id,
                     "Start a new run with more passes"};
    if (run->status == store::RunStatus::Running)
        return Error{ErrorCode::Busy, "this run is going on", "run " + run->id, "Wait until it ends, or stop it first"};
    if (options.rate && !(*options.rate > 0 && *options.rate <= 10))
        return Error{ErrorCode::InvalidInput, "the factor of the change per step is not between 0 and 10", "rate",
                     "Give 0.5 to halve it"};
    if (options.from && !train::findCheckpoint(workspace->runFolder(run->id), *options.from).folder)
        return Error{ErrorCode::NotFound, fmt::format("there is no save point up to step {}", *options.from), "run " + run->id,
                     "See its save points with: runs show"};
    return StartedRun{*run, std::make_shared<TrainJob>(workspace, *run, options)};
}

} // namespace fettle::recipes

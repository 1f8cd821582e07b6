#include "base/text.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"
#include "report/axis.h"

#include <algorithm>
#include <optional>

namespace fettle::cli {

namespace {

struct TrainOptions
{
    std::string model, data, recipe, name;
    std::vector<std::string> settings;
    std::uint64_t seed = 42;
    bool events = false, forecastOnly = false;
};

struct ResumeOptions
{
    std::string run;
    std::optional<std::int64_t> from;
    std::optional<double> rate;
    bool events = false;
};

Result<recipes::RunPlan> planFrom(const TrainOptions& options)
{
    recipes::RunPlan plan;
    plan.model = options.model;
    plan.dataset = options.data;
    plan.name = options.name;
    plan.seed = options.seed;
    if (!options.recipe.empty()) {
        const auto recipe = recipes::loadRecipe(options.recipe);
        if (!recipe)
            return recipe.error();
        if (auto set = plan.settings.setAll(recipe->settings); !set)
            return at(set.error(), "recipe " + recipe->id);
    }
    for (const auto& setting : options.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos)
            return Error{ErrorCode::InvalidInput, fmt::format("\"{}\" gives no value", setting),
                         "--set", "Write --set key=value"};
        if (auto set = plan.settings.setText(setting.substr(0, equals), setting.substr(equals + 1));
            !set)
            return at(set.error(), "--set");
    }
    return plan;
}

OrderedJson toJson(const recipes::Forecast& forecast)
{
    OrderedJson problems = OrderedJson::array();
    for (const auto& problem : forecast.problems)
        problems.push_back({{"blocking", problem.blocking}, {"text", problem.text}});
    return {{"rows", forecast.rows},
            {"rowsTooLong", forecast.rowsTooLong},
            {"steps", forecast.steps},
            {"stepsPerPass", forecast.stepsPerPass},
            {"tokensPerPass", forecast.tokensPerPass},
            {"trainedTokensPerPass", forecast.trainedTokensPerPass},
            {"seconds", finite(forecast.seconds)},
            {"secondsMeasured", forecast.secondsMeasured},
            {"onCard", forecast.onCard},
            {"memoryBytes", forecast.memoryBytes},
            {"memoryAvailable", forecast.memoryAvailable},
            {"diskBytes", forecast.diskBytes},
            {"diskAvailable", forecast.diskAvailable},
            {"trainableParameters", forecast.trainableParameters},
            {"recomputedLayers", forecast.recomputedLayers},
            {"hostMoments", forecast.hostMoments},
            {"problems", problems},
            {"sentence", forecast.sentence}};
}

/// Events as lines on stdout for a program that listens, else progress for a person.
EventSink sinkFor(bool events, ProgressView& view)
{
    if (events) {
        return [](const jobs::Event& event) {
            printLine(jobs::toJson(event).dump(-1, ' ', false, Json::error_handler_t::replace));
            std::fflush(stdout);
        };
    }
    return [&view](const jobs::Event& event) { view.show(event); };
}

void sayEnd(const store::RunRecord& run, bool stopped)
{
    std::string words = fmt::format("Run {} ({}) {} at step {} of {}", run.number, run.name,
                                    stopped ? "stopped and kept" : "finished", grouped(run.step),
                                    grouped(run.totalSteps));
    if (run.loss)
        words += ", loss " + report::shortNumber(*run.loss);
    if (run.bestEvalLoss)
        words += fmt::format(", lowest loss on checking rows {} at step {}",
                             report::shortNumber(*run.bestEvalLoss), grouped(run.bestStep));
    say(words + ".");
    say(stopped ? fmt::format("Go on with: fettle-cli resume {}", run.number)
                : fmt::format("Score it with: fettle-cli evaluate run:{} --data {}", run.number,
                              run.dataset));
}

Outcome carryOut(Session& session, store::Workspace& workspace, const recipes::StartedRun& started,
                 bool events)
{
    say(fmt::format("Run {}: {} on {}.", started.record.number, started.record.model,
                    started.record.dataset));
    ProgressView view;
    const auto outcome = runJob(started.job, sinkFor(events, view));
    if (!outcome)
        return at(outcome.error(), fmt::format("run {}", started.record.number));
    const auto record = workspace.run(started.record.id);
    if (record)
        sayEnd(*record, outcome->stopped);
    if (events)
        return outcome->exit();
    if (session.json) {
        OrderedJson json = {{"run", started.record.id},
                            {"number", started.record.number},
                            {"stopped", outcome->stopped}};
        for (const auto& [key, value] : outcome->result.items())
            json[key] = value;
        printJson(json);
    } else {
        printLine(started.record.id);
    }
    return outcome->exit();
}

/// "What is wrong. What to do." as an error.
Error refusal(const recipes::PlanProblem& problem)
{
    const auto end = problem.text.find(". ");
    const std::string remedy = end == std::string::npos ? "" : problem.text.substr(end + 2);
    return {ErrorCode::InvalidInput, problem.text.substr(0, end), "plan", remedy};
}

Outcome train(Session& session, const TrainOptions& options)
{
    const auto plan = planFrom(options);
    if (!plan)
        return plan.error();
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto forecast = recipes::forecast(**workspace, *plan);
    if (!forecast)
        return forecast.error();
    say(forecast->sentence);
    for (const auto& problem : forecast->problems) {
        if (!problem.blocking || options.forecastOnly)
            say("Note: " + problem.text);
    }
    if (options.forecastOnly) {
        if (session.json)
            printJson(toJson(*forecast));
        return kDone;
    }
    const auto blocking = std::ranges::find_if(forecast->problems, &recipes::PlanProblem::blocking);
    if (blocking != forecast->problems.end())
        return refusal(*blocking);
    const auto started = recipes::startRun(*workspace, *plan);
    if (!started)
        return started.error();
    return carryOut(session, **workspace, *started, options.events);
}

Outcome resume(Session& session, const ResumeOptions& options)
{
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto started = recipes::resumeRun(*workspace, options.run, {options.from, options.rate});
    if (!started)
        return started.error();
    return carryOut(session, **workspace, *started, options.events);
}

} // namespace

void addTrain(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<TrainOptions>();
    auto* command = addCommand(app, session, "train", "Fine-tunes a model on a dataset",
                               [&session, options] { return train(session, *options); });
    command->add_option("--model", options->model, "Model of the workspace")->required();
    command->add_option("--data", options->data, "Dataset of the workspace")->required();
    command->add_option("--recipe", options->recipe, "Recipe: a name from recipe list, or a file");
    command
        ->add_option("--set", options->settings,
                     "key=value, as often as needed; keys: fettle-cli recipe schema")
        ->allow_extra_args(false);
    command->add_option("--name", options->name,
                        "Name of the run (default: from dataset and method)");
    command->add_option("--seed", options->seed, "The same number gives the same run")
        ->capture_default_str();
    command->add_flag("--events", options->events,
                      "One JSON object a line on stdout for everything that happens");
    command->add_flag("--forecast", options->forecastOnly, "Only say what the run would cost");

    const auto resuming = std::make_shared<ResumeOptions>();
    auto* resumeCommand =
        addCommand(app, session, "resume", "Goes on with a run from its newest save point",
                   [&session, resuming] { return resume(session, *resuming); });
    resumeCommand->add_option("run", resuming->run, "Run: number, id, name, or last")->required();
    resumeCommand->add_option("--from", resuming->from,
                              "Go on from the newest save point up to this step; later steps are void");
    resumeCommand->add_option("--rate", resuming->rate,
                              "Factor on the change per step from there on: 0.5 halves it");
    resumeCommand->add_flag("--events", resuming->events,
                            "One JSON object a line on stdout for everything that happens");
}

} // namespace fettle::cli

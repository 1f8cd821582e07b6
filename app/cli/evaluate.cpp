#include "base/text.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/run_job.h"
#include "eval/compare.h"
#include "eval/score.h"
#include "recipes/front_door.h"
#include "report/axis.h"

#include <cmath>

namespace fettle::cli {

namespace {

struct EvaluateOptions
{
    std::vector<std::string> models;
    std::string data, split = "test", weights;
    std::int64_t limit = 0, maxNew = 64;
    bool lossOnly = false;
};

/// One model's scores as the job gave them.
struct Evaluation
{
    Choice choice;
    Json result;
    std::vector<eval::Score> scores;
};

std::string range(double low, double high)
{
    return std::isfinite(low) && std::isfinite(high)
               ? fmt::format("{} to {}", report::shortNumber(low), report::shortNumber(high))
               : std::string("no range");
}

Result<std::vector<eval::RowPrediction>> readPredictions(const Json& result)
{
    std::vector<eval::RowPrediction> rows;
    const auto bytes = readFile(result.value("predictions", ""));
    if (!bytes)
        return bytes.error();
    for (const auto& line : splitOn(*bytes, '\n')) {
        if (line.empty())
            continue;
        const auto json = parseJson(line, "predictions");
        if (!json)
            return json.error();
        auto row = eval::predictionFromJson(*json);
        if (!row)
            return row.error();
        rows.push_back(std::move(*row));
    }
    return rows;
}

/// Every later model against the first one, score by score.
Result<std::vector<std::pair<Choice, eval::Comparison>>>
compareAll(const std::vector<Evaluation>& evaluations)
{
    std::vector<std::pair<Choice, eval::Comparison>> comparisons;
    const auto baseline = readPredictions(evaluations.front().result);
    if (!baseline)
        return baseline.error();
    for (std::size_t i = 1; i < evaluations.size(); ++i) {
        const auto rows = readPredictions(evaluations[i].result);
        if (!rows)
            return rows.error();
        for (const auto& score : evaluations[i].scores) {
            auto comparison = eval::compareRows(score.id, *rows, *baseline);
            if (!comparison)
                return comparison.error();
            comparisons.emplace_back(evaluations[i].choice, std::move(*comparison));
        }
    }
    return comparisons;
}

void printScores(const std::vector<Evaluation>& evaluations)
{
    Table table({{"score"},
                 {"model"},
                 {"value", true},
                 {"95 % range"},
                 {"rows", true},
                 {"better is"},
                 {"how"}});
    for (std::size_t i = 0; i < evaluations.front().scores.size(); ++i) {
        for (const auto& evaluation : evaluations) {
            if (i >= evaluation.scores.size())
                continue;
            const auto& score = evaluation.scores[i];
            table.add({score.title, evaluation.choice.title, report::shortNumber(score.value),
                       range(score.low, score.high), grouped(score.rows),
                       score.direction == eval::Direction::HigherIsBetter ? "higher" : "lower",
                       score.method});
        }
    }
    print(table.text());
}

void printComparisons(const std::vector<std::pair<Choice, eval::Comparison>>& comparisons,
                      const std::string& baseline)
{
    Table table({{"against " + baseline},
                 {"model"},
                 {"difference", true},
                 {"95 % range"},
                 {"verdict"},
                 {"p", true}});
    for (const auto& [choice, comparison] : comparisons)
        table.add({comparison.title, choice.title, fmt::format("{:+.3g}", comparison.difference),
                   fmt::format("{:+.3g} to {:+.3g}", comparison.low, comparison.high),
                   eval::toString(comparison.verdict), fmt::format("{:.2g}", comparison.p)});
    print("\n" + table.text());
}

Result<JobOutcome> evaluateOne(std::shared_ptr<store::Workspace> workspace,
                               const EvaluateOptions& options, data::Split split,
                               const std::string& model)
{
    recipes::EvaluatePlan plan;
    plan.model = model;
    plan.dataset = options.data;
    plan.split = split;
    plan.limit = options.limit;
    plan.maxNewTokens = options.maxNew;
    plan.answers = !options.lossOnly;
    plan.weights = options.weights;
    return runJob(recipes::makeEvaluateJob(workspace, plan));
}

Result<std::vector<eval::Score>> scoresOf(const Json& result)
{
    std::vector<eval::Score> scores;
    for (const auto& json : result.value("scores", Json::array())) {
        auto score = eval::scoreFromJson(json);
        if (!score)
            return score.error();
        scores.push_back(std::move(*score));
    }
    return scores;
}

void printAll(Session& session, const std::vector<Evaluation>& evaluations,
              const std::vector<std::pair<Choice, eval::Comparison>>& comparisons)
{
    if (!session.json) {
        printScores(evaluations);
        if (!comparisons.empty())
            printComparisons(comparisons, evaluations.front().choice.title);
        return;
    }
    if (evaluations.size() == 1) {
        printJson(evaluations.front().result);
        return;
    }
    OrderedJson all = OrderedJson::array(), differences = OrderedJson::array();
    for (const auto& evaluation : evaluations)
        all.push_back(OrderedJson(evaluation.result));
    for (const auto& [choice, comparison] : comparisons) {
        OrderedJson json = {{"model", choice.model}, {"against", evaluations.front().choice.model}};
        json.update(OrderedJson(eval::toJson(comparison)));
        differences.push_back(json);
    }
    printJson({{"evaluations", all}, {"comparisons", differences}});
}

Outcome evaluate(Session& session, const EvaluateOptions& options)
{
    const auto split = data::splitFrom(options.split);
    if (!split)
        return split.error();
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto choices = modelsOrRuns(**workspace, options.models);
    if (!choices)
        return choices.error();
    std::vector<Evaluation> evaluations;
    for (const auto& choice : *choices) {
        if (choices->size() > 1)
            say(choice.title + ":");
        const auto outcome = evaluateOne(*workspace, options, *split, choice.model);
        if (!outcome)
            return outcome.error();
        if (outcome->stopped)
            return kInterrupted;
        auto scores = scoresOf(outcome->result);
        if (!scores)
            return scores.error();
        evaluations.push_back({choice, outcome->result, std::move(*scores)});
    }
    std::vector<std::pair<Choice, eval::Comparison>> comparisons;
    if (evaluations.size() > 1) {
        auto compared = compareAll(evaluations);
        if (!compared)
            return compared.error();
        comparisons = std::move(*compared);
    }
    printAll(session, evaluations, comparisons);
    return kDone;
}

} // namespace

void addEvaluate(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<EvaluateOptions>();
    auto* command =
        addCommand(app, session, "evaluate",
                   "Scores models on rows they have not seen; several are compared with the first",
                   [&session, options] { return evaluate(session, *options); });
    command->add_option("models", options->models, "Models or runs (run:12)")->required();
    command->add_option("--data", options->data, "Dataset of the workspace")->required();
    command->add_option("--split", options->split, "Which rows: test, validation or train")
        ->capture_default_str();
    command->add_option("--limit", options->limit, "At most so many rows; 0: all")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}));
    command->add_option("--max-new", options->maxNew, "At most so many tokens an answer")
        ->capture_default_str()
        ->check(CLI::Range(1, 1'000'000));
    command
        ->add_option("--weights", options->weights,
                     "How the original is held: float32, int8 or nf4; a run: as it was trained")
        ->check(CLI::IsMember({"float32", "int8", "nf4"}));
    command->add_flag("--loss-only", options->lossOnly, "Only the loss; write no answers");
}

} // namespace fettle::cli

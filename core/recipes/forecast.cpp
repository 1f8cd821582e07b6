#include "base/atomic_file.h"
#include "base/text.h"
#include "methods/specs.h"
#include "model/import/hf_folder.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"
#include "recipes/memory.h"
#include "recipes/run_setup.h"
#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace fettle::recipes {

namespace {

/// Speed in multiply-add operations a second: from finished runs of this model and method, else a
/// careful figure for two cores.
struct Speed
{
    double flops = 1e11;
    bool measured = false;
};

double flopsPerToken(const model::ModelConfig& config, const std::string& method)
{
    return (method == "full" ? 6.0 : 4.0) * static_cast<double>(config.parameters());
}

Speed speedOnThisMachine(const store::Workspace& workspace, const RunPlan& plan, const model::ModelConfig& config)
{
    Speed speed;
    for (const auto& run : workspace.runs()) {
        if (run.model != plan.model || !run.settings.contains("method"))
            continue;
        auto points = workspace.metric(run.id, "tokensPerSecond");
        if (points.size() < 5)
            continue;
        std::vector<double> values;
        for (const auto& point : points)
            values.push_back(point.value);
        std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
        speed.flops = values[values.size() / 2] * flopsPerToken(config, run.settings["method"].get<std::string>());
        speed.measured = run.settings["method"] == plan.settings.text("method");
        if (speed.measured)
            break;
    }
    return speed;
}

void addProblem(Forecast& f, bool blocking, std::string text) { f.problems.push_back({blocking, std::move(text)}); }

void findProblems(Forecast& f, const EncodedSplits& splits, const model::ModelConfig& config, const ParamValues& settings)
{
    if (config.maxPositions > 0 && settings.integer("training.maxLength") > config.maxPositions)
        addProblem(f, true, fmt::format("Longest text is {}, this model reads at most {} word pieces. Lower it to {}.",
                                        settings.integer("training.maxLength"), config.maxPositions, config.maxPositions));
    if (settings.text("method") == "full" && hasFewBits(weightKind(settings)))
        addProblem(f, true, fmt::format("The whole model trains, and numbers held as {} cannot. Choose 32 bits for the "
                                        "original (model.weights), or an add-on.",
                                        tensor::nameOf(weightKind(settings))));
    if (f.memoryAvailable > 0 && f.memoryBytes > f.memoryAvailable)
        addProblem(f, true, fmt::format("This needs about {} of {}, {} are free. Lower \"Pieces at once\", choose an "
                                        "add-on, or a smaller model.",
                                        humanBytes(f.memoryBytes), f.onCard ? "the graphics card's memory" : "memory",
                                        humanBytes(f.memoryAvailable)));
    if (f.recomputedLayers > 0 && settings.text("training.recompute") == "auto")
        addProblem(f, false,
                   fmt::format("Memory is short, so {} of {} layers are worked out twice: somewhat "
                               "slower, the same "
                               "result.",
                               f.recomputedLayers, config.layers));
    if (f.hostMoments)
        addProblem(f, false, "The graphics card's memory is short, so what the optimizer keeps waits in the computer's: "
                             "slower, the same result.");
    if (f.diskBytes > f.diskAvailable)
        addProblem(f, true, fmt::format("Save points need about {}, {} are free on this disk. Free some space.",
                                        humanBytes(f.diskBytes), humanBytes(f.diskAvailable)));
    if (splits.tooLong > 0)
        addProblem(f, false, fmt::format("{} rows have more than {} word pieces and will be left out.", splits.tooLong,
                                         settings.integer("training.maxLength")));
    if (splits.untaught > 0)
        addProblem(f, false, fmt::format("{} rows teach nothing (no answer) and will be left out.", splits.untaught));
    if (splits.refused > 0)
        addProblem(f, false, fmt::format("{} rows do not fit the model's conversation form and will be left out.",
                                         splits.refused));
    if (splits.validation.empty())
        addProblem(f, false, "There are no checking rows, so nothing tells when to stop. Split the rows again.");
}

struct MicroBatch
{
    std::int64_t tokens = 0, taught = 0;
};

/// Most tokens and most taught ones of the micro-batches of a run; 0: too many to look through.
MicroBatch largestMicroBatch(const std::vector<train::EncodedRow>& rows, const train::TrainerSettings& trainer,
                             std::uint64_t seed, std::int64_t steps)
{
    constexpr std::int64_t kWork = 50'000'000; // rows shuffled, all steps together
    if (rows.empty() || static_cast<std::int64_t>(rows.size()) * steps > kWork)
        return {};
    std::vector<std::int64_t> lengths, taught;
    for (const auto& row : rows) {
        lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
        taught.push_back(std::accumulate(row.trained.begin(), row.trained.end(), std::int64_t{0}));
    }
    const train::BatchPlan plan(lengths, trainer.batchSize, trainer.microBatchTokens, seed);
    MicroBatch largest;
    for (std::int64_t step = 0; step < steps; ++step) {
        for (const auto& bin : plan.window(step)) {
            MicroBatch own;
            for (const auto row : bin)
                own.tokens += lengths[row], own.taught += taught[row];
            largest.tokens = std::max(largest.tokens, own.tokens);
            largest.taught = std::max(largest.taught, own.taught);
        }
    }
    return largest;
}

/// Room for the answers to the fixed questions, as the cache has it.
std::int64_t answeredTokens(const Encoder& encoder, const EncodedSplits& splits, const ParamValues& settings)
{
    const auto questions = fixedQuestions(splits, settings);
    std::size_t longest = 0;
    for (const auto& question : questions) {
        if (const auto prompt = encoder.encodePrompt(question))
            longest = std::max(longest, prompt->size());
    }
    return std::ssize(questions) * (static_cast<std::int64_t>(longest) + settings.integer("checks.answerLength"));
}

} // namespace

Result<Forecast> forecast(store::Workspace& workspace, const RunPlan& plan)
{
    auto record = workspace.model(plan.model);
    if (!record)
        return record.error();
    auto dataset = workspace.dataset(plan.dataset);
    if (!dataset)
        return dataset.error();
    auto files = model::ModelFiles::open(record->folder);
    auto encoder = loadEncoder(record->folder);
    if (!files || !encoder)
        return !files ? files.error() : encoder.error();
    const auto* config = &files->config();
    if (auto writes = model::requireWriter(*config, plan.model); !writes)
        return writes.error();
    const auto rows = (*dataset)->rows({}, 0, std::numeric_limits<std::int32_t>::max());
    addDatasetFacts(*encoder, **dataset, rows);
    const auto settings = resolvedSettings(plan.settings, *config);
    auto splits = encodeRows(*encoder, rows, settings, plan.seed);
    if (!splits)
        return splits.error();

    Forecast f;
    f.rows = static_cast<std::int64_t>(splits->train.size());
    f.rowsTooLong = splits->tooLong;
    for (const auto& row : splits->train) {
        f.tokensPerPass += static_cast<std::int64_t>(row.ids.size());
        f.trainedTokensPerPass += std::accumulate(row.trained.begin(), row.trained.end(), std::int64_t{0});
    }
    const auto trainer = train::TrainerSettings::from(settings, plan.seed);
    f.steps = train::totalSteps(trainer, f.rows);
    f.stepsPerPass = (f.rows + trainer.batchSize - 1) / trainer.batchSize;
    f.trainableParameters = trainableParameters(*config, settings);

    std::int64_t checkTokens = 0;
    for (const auto& row : splits->validation)
        checkTokens += static_cast<std::int64_t>(row.ids.size());
    const double passes = static_cast<double>(f.steps) / static_cast<double>(f.stepsPerPass);
    const auto checks = f.steps / train::checkInterval(trainer, f.steps) + 2;
    const auto speed = speedOnThisMachine(workspace, plan, *config);
    const double trainFlops = passes * static_cast<double>(f.tokensPerPass) * flopsPerToken(*config, settings.text("method"));
    const auto stored = files->storedKind();
    const auto room = roomFor(settings);
    f.onCard = room.onCard;
    f.memoryAvailable = room.available;
    const auto savings = savingsFor(*config, stored, settings, room);
    f.recomputedLayers = savings.recomputed;
    f.hostMoments = savings.hostMoments;
    const double againFlops = passes * static_cast<double>(f.tokensPerPass) * 1.5 *
                              static_cast<double>(config->parameters()) *
                              static_cast<double>(f.recomputedLayers) /
                              static_cast<double>(config->layers);
    const double checkFlops = static_cast<double>(checks * checkTokens) * 2.0 * static_cast<double>(config->parameters());
    const double answers = static_cast<double>(checks * settings.integer("checks.prompts") * settings.integer("checks.answerLength"));
    f.seconds = (trainFlops + againFlops + checkFlops) / speed.flops +
                answers * static_cast<double>(config->parameters()) * 4 / 1.2e10 /
                    3; // memory-bound decoding, three together
    f.secondsMeasured = speed.measured;

    const auto moving = static_cast<std::uint64_t>(f.trainableParameters);
    const auto largest = largestMicroBatch(splits->train, trainer, plan.seed, f.steps);
    f.memoryBytes =
        trainingBytes(*config, stored, settings,
                      {largest.tokens, largest.taught, answeredTokens(*encoder, *splits, settings),
                       savings, room.onCard});
    f.diskBytes = (moving * 4 + momentBytes(*config, settings) + (1 << 20)) * static_cast<std::uint64_t>(trainer.keepCheckpoints + 2);
    f.diskAvailable = freeBytes(workspace.folder());
    findProblems(f, *splits, *config, settings);
    f.sentence = fmt::format("{:.3g} {} over {} rows, {} steps, about {}.", passes, passes == 1 ? "pass" : "passes", f.rows,
                             f.steps, humanDuration(f.seconds));
    return f;
}

} // namespace fettle::recipes

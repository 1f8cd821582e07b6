#pragma once

#include "base/param_spec.h"
#include "jobs/job.h"
#include "jobs/watchdog.h"
#include "methods/method.h"
#include "objectives/objective.h"
#include "train/batch_plan.h"
#include "train/checkpoint.h"
#include "train/encoded_row.h"
#include "train/schedules/schedule.h"

#include <filesystem>
#include <functional>
#include <optional>

namespace fettle::train {

/// Settings of the loop, read once from the run's values.
struct TrainerSettings
{
    double passes = 2, learningRate = 0, warmup = 0, clipNorm = 1;
    std::int64_t maxSteps = 0, batchSize = 8, microBatchTokens = 2048;
    std::int64_t recomputedLayers = 0; ///< see model::PassContext
    std::string schedule = "cosine";
    AdamwSettings optimizer;
    std::int64_t checkEvery = 0, checkpointEvery = 0, keepCheckpoints = 2;
    double waitForSpace = 0; ///< seconds that a save point waits while the disk is full
    bool earlyStop = true, stopOnRise = true;
    std::int64_t patience = 3;
    std::uint64_t seed = 42;

    static TrainerSettings from(const ParamValues& values, std::uint64_t seed);
};

/// Steps of a run over `rows` training rows.
std::int64_t totalSteps(const TrainerSettings& settings, std::int64_t rows);
/// Steps from one check to the next of a run of `steps`; by itself ten checks.
std::int64_t checkInterval(const TrainerSettings& settings, std::int64_t steps);

/// Loss of a model on fixed rows: mean over taught tokens with a 95 % interval over rows.
struct Evaluation
{
    double loss = 0, low = 0, high = 0;
    std::int64_t trainedTokens = 0;
    std::vector<double> rowSum;              ///< nats, in the order of the rows
    std::vector<std::int64_t> rowWeight;
};
/// No gradient, dropout off. `stop` is asked between micro-batches; nothing when it said yes.
std::optional<Evaluation> evaluate(model::LanguageModel& model, const objectives::Objective& objective,
                                   const std::vector<EncodedRow>& rows, std::int64_t microBatchTokens,
                                   const std::function<bool()>& stop = {});

/// One training run: the loop that a person reads in a minute. Lives on the worker's thread.
class Trainer
{
public:
    struct Parts
    {
        model::LanguageModel& model;
        methods::Attached& attached;
        const objectives::Objective& objective;
        std::vector<EncodedRow> trainRows, validationRows;
        TrainerSettings settings;
        std::filesystem::path runFolder;
        std::string baseModel;                       ///< name for adapter_config.json
        Json fingerprints;
        std::function<Result<void>(const jobs::Event&)> record;  ///< run folder and database first
        std::function<void(std::int64_t step)> answerPrompts;    ///< emits SampleDone; may be empty
        std::function<Result<void>()> settle;                    ///< puts what was recorded on the disk; may be empty
    };

    Trainer(Parts parts, jobs::JobContext& context);
    ~Trainer();
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    /// Goes on from a save point, with the schedule's rate times `rateScale` where a person asks for
    /// another one. Errors: InvalidInput when it belongs to other data or settings.
    Result<void> resume(const std::filesystem::path& checkpoint, std::optional<double> rateScale = {});
    Result<jobs::JobEnd> run();

private:
    struct StepResult
    {
        double loss = 0, gradNorm = 0;
        std::int64_t tokens = 0, trainedTokens = 0;
    };
    std::optional<StepResult> forwardBackward();
    /// Does `work`, again with smaller micro-batches for as long as the memory does not suffice.
    template<class Work> auto withinMemory(Work work) -> Result<decltype(work())>;
    Result<void> lowerMicroBatch();
    void setMicroBatchTokens(std::int64_t tokens);
    Result<jobs::JobEnd> loop();
    Result<void> emit(jobs::Event event);
    Result<void> reportStep(const StepResult& result, double learningRate, double seconds);
    Result<void> check();
    Result<void> save(bool best);
    Result<std::string> saveWhenThereIsRoom();
    Result<jobs::JobEnd> stopAndKeep();
    Result<jobs::JobEnd> finish();
    bool checkDue() const;
    bool checkpointDue() const;
    bool shouldStopEarly() const;
    /// The newest save point from before the loss began to rise, or -1.
    std::int64_t calmSavePoint() const;
    std::string whatIsSafe() const;
    std::string placeOfStep(std::int64_t step) const;
    Error notANumber(const StepResult& result) const;
    Error ranAway() const;
    Error noRoom() const;

    Parts m_parts;
    jobs::JobContext& m_context;
    BatchPlan m_plan;
    Adamw m_optimizer;
    Schedule m_schedule;
    Rng m_dropout;
    int m_threadsBefore = 1;  ///< a resumed run takes the number that it began with, and gives this back
    std::int64_t m_totalSteps = 0;
    TrainingState m_state;
    std::int64_t m_savedStep = -1;
    jobs::Watchdog m_watchdog;
};

} // namespace fettle::train

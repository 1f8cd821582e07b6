#pragma once

#include "data/example.h"
#include "jobs/job.h"
#include "model/import/grow_vocabulary.h"
#include "recipes/settings.h"
#include "store/workspace.h"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

namespace fettle::recipes {

/// All that a run is made from.
struct RunPlan
{
    std::string model;               ///< name in the workspace
    std::string dataset;
    ParamValues settings{trainingSettings()};
    std::string name;                ///< empty: made from dataset and method
    std::uint64_t seed = 42;
};

struct PlanProblem
{
    bool blocking = true;
    std::string text;                ///< one sentence with place and remedy
};

/// What a plan will cost, before it starts. Estimated unless said otherwise.
struct Forecast
{
    std::int64_t rows = 0, rowsTooLong = 0;   ///< training rows used; left out as too long
    std::int64_t steps = 0, stepsPerPass = 0;
    std::int64_t tokensPerPass = 0, trainedTokensPerPass = 0;
    double seconds = 0;
    bool secondsMeasured = false;    ///< from a run of this model and method on this machine
    bool onCard = false;             ///< computes on a graphics card, whose memory the next two are
    std::uint64_t memoryBytes = 0, memoryAvailable = 0;
    std::uint64_t diskBytes = 0, diskAvailable = 0;
    std::int64_t trainableParameters = 0;
    std::int64_t recomputedLayers =
        0; ///< layers that are worked out twice, so that memory suffices
    bool hostMoments = false;        ///< for the same reason the optimizer's numbers lie in the computer's memory
    std::vector<PlanProblem> problems;
    std::string sentence;            ///< "2 passes over 320 rows, 80 steps, about 9 min."
};

/// Reads rows and tokenizer, no model weights; takes up to a second or two for 10,000 rows, so call it
/// from a pool thread. Errors: NotFound, InvalidInput.
Result<Forecast> forecast(store::Workspace& workspace, const RunPlan& plan);

/// Creates the run (folder, row, frozen settings and dataset version) and the job that trains it.
struct StartedRun
{
    store::RunRecord record;
    std::shared_ptr<jobs::Job> job;
};
Result<StartedRun> startRun(std::shared_ptr<store::Workspace> workspace, const RunPlan& plan);
/// How a run goes on. Steps behind the chosen save point are void.
struct ResumeOptions
{
    std::optional<std::int64_t> from;  ///< not behind this step
    std::optional<double> rate;        ///< factor on the change per step from there on
};
/// Goes on from the newest save point that is whole. Errors: NotFound, InvalidInput (finished; nothing to
/// resume), Busy.
Result<StartedRun> resumeRun(std::shared_ptr<store::Workspace> workspace, const std::string& run,
                             const ResumeOptions& options = {});

struct GenerateOptions
{
    std::int64_t maxNewTokens = 128;
    double temperature = 0;          ///< 0: greedy
    std::int64_t topK = 0;           ///< 0: all
    double topP = 1;
    std::uint64_t seed = 42;
    std::vector<std::string> stopTexts;
    std::string weights;             ///< "float32", "int8" or "nf4"; empty: of a run as it was trained
};

struct Answer
{
    std::string text;
    std::string fingerprint;         ///< first 8 hex digits of the weights' digest (with adapter), and how
                                     ///< they are held when not in 32 bits
    std::int64_t promptTokens = 0, tokens = 0;
    double seconds = 0;
    std::string stoppedBy;           ///< "end", "length", "stop text", "person"
};
Json toJson(const Answer& answer);

/// Answers one question with one or several models or runs, one after the other. Sends TextPiece
/// (stream = index), ends with {"answers": [...]}. `models` are names of models or of runs
/// ("run:12"); loaded models are kept for the next question (at most two). `tools`: a list that the
/// conversation form is given, or null.
std::shared_ptr<jobs::Job> makeAnswerJob(std::shared_ptr<store::Workspace> workspace,
                                         std::vector<std::string> models,
                                         std::vector<OrderedJson> messages, GenerateOptions options,
                                         OrderedJson tools = nullptr);
/// As above with a text that is continued as it stands.
std::shared_ptr<jobs::Job> makeContinueJob(std::shared_ptr<store::Workspace> workspace,
                                           std::vector<std::string> models, std::string text,
                                           GenerateOptions options);

/// Scores a model or run on a dataset split. Ends with the scores (names, values, intervals, rows)
/// and keeps predictions per row under runs/<id>/evaluations/ or models' evaluations.
struct EvaluatePlan
{
    std::string model;               ///< name, or "run:12"
    std::string dataset;
    data::Split split = data::Split::Test;
    std::int64_t limit = 0;          ///< 0: all rows
    std::int64_t maxNewTokens = 64;
    bool answers = true;             ///< also write answers (exact match, ROUGE-L, classes), not only the loss
    std::string weights;             ///< as of GenerateOptions
};
std::shared_ptr<jobs::Job> makeEvaluateJob(std::shared_ptr<store::Workspace> workspace, EvaluatePlan plan);

/// A form in which models leave, as the export table knows it.
struct ExportFormInfo
{
    std::string id;                  ///< "merged"
    std::string help;                ///< "a whole model (safetensors)"
    std::vector<std::string> types;  ///< in which the weights may be written; the first is the default
    bool needsAdapter = false;       ///< only for runs whose method saves an add-on
    bool ofModels = false;           ///< models of the workspace can leave in it as well as runs
};
std::vector<ExportFormInfo> exportFormInfos();

struct ExportPlan
{
    std::string what;                ///< run (number, id, name, "run:12") or model ("model:smollm2")
    std::string form;                ///< id of an ExportFormInfo
    std::filesystem::path folder;    ///< to make; must not exist or be empty
    std::string type;                ///< one of the form's types; empty: the first
    std::uint64_t shardBytes = 5'000'000'000;  ///< largest weight file
};
/// Writes, reads back from the disk and proves; ends with the proof card and {"folder", "bytes"}. A
/// proof that fails is an error; the folder stays, with its card.
std::shared_ptr<jobs::Job> makeExportJob(std::shared_ptr<store::Workspace> workspace, ExportPlan plan);

/// Imports a GGUF file or a Hugging Face folder into the workspace; with `base`, the name of a model there,
/// an adapter in PEFT form, which is merged into a copy of that base. Ends with the model's record.
std::shared_ptr<jobs::Job> makeModelImportJob(std::shared_ptr<store::Workspace> workspace,
                                              std::filesystem::path path, std::string name, std::string base = {});

/// A copy of a model of the workspace with further tokens, see model::growVocabulary. Ends with the
/// model's record and "tokens": [{"id", "new"}] in the order given.
std::shared_ptr<jobs::Job> makeGrowJob(std::shared_ptr<store::Workspace> workspace, std::string model,
                                       std::string name, model::VocabularyGrowth growth);

struct DownloadPlan
{
    std::string model;               ///< "owner/name" or "owner/name@revision"
    std::string name;                ///< in the workspace; empty: from the model's
    std::string base; ///< for an adapter: the model of the workspace that it belongs to
};
/// Fetches a model from the hub that the settings name, and imports it. What was fetched when it breaks off
/// or is stopped is kept in the workspace's folder downloads/ and gone on with next time. Refused while the
/// setting "network" is off. Ends with the model's record, the commit in info.hub.
std::shared_ptr<jobs::Job> makeDownloadJob(std::shared_ptr<store::Workspace> workspace, DownloadPlan plan);

/// Log-probability of each token after the first. Ends with {"tokens": [...], "sum", "mean"}.
std::shared_ptr<jobs::Job> makeScoreJob(std::shared_ptr<store::Workspace> workspace, std::string model,
                                        std::string text);

/// What this machine has: cores, memory, instruction sets, CUDA with what is missing and how to get it.
struct DeviceReport
{
    std::string cpuName, kernels;    ///< "AVX2", "AVX-512"
    int cores = 0;
    std::uint64_t memoryBytes = 0, memoryAvailable = 0;
    bool cudaUsable = false;
    std::string cudaName, cudaMissing, cudaRemedy;  ///< name of the GPU, or what is missing and how to get it
    std::uint64_t cudaMemoryBytes = 0, cudaMemoryAvailable = 0;
    std::string libtorchVersion;
    std::string sentence;            ///< one line for Home and Settings
};
DeviceReport deviceReport();
Json toJson(const DeviceReport& report);

/// First thing on every worker thread: number of compute threads, device libraries.
void prepareWorkerThread();

} // namespace fettle::recipes

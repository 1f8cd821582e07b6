#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>
#include <variant>

namespace fettle::jobs {

/// What is being done now; sent at the start of each phase and while it goes on.
struct PhaseChanged
{
    std::string phase;      ///< "read rows", "load model", "first check", "train", "final check" ...
    double fraction = -1;   ///< 0 .. 1; negative: unknown
    std::string detail;     ///< "row 4,112 of 60,000"; may be empty
};

/// One optimizer step. The loss is the mean over the step's trained tokens, in nats.
struct StepDone
{
    std::int64_t step = 0, totalSteps = 0;
    double epoch = 0;                 ///< passes over the training rows so far
    double loss = 0;
    double learningRate = 0;
    double gradNorm = 0;              ///< before clipping
    double tokensPerSecond = 0;       ///< real tokens of this step over its seconds
    std::int64_t tokens = 0;          ///< real tokens read since the start of the run
    std::int64_t trainedTokens = 0;   ///< of them, targets of the loss
    double seconds = 0;               ///< time in training since the start of the run, without pauses
    std::int64_t time = 0;            ///< ms since 1970
};

/// Loss on the validation rows (the same rows each time).
struct EvalDone
{
    std::int64_t step = 0;
    double loss = 0;                  ///< mean over trained tokens, nats
    double low = 0, high = 0;         ///< 95 % interval over rows; equal to loss when there is one row
    std::int64_t rows = 0, trainedTokens = 0;
    bool best = false;                ///< lowest so far
    double seconds = 0;               ///< as StepDone::seconds
    std::int64_t time = 0;
};

/// A fixed prompt answered by the model as it is at `step`.
struct SampleDone
{
    std::int64_t step = 0;
    std::int64_t prompt = 0;          ///< index into the run's fixed prompts (run.json)
    std::string answer;
};

struct CheckpointSaved
{
    std::int64_t step = 0;
    std::string folder;               ///< inside the run folder: "checkpoints/step-0000120"
    bool best = false;
};

/// The run goes on from a checkpoint; steps after it are void.
struct Resumed
{
    std::int64_t step = 0;
};

struct Warning
{
    std::string code;                 ///< "early_stop", "rows_too_long" ...
    std::string text;                 ///< one sentence
};

/// A piece of an answer while it is written (generation).
struct TextPiece
{
    std::int64_t stream = 0;          ///< which of the models that answer together
    std::string text;
};

/// End of a job; exactly one, and last.
struct Finished
{
    Json result = Json::object();
};
struct Stopped                        ///< a person stopped it
{
    Json result = Json::object();     ///< for a run: {"step": n} of the checkpoint that was kept
};
struct Failed
{
    Error error;
};

using Event = std::variant<PhaseChanged, StepDone, EvalDone, SampleDone, CheckpointSaved, Resumed, Warning,
                           TextPiece, Finished, Stopped, Failed>;

bool isEnd(const Event& event);
/// {"event": "step", "step": 12, ...}: the line that --events prints and that events.jsonl keeps.
/// Numbers that are not finite are written as null.
Json toJson(const Event& event);
Result<Event> eventFromJson(const Json& json);

} // namespace fettle::jobs

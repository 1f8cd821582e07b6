#pragma once

#include "base/json.h"
#include "train/loss_watch.h"

#include <cstdint>
#include <limits>
#include <string>

namespace fettle::train {

/// Everything besides weights and moments that decides how a run goes on; saved whole.
struct TrainingState
{
    std::int64_t step = 0;           ///< optimizer steps done
    std::int64_t tokens = 0;         ///< real tokens read
    std::int64_t trainedTokens = 0;
    double seconds = 0;              ///< in training, without pauses
    double bestEvalLoss = std::numeric_limits<double>::infinity();
    std::int64_t bestStep = -1;
    std::int64_t checksWithoutGain = 0;
    std::int64_t lastCheckStep = -1;
    std::int64_t microBatchTokens = 0;  ///< as lowered when memory was short; 0: as the settings say
    double rateScale = 1;               ///< a person's factor on the schedule since a resume
    std::int64_t threads = 0;           ///< of the computation: sums of another number round differently; 0: unknown
    LossWatch watch;
};

inline Json toJson(const TrainingState& s)
{
    return {{"step", s.step},
            {"tokens", s.tokens},
            {"trainedTokens", s.trainedTokens},
            {"seconds", s.seconds},
            {"bestEvalLoss", s.bestStep < 0 ? Json(nullptr) : Json(s.bestEvalLoss)},
            {"bestStep", s.bestStep},
            {"checksWithoutGain", s.checksWithoutGain},
            {"lastCheckStep", s.lastCheckStep},
            {"microBatchTokens", s.microBatchTokens},
            {"rateScale", s.rateScale},
            {"threads", s.threads},
            {"watch", s.watch.json()}};
}

inline TrainingState trainingStateFrom(const Json& j)
{
    TrainingState s{j.at("step"), j.at("tokens"), j.at("trainedTokens"), j.at("seconds")};
    s.bestStep = j.at("bestStep");
    if (s.bestStep >= 0)
        s.bestEvalLoss = j.at("bestEvalLoss");
    s.checksWithoutGain = j.at("checksWithoutGain");
    s.lastCheckStep = j.at("lastCheckStep");
    // Save points of earlier versions have none of these.
    s.microBatchTokens = j.value("microBatchTokens", std::int64_t{0});
    s.rateScale = j.value("rateScale", 1.0);
    s.threads = j.value("threads", std::int64_t{0});
    if (j.contains("watch"))
        s.watch = LossWatch::from(j.at("watch"));
    return s;
}

} // namespace fettle::train

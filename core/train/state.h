#pragma once

#include "base/json.h"

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
            {"lastCheckStep", s.lastCheckStep}};
}

inline TrainingState trainingStateFrom(const Json& j)
{
    TrainingState s{j.at("step"), j.at("tokens"), j.at("trainedTokens"), j.at("seconds")};
    s.bestStep = j.at("bestStep");
    if (s.bestStep >= 0)
        s.bestEvalLoss = j.at("bestEvalLoss");
    s.checksWithoutGain = j.at("checksWithoutGain");
    s.lastCheckStep = j.at("lastCheckStep");
    return s;
}

} // namespace fettle::train

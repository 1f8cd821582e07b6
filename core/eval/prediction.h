#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>

namespace fettle::eval {

/// What one model did with one row. Kept on disk, so that every score can be made again without the
/// model.
struct RowPrediction
{
    std::int64_t rowId = 0; ///< id of the row in its dataset
    std::string reference;  ///< the wanted answer, or the class
    std::string prediction; ///< the answer that was written; meaningful when hasAnswer
    double lossSum = 0; ///< negative log-likelihood of the wanted answer, nats, summed over tokens
    std::int64_t tokens = 0; ///< tokens in lossSum; 0: the loss of this row was not measured
    bool hasAnswer = false;  ///< the model was asked to answer (an empty answer is an answer)
};

/// One line of predictions.jsonl.
Json toJson(const RowPrediction& row);
Result<RowPrediction> predictionFromJson(const Json& json);

} // namespace fettle::eval

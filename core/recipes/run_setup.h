#pragma once

#include "model/import/model_config.h"
#include "recipes/encode.h"
#include "recipes/front_door.h"
#include "train/encoded_row.h"

#include <map>
#include <vector>

namespace fettle::recipes {

/// The rows of a run as the model reads them.
struct EncodedSplits
{
    std::vector<train::EncodedRow> train, validation;
    std::vector<data::Example> validationExamples;    ///< same order as validation
    std::int64_t tooLong = 0, untaught = 0, refused = 0;  ///< rows left out, by reason
};

/// Settings with everything that was left to the program filled in from method and model: what a run
/// records and what decides its numbers.
ParamValues resolvedSettings(const ParamValues& settings, const model::ModelConfig& config);

/// Encodes training rows and the fixed checking rows. Rows that are too long are left out, never cut;
/// running text is cut into pieces of the longest length. `stop` ends early with Cancelled.
Result<EncodedSplits> encodeRows(const Encoder& encoder, const std::vector<store::DatasetRow>& rows,
                                 const ParamValues& settings, std::uint64_t seed,
                                 const std::function<bool(std::size_t done)>& stop = {});

/// The checking rows whose questions are answered along the run: the first ones in checking order.
std::vector<data::Example> fixedQuestions(const EncodedSplits& splits, const ParamValues& settings);

} // namespace fettle::recipes

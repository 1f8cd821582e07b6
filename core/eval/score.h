#pragma once

#include "data/example.h"
#include "eval/metric.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fettle::eval {

/// A number with its 95 % interval over rows, and what the interval was made by.
struct Score
{
    std::string id, title;
    double value = 0;         ///< NaN when undefined
    double low = 0, high = 0; ///< 95 % interval over rows
    std::int64_t rows = 0;    ///< rows that were counted
    std::string method =
        {}; ///< "Wilson interval over rows", "bootstrap over rows, 1,000 resamples"
    Direction direction = Direction::HigherIsBetter;
};
/// Numbers that are not finite are null.
Json toJson(const Score& score);
/// For tables and programs that read a finished evaluation. Errors: InvalidInput.
Result<Score> scoreFromJson(const Json& json);

struct ScoreOptions
{
    std::vector<std::string> metrics = {}; ///< ids; empty: those that suit the kind of data
    int resamples = 1000;
    std::uint64_t seed = 42;
};

/// Scores of one model. Metrics for which no row has what they read are left out; unknown ids too.
/// Rows of Chat and Completion data whose references are few and short (a class each) are scored
/// as classes as well.
std::vector<Score> scoreRows(data::RecordKind kind, std::span<const RowPrediction> rows,
                             const ScoreOptions& options = {});

/// True when the references look like names of classes: short, one line, each used by several rows.
bool looksLikeClasses(std::span<const RowPrediction> rows);

/// The rows that have what `metric` reads, in their order.
std::vector<RowPrediction> rowsFor(const MetricSpec& metric, std::span<const RowPrediction> rows);

} // namespace fettle::eval

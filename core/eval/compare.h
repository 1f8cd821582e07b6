#pragma once

#include "eval/resample.h"
#include "eval/score.h"

#include <optional>

namespace fettle::eval {

enum class Verdict
{
    Better,
    Worse,
    CannotTell
};
/// "better", "worse", "cannot tell".
std::string toString(Verdict verdict);

/// A model against a baseline on the same rows.
struct Comparison
{
    std::string id, title;
    double value = 0, baseline = 0;
    double difference = 0;    ///< value - baseline
    double low = 0, high = 0; ///< 95 % interval of the difference: paired bootstrap over rows
    double p = 1; ///< two-sided, paired bootstrap: (#{|d_b - mean d| > |d|} + 1) / (R + 1)
    std::optional<double> mcnemarP; ///< exact; for shares of rows that are right
    std::int64_t rows = 0;
    Verdict verdict = Verdict::CannotTell;
    std::string method;
};
Json toJson(const Comparison& comparison);

/// Compares two models by one metric. Better or worse only when the interval of the difference does
/// not touch zero.
/// Errors: NotFound (no such metric); InvalidInput when rows or references differ or none is
/// scored.
Result<Comparison> compareRows(const std::string& metricId, std::span<const RowPrediction> model,
                               std::span<const RowPrediction> baseline,
                               const ScoreOptions& options = {});

/// As above with given metrics and resamples; both are prepared for the same rows in the same
/// order.
Comparison comparePrepared(const PreparedMetric& model, const PreparedMetric& baseline,
                           Direction direction, int resamples, const NextResample& next);

/// Exact two-sided McNemar test: p for `onlyFirst` and `onlySecond` rows that one alone got right.
double mcnemarExact(std::int64_t onlyFirst, std::int64_t onlySecond);

} // namespace fettle::eval

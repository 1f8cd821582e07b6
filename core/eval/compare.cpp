#include "eval/compare.h"

#include "eval/intervals.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace fettle::eval {

namespace {

Verdict verdictFor(const Comparison& comparison, Direction direction)
{
    if (!(comparison.low > 0) && !(comparison.high < 0))
        return Verdict::CannotTell;
    const bool higher = comparison.low > 0;
    return higher == (direction == Direction::HigherIsBetter) ? Verdict::Better : Verdict::Worse;
}

/// Differences of the scores on the same resampled rows.
std::vector<double> resampledDifferences(const PreparedMetric& model,
                                         const PreparedMetric& baseline, int resamples,
                                         const NextResample& next)
{
    std::vector<std::uint32_t> indices(model.rows());
    std::vector<double> ours(model.size()), theirs(baseline.size()), differences;
    for (int i = 0; i < resamples; ++i) {
        next(indices);
        std::ranges::fill(ours, 0.0);
        std::ranges::fill(theirs, 0.0);
        for (const auto index : indices) {
            model.add(index, ours);
            baseline.add(index, theirs);
        }
        if (const double d = model.value(ours) - baseline.value(theirs); !std::isnan(d))
            differences.push_back(d);
    }
    return differences;
}

/// Rows that one model alone got right.
double mcnemarOf(const PreparedMetric& model, const PreparedMetric& baseline)
{
    std::int64_t onlyModel = 0, onlyBaseline = 0;
    const auto right = [](const PreparedMetric& metric, std::size_t row) {
        std::vector<double> sums(metric.size());
        metric.add(row, sums);
        return metric.value(sums) > 0.5;
    };
    for (std::size_t row = 0; row < model.rows(); ++row) {
        const bool ours = right(model, row), theirs = right(baseline, row);
        onlyModel += ours && !theirs;
        onlyBaseline += theirs && !ours;
    }
    return mcnemarExact(onlyModel, onlyBaseline);
}

} // namespace

std::string toString(Verdict verdict)
{
    switch (verdict) {
    case Verdict::Better:
        return "better";
    case Verdict::Worse:
        return "worse";
    case Verdict::CannotTell:
        break;
    }
    return "cannot tell";
}

Comparison comparePrepared(const PreparedMetric& model, const PreparedMetric& baseline,
                           Direction direction, int resamples, const NextResample& next)
{
    Comparison comparison;
    comparison.value = scoreOf(model);
    comparison.baseline = scoreOf(baseline);
    comparison.difference = comparison.value - comparison.baseline;
    comparison.rows = static_cast<std::int64_t>(model.rows());
    comparison.method = fmt::format("paired bootstrap over rows, {} resamples", resamples);

    auto differences = resampledDifferences(model, baseline, resamples, next);
    const auto count = static_cast<double>(differences.size());
    const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / count;
    const auto extreme = std::ranges::count_if(differences, [&](double d) {
        return std::abs(d - mean) > std::abs(comparison.difference);
    });
    // Without any difference the strict comparison would count nothing and call it significant.
    comparison.p =
        comparison.difference == 0 ? 1 : (static_cast<double>(extreme) + 1) / (count + 1);
    std::ranges::sort(differences);
    comparison.low = quantile(differences, 0.025);
    comparison.high = quantile(differences, 0.975);
    comparison.verdict = verdictFor(comparison, direction);
    return comparison;
}

Result<Comparison> compareRows(const std::string& metricId, std::span<const RowPrediction> model,
                               std::span<const RowPrediction> baseline, const ScoreOptions& options)
{
    const Metric* metric = findMetric(metricId);
    if (metric == nullptr)
        return Error{ErrorCode::NotFound, fmt::format("there is no score \"{}\"", metricId),
                     "scores", "Choose one of the scores of the evaluation"};
    const auto spec = metric->spec();
    const auto ours = rowsFor(spec, model), theirs = rowsFor(spec, baseline);
    const auto sameRow = [](const RowPrediction& a, const RowPrediction& b) {
        return a.rowId == b.rowId && a.reference == b.reference;
    };
    if (ours.empty() || !std::ranges::equal(ours, theirs, sameRow))
        return Error{ErrorCode::InvalidInput, "the two models were not scored on the same rows",
                     spec.title, "Evaluate both on the same rows with the same settings"};
    const auto first = metric->prepare(ours), second = metric->prepare(theirs);
    auto comparison = comparePrepared(*first, *second, spec.direction, options.resamples,
                                      randomResamples(options.seed));
    comparison.id = spec.id;
    comparison.title = spec.title;
    if (spec.proportion)
        comparison.mcnemarP = mcnemarOf(*first, *second);
    return comparison;
}

double mcnemarExact(std::int64_t onlyFirst, std::int64_t onlySecond)
{
    const auto n = static_cast<double>(onlyFirst + onlySecond);
    const auto fewer = std::min(onlyFirst, onlySecond);
    double tail = 0;
    for (std::int64_t i = 0; i <= fewer; ++i) {
        const auto k = static_cast<double>(i);
        tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                         n * std::log(2.0));
    }
    return std::min(1.0, 2 * tail);
}

Json toJson(const Comparison& comparison)
{
    const auto number = [](double value) {
        return std::isfinite(value) ? Json(value) : Json(nullptr);
    };
    Json json = {{"id", comparison.id},
                 {"title", comparison.title},
                 {"value", number(comparison.value)},
                 {"baseline", number(comparison.baseline)},
                 {"difference", number(comparison.difference)},
                 {"low", number(comparison.low)},
                 {"high", number(comparison.high)},
                 {"p", number(comparison.p)},
                 {"rows", comparison.rows},
                 {"verdict", toString(comparison.verdict)},
                 {"method", comparison.method}};
    if (comparison.mcnemarP)
        json["mcnemarP"] = *comparison.mcnemarP;
    return json;
}

} // namespace fettle::eval

#include "train/trainer.h"

#include "tensor/torch_pch.h"

#include <cmath>
#include <numeric>

namespace fettle::train {

namespace {

/// 97.5 % point of Student's t (Cornish-Fisher expansion to second order; within 0.01 from 4 degrees on).
double studentT(double freedom)
{
    const double z = 1.959963984540054, z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom);
}

/// Interval of a ratio of sums over rows (linearised): the rows are the sample, not the tokens.
void addInterval(Evaluation& e, double weight)
{
    e.low = e.high = e.loss;
    const auto n = static_cast<double>(e.rowSum.size());
    if (n < 2)
        return;
    double squares = 0;
    for (std::size_t i = 0; i < e.rowSum.size(); ++i) {
        const double residual = e.rowSum[i] - e.loss * static_cast<double>(e.rowWeight[i]);
        squares += residual * residual;
    }
    const double error = std::sqrt(squares * n / (n - 1)) / weight;
    e.low = e.loss - studentT(n - 1) * error;
    e.high = e.loss + studentT(n - 1) * error;
}

} // namespace

std::optional<Evaluation> evaluate(model::LanguageModel& model, const objectives::Objective& objective,
                                   const std::vector<EncodedRow>& rows, std::int64_t microBatchTokens,
                                   const std::function<bool()>& stop)
{
    const at::NoGradGuard noGrad;
    std::vector<std::int64_t> lengths;
    for (const auto& row : rows)
        lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
    Evaluation result;
    result.rowSum.assign(rows.size(), 0.0);
    result.rowWeight.assign(rows.size(), 0);
    objectives::TrainContext context{model, {}};
    for (const auto& picked : packFirstFit(lengths, microBatchTokens)) {
        if (stop && stop())
            return {};
        objectives::Batch batch;
        for (const auto index : picked)
            batch.add(rows[index].ids, rows[index].trained, static_cast<std::int64_t>(index));
        const auto loss = objective.compute(context, batch, {{"tokens", 1.0}});
        for (std::size_t d = 0; d < picked.size(); ++d) {
            result.rowSum[picked[d]] = loss.rowSum[d];
            result.rowWeight[picked[d]] = loss.rowWeight[d];
        }
    }
    result.trainedTokens = std::accumulate(result.rowWeight.begin(), result.rowWeight.end(), std::int64_t{0});
    const auto weight = static_cast<double>(std::max<std::int64_t>(1, result.trainedTokens));
    result.loss = std::accumulate(result.rowSum.begin(), result.rowSum.end(), 0.0) / weight;
    addInterval(result, weight);
    return result;
}

} // namespace fettle::train

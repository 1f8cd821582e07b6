#pragma once

#include "eval/metric.h"
#include "eval/resample.h"

#include <cstdint>
#include <span>
#include <vector>

namespace fettle::eval {

struct Interval
{
    double low = 0, high = 0;
};

/// 95 % interval of a proportion (Wilson 1927). `count` > 0.
Interval wilsonInterval(std::int64_t successes, std::int64_t count);

/// Quantile `q` of sorted values with linear interpolation at h = (n - 1) q.
double quantile(std::span<const double> sorted, double q);

/// The score on `resamples` resamples of the rows. Undefined scores (NaN) are left out.
std::vector<double> resampledScores(const PreparedMetric& metric, int resamples,
                                    const NextResample& next);

/// 95 % percentile bootstrap over rows; both bounds NaN when no resample has a score.
Interval bootstrapInterval(const PreparedMetric& metric, int resamples, const NextResample& next);

/// Distribution function of Student's t.
double studentCdf(double t, double degreesOfFreedom);
/// Two-sided 95 % multiplier for `count` repeats: 4.30 for three. `count` > 1.
double studentMultiplier(std::int64_t count);
/// 95 % interval of the mean of independent repeats; needs at least two.
Interval studentInterval(std::span<const double> values);

} // namespace fettle::eval

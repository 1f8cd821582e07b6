#include "eval/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fettle::eval {

namespace {

constexpr double kNormal975 = 1.959963984540054; // quantile 0.975 of the standard normal

/// Regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun
/// 26.5.8), evaluated from the front with the modified Lentz method.
double incompleteBeta(double a, double b, double x)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    if (x > (a + 1) / (a + b + 2)) // converges quickly on this side only
        return 1 - incompleteBeta(b, a, 1 - x);
    constexpr double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    double fraction = d;
    const auto step = [&](double coefficient) {
        d = 1 + coefficient * d;
        c = 1 + coefficient / c;
        d = 1 / (std::abs(d) < tiny ? tiny : d);
        c = std::abs(c) < tiny ? tiny : c;
        fraction *= d * c;
    };
    for (int m = 1; m < 500; ++m) {
        const double before = fraction;
        step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
        step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)));
        if (std::abs(fraction - before) <= 1e-16 * std::abs(fraction))
            break;
    }
    const double logFront =
        a * std::log(x) + b * std::log1p(-x) + std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b);
    return std::exp(logFront) * fraction / a;
}

} // namespace

Interval wilsonInterval(std::int64_t successes, std::int64_t count)
{
    const auto n = static_cast<double>(count);
    const double p = static_cast<double>(successes) / n;
    const double z2 = kNormal975 * kNormal975;
    const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    const double half = kNormal975 / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    // At 0 of n and n of n one bound is exact; rounding must not move it.
    return {successes == 0 ? 0 : centre - half, successes == count ? 1 : centre + half};
}

double quantile(std::span<const double> sorted, double q)
{
    if (sorted.empty())
        return std::numeric_limits<double>::quiet_NaN();
    const double at = static_cast<double>(sorted.size() - 1) * q;
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<double> resampledScores(const PreparedMetric& metric, int resamples,
                                    const NextResample& next)
{
    std::vector<std::uint32_t> indices(metric.rows());
    std::vector<double> sums(metric.size()), scores;
    scores.reserve(static_cast<std::size_t>(resamples));
    for (int i = 0; i < resamples; ++i) {
        next(indices);
        std::ranges::fill(sums, 0.0);
        for (const auto index : indices)
            metric.add(index, sums);
        if (const double score = metric.value(sums); !std::isnan(score))
            scores.push_back(score);
    }
    return scores;
}

Interval bootstrapInterval(const PreparedMetric& metric, int resamples, const NextResample& next)
{
    auto scores = resampledScores(metric, resamples, next);
    std::ranges::sort(scores);
    return {quantile(scores, 0.025), quantile(scores, 0.975)};
}

double studentCdf(double t, double degreesOfFreedom)
{
    const double tail = 0.5 * incompleteBeta(degreesOfFreedom / 2, 0.5,
                                             degreesOfFreedom / (degreesOfFreedom + t * t));
    return t > 0 ? 1 - tail : tail;
}

double studentMultiplier(std::int64_t count)
{
    const auto freedom = static_cast<double>(count - 1);
    double low = 0, high = 16;
    while (studentCdf(high, freedom) < 0.975)
        high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-13 * high; ++i) {
        const double middle = 0.5 * (low + high);
        (studentCdf(middle, freedom) < 0.975 ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

Interval studentInterval(std::span<const double> values)
{
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double squares = 0;
    for (const double value : values)
        squares += (value - mean) * (value - mean);
    const double half = studentMultiplier(static_cast<std::int64_t>(values.size())) *
                        std::sqrt(squares / (n - 1) / n);
    return {mean - half, mean + half};
}

} // namespace fettle::eval

#include "model/import/rotary.h"

#include <algorithm>
#include <cmath>

namespace fettle::model {

namespace {

double originalLength(const ModelConfig& config)
{
    return config.rope.originalMaxPositions > 0 ? config.rope.originalMaxPositions
                                                : static_cast<double>(config.maxPositions);
}

/// Long waves are stretched by the factor, short ones stay, those between are mixed.
double llama3(double f, const RopeScaling& rope)
{
    const double wave = 2 * M_PI / f, original = rope.originalMaxPositions;
    if (wave > original / rope.lowFreqFactor)
        return f / rope.factor;
    if (wave < original / rope.highFreqFactor)
        return f;
    const double smooth =
        (original / wave - rope.lowFreqFactor) / (rope.highFreqFactor - rope.lowFreqFactor);
    return (1 - smooth) * f / rope.factor + smooth * f;
}

/// Share of pair j that is stretched: 0 below the pair that turns betaFast times, 1 above betaSlow.
double yarnRamp(std::size_t j, double dim, double theta, double original, const RopeScaling& rope)
{
    const auto pairOf = [&](double turns) {
        return dim * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(theta));
    };
    const double low = std::max(std::floor(pairOf(rope.betaFast)), 0.0);
    double high = std::min(std::ceil(pairOf(rope.betaSlow)), dim - 1);
    if (low == high)
        high += 0.001;
    return std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
}

double multiplierOf(const ModelConfig& config)
{
    const auto& rope = config.rope;
    if (rope.type != "yarn" && rope.type != "longrope")
        return 1;
    if (rope.attentionFactor > 0)
        return rope.attentionFactor;
    if (rope.type == "yarn")
        return rope.factor <= 1 ? 1 : 0.1 * std::log(rope.factor) + 1;
    const double original = originalLength(config);
    const double ratio = static_cast<double>(config.maxPositions) / original;
    return ratio <= 1 ? 1 : std::sqrt(1 + std::log(ratio) / std::log(original));
}

} // namespace

Rotary rotaryFor(const ModelConfig& config, bool local, std::int64_t length)
{
    const auto& rope = config.rope;
    const auto dim = config.rotaryDim;
    const double wide = static_cast<double>(dim), longest = static_cast<double>(length);
    double theta = local ? config.localRopeTheta : config.ropeTheta;
    const std::string type = local ? "default" : rope.type;
    const double most = static_cast<double>(config.maxPositions);
    if (type == "dynamic" && longest > most)
        theta *= std::pow(rope.factor * longest / most - (rope.factor - 1), wide / (wide - 2));
    const auto& factors = longest > originalLength(config) ? rope.longFactors : rope.shortFactors;
    Rotary rotary;
    rotary.multiplier = local ? 1 : multiplierOf(config);
    for (std::int64_t i = 0; i < dim; i += 2) {
        const auto j = static_cast<std::size_t>(i / 2);
        const float power = static_cast<float>(i) / static_cast<float>(dim);
        double f = 1.0f / std::pow(static_cast<float>(theta), power);
        if (type == "linear") {
            f /= rope.factor;
        } else if (type == "llama3") {
            f = llama3(f, rope);
        } else if (type == "yarn") {
            const double ramp = yarnRamp(j, wide, theta, originalLength(config), rope);
            f = f / rope.factor * ramp + f * (1 - ramp);
        } else if (type == "longrope") {
            f /= factors[j];
        }
        rotary.inverse.push_back(static_cast<float>(f));
    }
    return rotary;
}

} // namespace fettle::model

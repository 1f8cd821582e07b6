#include "model/architectures/families.h"

#include <cmath>

namespace fettle::model {

namespace {

/// Inverse frequencies in float32, as the reference rounds them; scaling by type.
/// Source: the published rope variants (default, linear, llama3); formulas in float64, then rounded.
Result<std::vector<float>> inverseFrequencies(const ModelConfig& config)
{
    const auto dim = config.headDim;
    std::vector<float> out;
    for (std::int64_t j = 0; j < dim; j += 2) {
        const float power = static_cast<float>(j) / static_cast<float>(dim);
        double f = 1.0f / std::pow(static_cast<float>(config.ropeTheta), power);
        const auto& rope = config.rope;
        if (rope.type == "linear") {
            f /= rope.factor;
        } else if (rope.type == "llama3") {
            const double wave = 2 * M_PI / f, original = rope.originalMaxPositions;
            const double low = original / rope.lowFreqFactor, high = original / rope.highFreqFactor;
            if (wave > low) {
                f /= rope.factor;
            } else if (wave >= high) {
                const double smooth = (original / wave - rope.lowFreqFactor) / (rope.highFreqFactor - rope.lowFreqFactor);
                f = (1 - smooth) * f / rope.factor + smooth * f;
            }
        } else if (rope.type != "default") {
            return Error{ErrorCode::Unsupported, "the position encoding \"" + rope.type + "\" is not known here",
                         "config.json, rope_scaling", "Choose a model with default, linear or llama3 positions"};
        }
        out.push_back(static_cast<float>(f));
    }
    return out;
}

} // namespace

Result<ArchitectureSpec> llamaSpec(const ModelConfig& config)
{
    auto frequencies = inverseFrequencies(config);
    if (!frequencies)
        return frequencies.error();
    ArchitectureSpec spec;
    spec.layers = config.layers;
    spec.hidden = config.hidden;
    spec.intermediate = config.intermediate;
    spec.heads = config.heads;
    spec.kvHeads = config.kvHeads;
    spec.headDim = config.headDim;
    spec.vocab = config.vocab;
    spec.normEps = config.normEps;
    spec.attentionScale = 1.0 / std::sqrt(static_cast<double>(config.headDim));
    spec.window = config.slidingWindow;
    spec.attentionBias = config.attentionBias;
    spec.mlpBias = config.mlpBias;
    spec.tiedHead = config.tieEmbeddings;
    spec.paddingId = config.padId && *config.padId < config.vocab ? *config.padId : -1;
    spec.inverseFrequencies = *std::move(frequencies);
    return spec;
}

} // namespace fettle::model

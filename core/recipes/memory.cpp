#include "recipes/memory.h"

#include <algorithm>

namespace fettle::recipes {

namespace {

/// Bytes of activations that autograd keeps for `tokens` tokens in float32, and of the loss chunk.
std::uint64_t activationBytes(const model::ModelConfig& c, std::int64_t tokens)
{
    const auto perToken =
        c.hidden * 8 + c.heads * c.headDim * 3 + c.kvHeads * c.headDim * 4 + c.intermediate * 3;
    const auto layers = c.layers + c.writer.layers;
    return static_cast<std::uint64_t>(perToken * layers * tokens) * 4 +
           static_cast<std::uint64_t>(c.vocab) * 512 * 4;
}

std::uint64_t weightBytes(const model::ModelConfig& config)
{
    return static_cast<std::uint64_t>(config.parameters()) * 4;
}

} // namespace

std::int64_t trainableParameters(const model::ModelConfig& config, const ParamValues& settings)
{
    if (settings.text("method") != "lora")
        return config.parameters();
    const auto targets = settings.list("lora.targets");
    std::int64_t perRank = 0;
    for (const auto& weight : model::expectedWeights(config)) {
        const auto path = weight.name.substr(0, weight.name.rfind('.'));
        const bool named = std::ranges::any_of(targets, [&](const std::string& target) {
            return target == "all-linear" || path == target || path.ends_with("." + target);
        });
        if (weight.site && named)
            perRank += weight.shape[0] + weight.shape[1];
    }
    return perRank * settings.integer("lora.rank");
}

std::uint64_t trainingBytes(const model::ModelConfig& config, const ParamValues& settings)
{
    const auto moving = static_cast<std::uint64_t>(trainableParameters(config, settings));
    // Full training moves the weights themselves; an add-on is a further tensor beside them.
    const std::uint64_t perMoving = settings.text("method") == "full" ? 12 : 16;
    return weightBytes(config) + moving * perMoving +
           activationBytes(config, settings.integer("training.microBatchTokens"));
}

std::uint64_t answeringBytes(const model::ModelConfig& config)
{
    const auto context = std::min<std::int64_t>(config.maxPositions, 4096);
    return weightBytes(config) + static_cast<std::uint64_t>(config.layers * context * 2 *
                                                            config.kvHeads * config.headDim) *
                                     4;
}

} // namespace fettle::recipes

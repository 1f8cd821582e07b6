#include "recipes/memory.h"

#include "model/fused/known.h"
#include "model/import/weight_bytes.h"
#include "recipes/settings.h"

#include <algorithm>

namespace fettle::recipes {

namespace {

/// Floats of low-rank products that the fused pass keeps for a token and layer: up to seven sites, in
/// panels.
std::int64_t lowRankFloats(const ParamValues& settings)
{
    if (settings.text("method") != "lora")
        return 0;
    return 7 * ((settings.integer("lora.rank") + 15) / 16 * 16);
}

/// Floats that the fused pass keeps of a token and layer until it goes backward (fused/tape.cpp).
std::int64_t keptFloats(const model::ModelConfig& c)
{
    const auto queries = c.heads * c.headDim, keys = c.kvHeads * c.headDim;
    auto kept = 2 * c.hidden + 2 * queries + 2 * keys + c.heads; // input, middle, heads, their sum
    kept += (c.gated() ? 2 : 1) * c.intermediate;
    if (c.headNorm != model::HeadNorm::None) // queries and keys before their norms
        kept += queries + keys;
    const bool scaled = c.residualScale != 1; // what a part gives is kept beside the states
    for (const auto* behind : {&c.names.afterAttention, &c.names.afterMlp})
        kept += scaled || !behind->empty() ? c.hidden : 0;
    return kept;
}

/// What the fused pass (model/fused/stack.h) holds for `tokens` tokens: activations of all layers,
/// work of one, operands of one packed in both directions. `recomputed` layers keep their input
/// alone and share two sets of activations. `most`: tokens that a pass without a backward one reads.
std::int64_t fusedFloats(const model::ModelConfig& c, const ParamValues& settings,
                         std::int64_t tokens, std::int64_t recomputed, std::int64_t most)
{
    const auto queries = c.heads * c.headDim, keys = c.kvHeads * c.headDim;
    const auto low = lowRankFloats(settings);
    const auto kept = keptFloats(c) + low;
    auto work = 4 * c.hidden + 4 * queries + 4 * keys + c.intermediate + low;
    if (low > 0 && settings.real("lora.dropout") > 0)
        work += 3 * c.hidden; // keys, values and factors read masks of their own
    const auto matrices = c.gated() ? 3 : 2;
    const auto weights = c.hidden * (2 * queries + 2 * keys + matrices * c.intermediate);
    // Such a pass goes through the buffers of one layer.
    const auto further = std::max<std::int64_t>(0, most - tokens);
    // Measured with all but one made again, the peak lies up to two sets above these two.
    const auto whole = c.layers - recomputed + std::min<std::int64_t>(4, recomputed);
    return tokens * (whole * kept + recomputed * c.hidden + work) + further * kept + 2 * weights;
}

/// What autograd keeps of the readable operations.
std::int64_t readableFloats(const model::ModelConfig& c, std::int64_t tokens)
{
    const auto perToken =
        c.hidden * 8 + c.heads * c.headDim * 3 + c.kvHeads * c.headDim * 4 + c.intermediate * 3;
    return perToken * (c.layers + c.writer.layers) * tokens;
}

/// Bytes of one micro-batch in float32, and of what a check reads at once.
std::uint64_t passBytes(const model::ModelConfig& c, const ParamValues& settings,
                        const PieceSizes& sizes)
{
    const auto allowed = settings.integer("training.microBatchTokens");
    const auto tokens = sizes.tokens > 0 ? sizes.tokens : allowed;
    const auto most = std::max(allowed, sizes.answered);
    const auto floats = model::fused::knows(c)
                            ? fusedFloats(c, settings, tokens, sizes.recomputed, most)
                            : readableFloats(c, tokens);
    return static_cast<std::uint64_t>(floats) * 4;
}

/// Of a step alone: gradients, a piece of logits, and the gradients of a table that trains.
std::uint64_t stepBytes(const model::ModelConfig& c, const ParamValues& settings,
                        std::int64_t taught)
{
    const bool whole = settings.text("method") == "full";
    std::int64_t rows = whole ? 256 : 128; // of logits at once
    if (taught > 0)
        rows = std::min(rows, taught);
    const auto head = c.vocab * (whole ? rows + c.hidden : rows);
    return static_cast<std::uint64_t>(trainableParameters(c, settings) + head) * 4;
}

/// Keys and values of some tokens.
std::uint64_t cacheBytes(const model::ModelConfig& c, std::int64_t tokens)
{
    return static_cast<std::uint64_t>(c.layers * tokens * 2 * c.kvHeads * c.headDim) * 4;
}

/// Tokenizer, rows, threads and the buffers of the libraries. Measured with SmolLM2-135M in 32 and
/// in 16 bits and random models of the shapes of qwen3 and gemma3, two threads
/// (tests/bench/forecast_grid.py): 45 to 83 MB; rounded up, since a forecast below the truth is the
/// worse one.
constexpr std::uint64_t kBeside = 90'000'000;

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

std::uint64_t momentBytes(const model::ModelConfig& config, const ParamValues& settings)
{
    auto whole = trainableParameters(config, settings);
    if (settings.text("training.optimizer") == "adamw")
        return static_cast<std::uint64_t>(whole) * 8;
    // In 8 bits two codes for each value and two scales for every 256; tables stay in 32 bits.
    const auto table = settings.text("method") == "full" ? config.vocab * config.hidden : 0;
    whole -= table;
    return static_cast<std::uint64_t>(table * 8 + whole * 2 + whole / 32);
}

std::int64_t recomputedLayers(const model::ModelConfig& config, tensor::WeightKind stored,
                              const ParamValues& settings, std::uint64_t available)
{
    const auto how = settings.text("training.recompute");
    const auto most =
        model::fused::knows(config) ? config.layers - 1 : 0; // the last one goes backward at once
    if (how != "auto" || available == 0)
        return how == "all" ? most : 0;
    std::int64_t layers = 0;
    while (layers < most &&
           trainingBytes(config, stored, settings, {.recomputed = layers}) > available)
        ++layers;
    return layers;
}

std::uint64_t trainingBytes(const model::ModelConfig& config, tensor::WeightKind stored,
                            const ParamValues& settings, const PieceSizes& sizes)
{
    auto held = weightKind(settings);
    if (held == tensor::WeightKind::Stored16)
        held = stored;
    // Full training moves the weights themselves, an add-on is a further tensor.
    const auto addOn = settings.text("method") == "full"
                           ? 0
                           : static_cast<std::uint64_t>(trainableParameters(config, settings)) * 4;
    return model::weightBytes(config, held) + addOn + momentBytes(config, settings) +
           passBytes(config, settings, sizes) +
           std::max(stepBytes(config, settings, sizes.taught), cacheBytes(config, sizes.answered)) +
           kBeside;
}

std::uint64_t answeringBytes(const model::ModelConfig& config, tensor::WeightKind stored)
{
    return model::weightBytes(config, stored) +
           cacheBytes(config, std::min<std::int64_t>(config.maxPositions, 4096));
}

} // namespace fettle::recipes

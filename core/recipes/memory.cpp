#include "recipes/memory.h"

#include "model/fused/known.h"
#include "model/import/weight_bytes.h"
#include "recipes/settings.h"
#include "tensor/product.h"

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
/// Weights in 16 bits are taken for bfloat16, the usual ones.
std::int64_t fusedFloats(const model::ModelConfig& c, const ParamValues& settings, tensor::WeightKind held,
                         std::int64_t tokens, std::int64_t recomputed, std::int64_t most)
{
    const auto packed = [](std::int64_t values, bool bfloats) {
        return values * tensor::RightSide::bytesPerValue(bfloats) / 4;
    };
    const auto queries = c.heads * c.headDim, keys = c.kvHeads * c.headDim;
    const auto low = lowRankFloats(settings);
    const auto kept = keptFloats(c) + low;
    auto work = 2 * c.hidden + 3 * queries + 4 * keys + low + packed(2 * c.hidden + queries + c.intermediate, false);
    if (low > 0 && settings.real("lora.dropout") > 0)
        work += packed(3 * c.hidden, false); // keys, values and factors read masks of their own
    const auto matrices = c.gated() ? 3 : 2;
    const auto weights = c.hidden * (2 * queries + 2 * keys + matrices * c.intermediate);
    // Such a pass goes through the buffers of one layer.
    const auto further = std::max<std::int64_t>(0, most - tokens);
    // Measured with all but one made again, the peak lies up to two sets above these two.
    const auto whole = c.layers - recomputed + std::min<std::int64_t>(4, recomputed);
    return tokens * (whole * kept + recomputed * c.hidden + work) + further * kept +
           packed(2 * weights, held == tensor::WeightKind::Stored16);
}

/// What autograd keeps of the readable operations: of layers made again their input, and one of them whole.
std::int64_t readableFloats(const model::ModelConfig& c, std::int64_t tokens, std::int64_t recomputed)
{
    const auto perToken =
        c.hidden * 8 + c.heads * c.headDim * 3 + c.kvHeads * c.headDim * 4 + c.intermediate * 3;
    const auto whole = c.layers + c.writer.layers - recomputed + (recomputed > 0 ? 1 : 0);
    return tokens * (perToken * whole + c.hidden * recomputed);
}

/// What a number takes that is computed with: 2 bytes or 4.
std::uint64_t bytesOfNumber(const ParamValues& settings, bool onCard)
{
    return onCard && precisionOf(settings) != "float32" ? 2 : 4;
}

/// Bytes of one micro-batch, and of what a check reads at once.
std::uint64_t passBytes(const model::ModelConfig& c, const ParamValues& settings, tensor::WeightKind held,
                        const PieceSizes& sizes)
{
    const auto allowed = settings.integer("training.microBatchTokens");
    const auto tokens = sizes.tokens > 0 ? sizes.tokens : allowed;
    const auto most = std::max(allowed, sizes.answered);
    const auto floats = model::fused::knows(c) && !sizes.onCard
                            ? fusedFloats(c, settings, held, tokens, sizes.savings.recomputed, most)
                            : readableFloats(c, tokens, sizes.savings.recomputed);
    return static_cast<std::uint64_t>(floats) * bytesOfNumber(settings, sizes.onCard);
}

/// Of a step alone: gradients, a piece of logits, and the gradients of a table that trains.
std::uint64_t stepBytes(const model::ModelConfig& c, const ParamValues& settings,
                        std::int64_t taught)
{
    const bool whole = settings.text("method") == "full";
    std::int64_t rows = 256; // of logits at once
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

/// Bytes of what the optimizer remembers in 32 bits and in 8: of the latter two codes for each value and two
/// scales for every 256; tables stay in 32 bits.
struct MomentSizes
{
    std::uint64_t wide = 0, coded = 0;
};
MomentSizes momentsOf(const model::ModelConfig& config, const ParamValues& settings)
{
    const auto whole = static_cast<std::uint64_t>(trainableParameters(config, settings));
    if (settings.text("training.optimizer") == "adamw")
        return {whole * 8, 0};
    const auto table = settings.text("method") == "full" ? static_cast<std::uint64_t>(config.vocab * config.hidden) : 0;
    return {table * 8, (whole - table) * 2 + (whole - table) / 32};
}

/// On a card the largest tensor's moments are there for the time of its step.
std::uint64_t momentBytesHeld(const model::ModelConfig& config, const ParamValues& settings, bool onHost)
{
    const auto moments = momentsOf(config, settings);
    const auto largest = static_cast<std::uint64_t>(config.hidden * std::max(config.vocab, config.intermediate)) * 8;
    return moments.coded + (onHost ? std::min(moments.wide, largest) : moments.wide);
}

/// Whether the embedding only serves to look rows up.
bool tableMayLeave(const model::ModelConfig& config, const ParamValues& settings)
{
    return !config.tieEmbeddings && settings.text("method") != "full";
}

/// Tokenizer, rows, threads and the buffers of the libraries. Measured with SmolLM2-135M in 32 and
/// in 16 bits and random models of the shapes of qwen3 and gemma3, two threads
/// (tests/bench/forecast_grid.py): 45 to 92 MB; rounded up, since a forecast below the truth is the
/// worse one.
constexpr std::uint64_t kBeside = 96'000'000;

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
    const auto moments = momentsOf(config, settings);
    return moments.wide + moments.coded;
}

Savings savingsFor(const model::ModelConfig& config, tensor::WeightKind stored, const ParamValues& settings, Room room)
{
    const auto how = settings.text("training.recompute");
    const bool can = config.kind == model::ModelKind::Decoder && config.experts.balance == 0;
    const auto most = can ? config.layers - 1 : 0; // the last one goes backward at once
    const auto least = how == "all" ? most : 0, last = how == "none" ? 0 : most;
    if (room.available == 0)
        return {.recomputed = least};
    Savings savings{.recomputed = least};
    for (const bool host : {false, true}) {
        if (host && !room.onCard)
            break;
        for (auto layers = least; layers <= last; ++layers) {
            savings = {layers, host, host && tableMayLeave(config, settings)};
            if (trainingBytes(config, stored, settings, {.savings = savings, .onCard = room.onCard}) <= room.available)
                return savings;
        }
    }
    return savings;
}

std::uint64_t trainingBytes(const model::ModelConfig& config, tensor::WeightKind stored,
                            const ParamValues& settings, const PieceSizes& sizes)
{
    auto held = weightKind(settings);
    if (held == tensor::WeightKind::Stored16)
        held = stored;
    if (sizes.onCard && !hasFewBits(held)) // in the numbers that are computed with
        held = bytesOfNumber(settings, true) == 2 ? tensor::WeightKind::Stored16 : tensor::WeightKind::Float32;
    // Full training moves the weights themselves, an add-on is a further tensor.
    const auto addOn = settings.text("method") == "full"
                           ? 0
                           : static_cast<std::uint64_t>(trainableParameters(config, settings)) * 4;
    const auto table = static_cast<std::uint64_t>(config.vocab * config.hidden), number = bytesOfNumber(settings, sizes.onCard);
    auto weights = model::weightBytes(config, held);
    if (sizes.onCard && held == tensor::WeightKind::Int8) // tables keep their numbers there
        weights += (config.tieEmbeddings ? 1 : 2) * table * (number - 1);
    if (sizes.savings.hostTable)
        weights -= table * number;
    return weights + addOn +
           momentBytesHeld(config, settings, sizes.savings.hostMoments) + passBytes(config, settings, held, sizes) +
           std::max(stepBytes(config, settings, sizes.taught), cacheBytes(config, sizes.answered)) +
           kBeside;
}

std::uint64_t answeringBytes(const model::ModelConfig& config, tensor::WeightKind stored)
{
    return model::weightBytes(config, stored) +
           cacheBytes(config, std::min<std::int64_t>(config.maxPositions, 4096));
}

} // namespace fettle::recipes

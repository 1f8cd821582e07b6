#include "model/decoder.h"

#include "model/import/rotary.h"
#include "tensor/attention_behind.h"
#include "tensor/recompute.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

#include <array>
#include <cmath>
#include <numeric>

namespace fettle::model {

using at::Tensor;

/// What one pass needs besides the weights.
struct Decoder::Pass
{
    PassContext context;
    std::vector<std::int64_t> positions; // of the tokens
    std::array<Turns, 2>
        turns;               // [T, rotaryDim / 2] of global and of local layers, made when needed
    tensor::Offsets offsets; // of the documents; empty when decoding
    KvCache* cache = nullptr;
    std::span<const std::int64_t> slots;
    bool decoding = false;
    const KvCache* earlier = nullptr; // its slot 0 stands before every document
};

/// q [T, heads, headDim], k and v [T, kvHeads, headDim].
struct Decoder::Heads
{
    Tensor q, k, v;
};

namespace {

/// Angles in float32, as the reference computes them whatever the model's dtype.
FusedDecoder::Turns turnsOfEach(const Rotary& rotary, const std::vector<std::int64_t>& positions,
                                c10::Device device)
{
    const auto count = static_cast<std::int64_t>(positions.size());
    const auto half = static_cast<std::int64_t>(rotary.inverse.size());
    FusedDecoder::Turns turns{at::empty({count, half}, at::kFloat),
                              at::empty({count, half}, at::kFloat)};
    float *c = turns.cosine.data_ptr<float>(), *s = turns.sine.data_ptr<float>();
    const auto multiplier = static_cast<float>(rotary.multiplier);
    for (std::int64_t t = 0; t < count; ++t) {
        for (std::int64_t j = 0; j < half; ++j) {
            const float angle = static_cast<float>(positions[static_cast<std::size_t>(t)]) *
                                rotary.inverse[static_cast<std::size_t>(j)];
            c[t * half + j] = std::cos(angle) * multiplier;
            s[t * half + j] = std::sin(angle) * multiplier;
        }
    }
    return {tensor::onDevice(turns.cosine, device), tensor::onDevice(turns.sine, device)};
}

/// Of many short documents each position below `longest` is computed once.
FusedDecoder::Turns turnsFor(const Rotary& rotary, const std::vector<std::int64_t>& positions,
                             std::int64_t longest, c10::Device device)
{
    if (static_cast<std::int64_t>(positions.size()) <= longest)
        return turnsOfEach(rotary, positions, device);
    std::vector<std::int64_t> all(static_cast<std::size_t>(longest));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    const auto turns = turnsOfEach(rotary, all, device);
    const auto index = indexOf(positions, device);
    return {turns.cosine.index_select(0, index), turns.sine.index_select(0, index)};
}

} // namespace

Decoder::Heads Decoder::project(const Block& block, const Tensor& x, const Pass& pass) const
{
    const auto count = x.size(0), dim = config.headDim;
    const auto queries = config.heads * dim, keys = config.kvHeads * dim;
    Heads heads;
    if (config.qkv == QkvForm::Apart) {
        heads = {block.q.forward(x, pass.context), block.k.forward(x, pass.context),
                 block.v.forward(x, pass.context)};
    } else {
        const auto all = block.qkv.forward(x, pass.context);
        if (config.qkv == QkvForm::PerHead) {
            const auto parts = all.view({count, config.heads, 3, dim}).unbind(2);
            return {parts[0], parts[1], parts[2]};
        }
        const auto parts = all.split_with_sizes({queries, keys, keys}, 1);
        heads = {parts[0], parts[1], parts[2]};
    }
    if (config.headNorm == HeadNorm::Whole) {
        heads.q = normed(config, block.qNorm, heads.q);
        heads.k = normed(config, block.kNorm, heads.k);
    }
    heads.q = heads.q.reshape({count, config.heads, dim});
    heads.k = heads.k.reshape({count, config.kvHeads, dim});
    heads.v = heads.v.reshape({count, config.kvHeads, dim});
    if (config.headNorm == HeadNorm::PerHead) {
        heads.q = normed(config, block.qNorm, heads.q);
        heads.k = normed(config, block.kNorm, heads.k);
    }
    return heads;
}

const Decoder::Turns& Decoder::turnsOf(bool local, Pass& pass) const
{
    auto& turns = pass.turns[local ? 1 : 0];
    if (!turns.cosine.defined()) {
        std::int64_t longest = 0;
        for (const auto position : pass.positions)
            longest = std::max(longest, position + 1);
        turns = turnsFor(rotaryFor(config, local, longest), pass.positions, longest, device());
    }
    return turns;
}

void Decoder::turn(Heads& heads, const LayerConfig& layer, Pass& pass) const
{
    if (config.rotaryDim == 0 || !layer.rotary)
        return;
    const auto& turns = turnsOf(layer.local, pass);
    for (auto* x : {&heads.q, &heads.k}) {
        if (config.rotaryDim == config.headDim) {
            *x = tensor::rope(*x, turns.cosine, turns.sine);
            continue;
        }
        const auto parts =
            x->split_with_sizes({config.rotaryDim, config.headDim - config.rotaryDim}, -1);
        *x = at::cat({tensor::rope(parts[0].contiguous(), turns.cosine, turns.sine), parts[1]}, -1);
    }
}

Tensor Decoder::attention(const Block& block, std::size_t number, const Tensor& x, Pass& pass)
{
    const auto count = x.size(0);
    const auto& layer = config.layer[number];
    auto heads = project(block, x, pass);
    turn(heads, layer, pass);
    const tensor::AttentionShape shape{config.scaleOfLayer(static_cast<std::int64_t>(number)),
                                       layer.window, config.attentionSoftcap};
    const auto before = pass.earlier ? pass.earlier->lengths[0] : 0;
    for (std::size_t d = 0; pass.cache && d < pass.slots.size(); ++d) {
        const auto begin = pass.decoding ? static_cast<std::int64_t>(d) : pass.offsets[d];
        const auto length = pass.decoding ? 1 : pass.offsets[d + 1] - begin;
        const auto slot = pass.slots[d];
        const auto filled =
            pass.decoding ? pass.cache->lengths[static_cast<std::size_t>(slot)] : before;
        const auto put = [&](Tensor& cache, const Tensor& rows) {
            cache[slot].narrow(0, filled, length).copy_(rows.narrow(0, begin, length));
        };
        put(pass.cache->keys[number], heads.k);
        put(pass.cache->values[number], heads.v);
    }
    Tensor mixed; // [T, heads, headDim]
    if (pass.decoding) {
        std::vector<std::int64_t> lengths;
        for (const auto slot : pass.slots)
            lengths.push_back(pass.cache->lengths[static_cast<std::size_t>(slot)] + 1);
        mixed = tensor::cachedAttention(heads.q.contiguous(), pass.cache->keys[number],
                                        pass.cache->values[number], pass.slots, lengths, shape);
    } else if (pass.earlier) {
        mixed = tensor::attentionBehind(pass.earlier->keys[number][0].narrow(0, 0, before),
                                        pass.earlier->values[number][0].narrow(0, 0, before),
                                        heads.q, heads.k, heads.v, pass.offsets, shape);
    } else {
        mixed = tensor::packedAttention(heads.q, heads.k, heads.v, pass.offsets, shape);
    }
    return block.o.forward(mixed.reshape({count, config.heads * config.headDim}), pass.context);
}

/// Each token goes to the experts of its largest router probabilities and their outputs are summed
/// by these. Source: Jiang et al. 2024, "Mixtral of Experts", section 2.1.
Tensor Decoder::mixture(const Block& block, const Tensor& x, const PassContext& pass) const
{
    const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto routed = block.router.forward(x, pass);
    if (pass.routerLogits)
        pass.routerLogits->push_back(routed);
    const auto probabilities = at::softmax(routed, -1, wide);
    auto [weights, picked] = probabilities.topk(config.experts.perToken, -1); // [T, perToken]
    if (config.experts.normalise)
        weights = weights / weights.sum(-1, /*keepdim=*/true);
    weights = weights.to(x.scalar_type());
    Tensor out = at::zeros_like(x);
    // Which (token, rank) go to each expert, in the order of tokens. How many, the host must know: of a device
    // that is one read a layer.
    const auto experts = static_cast<std::int64_t>(block.experts.size());
    const auto flat = picked.flatten();
    const auto order = flat.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
    const auto counts =
        flat.unsqueeze(0).eq(at::arange(experts, flat.options()).unsqueeze(1)).sum(1).cpu();
    std::int64_t first = 0;
    for (std::size_t e = 0; e < block.experts.size(); ++e) {
        const auto tokens = counts.const_data_ptr<std::int64_t>()[e];
        const auto where = order.narrow(0, first, tokens);
        first += tokens;
        if (tokens == 0)
            continue;
        const auto rows = where.div(config.experts.perToken, "floor"), rank = where.remainder(config.experts.perToken);
        const auto& expert = block.experts[e];
        const auto in = x.index_select(0, rows);
        const auto h =
            expert.down.forward(activated(config.activation, expert.gate.forward(in, pass),
                                          expert.up.forward(in, pass)),
                                pass);
        out = out.index_add(0, rows, h * weights.index({rows, rank}).unsqueeze(1));
    }
    return out;
}

Tensor Decoder::inner(const Block& block, const Tensor& x, const PassContext& pass) const
{
    return block.experts.empty() ? feedForward(config, block, x, pass) : mixture(block, x, pass);
}

Tensor Decoder::embed(const std::vector<std::int64_t>& ids,
                      const std::vector<std::int64_t>& places) const
{
    // The row of the padding token gets no gradient as an input, as in the reference.
    const auto padding = config.padId && *config.padId < config.vocab ? *config.padId : -1;
    auto h = embedded(ids, padding); // [T, hidden]
    if (config.embeddingScale != 1)
        h = h * config.embeddingScale;
    if (config.learnedPositions)
        h = h + tensor::lookUp(positions, indexOf(places, device()));
    return h;
}

void Decoder::makeTurns(Pass& pass) const
{
    for (const auto& layer : config.layer) {
        if (config.rotaryDim != 0 && layer.rotary)
            turnsOf(layer.local, pass);
    }
}

/// Layers whose activations are made again: the last one goes backward at once, and what routers say is
/// collected on the way once.
std::size_t Decoder::recomputedLayers(const Pass& pass) const
{
    if (pass.cache || pass.context.routerLogits)
        return 0;
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(pass.context.recomputedLayers, 0, std::ssize(blocks) - 1));
}

/// States [T, hidden] before a block -> behind it.
Tensor Decoder::through(std::size_t number, const Tensor& h, Pass& pass)
{
    const auto& block = blocks[number];
    const auto scaled = [&](const Tensor& part) {
        return config.residualScale == 1 ? part : part * config.residualScale;
    };
    const auto n = normed(config, block.attentionNorm, h);
    const auto mixed = normed(config, block.afterAttention, attention(block, number, n, pass));
    if (config.parallelBlock) {
        const auto& in = block.mlpNorm.weight.defined() ? normed(config, block.mlpNorm, h) : n;
        return h + scaled(mixed) + scaled(inner(block, in, pass.context));
    }
    const auto middle = normedSum(config, block.mlpNorm, h, scaled(mixed));
    return middle.sum + scaled(normed(config, block.afterMlp, inner(block, middle.normed, pass.context)));
}

Tensor Decoder::run(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& places,
                    Pass& pass)
{
    pass.positions = places;
    auto h = embed(ids, places);
    std::size_t number = 0;
    if (const auto again = recomputedLayers(pass); again > 0) {
        const auto kept = std::make_shared<Pass>(pass); // until the backward pass
        kept->context.wanted = {};
        for (; number < again; ++number) {
            const auto work = [this, kept, number](const Tensor& x) { return through(number, x, *kept); };
            h = tensor::recomputed(work, h);
        }
    }
    for (; number < blocks.size(); ++number)
        h = through(number, h, pass);
    if (!pass.context.wanted.empty())
        h = h.index_select(
            0, indexOf({pass.context.wanted.begin(), pass.context.wanted.end()}, device()));
    return normed(config, finalNorm, h);
}

Tensor Decoder::hidden(const PackedTokens& tokens, const PassContext& context)
{
    Pass pass;
    pass.context = context;
    pass.offsets = tokens.offsets;
    if (const auto input = embed(tokens.ids, tokens.positions); m_fused.takes(input, context)) {
        pass.positions = tokens.positions;
        makeTurns(pass);
        return normed(config, finalNorm, m_fused.run(input, tokens, context, pass.turns));
    }
    return run(tokens.ids, tokens.positions, pass);
}

Tensor Decoder::read(const Reading& reading)
{
    const at::NoGradGuard noGrad;
    const auto& tokens = reading.tokens;
    Pass pass;
    pass.context.wanted = reading.wanted;
    pass.offsets = tokens.offsets;
    pass.cache = reading.into;
    pass.slots = reading.slots;
    pass.earlier = reading.earlier;
    for (const auto position : tokens.positions)
        pass.positions.push_back(position + reading.before());
    Tensor h;
    if (const auto input = embed(tokens.ids, pass.positions); m_fused.takes(input, pass.context)) {
        makeTurns(pass);
        h = normed(config, finalNorm, m_fused.read(input, reading, pass.turns));
    } else {
        h = run(tokens.ids, std::vector(pass.positions), pass);
    }
    for (std::size_t d = 0; d < reading.slots.size(); ++d)
        reading.into->lengths[static_cast<std::size_t>(reading.slots[d])] =
            reading.before() + tokens.offsets[d + 1] - tokens.offsets[d];
    return h;
}

Tensor Decoder::prefill(const PackedTokens& tokens, KvCache& cache,
                        std::span<const std::int64_t> slots)
{
    return read({tokens, &cache, slots});
}

bool Decoder::readsOn() const
{
    return config.rope.type != "dynamic" && config.rope.type != "longrope";
}

Tensor Decoder::readOn(const PackedTokens& tokens, const KvCache& earlier,
                       std::span<const std::int64_t> wanted, KvCache* into,
                       std::span<const std::int64_t> slots)
{
    const auto before = earlier.lengths[0];
    for (std::size_t layer = 0; layer < earlier.keys.size(); ++layer) {
        for (const auto slot : slots) {
            const auto copy = [&](Tensor& to, const Tensor& from) {
                to[slot].narrow(0, 0, before).copy_(from[0].narrow(0, 0, before));
            };
            copy(into->keys[layer], earlier.keys[layer]);
            copy(into->values[layer], earlier.values[layer]);
        }
    }
    return read({tokens, into, slots, &earlier, wanted});
}

Tensor Decoder::decode(std::span<const std::int64_t> ids, KvCache& cache,
                       std::span<const std::int64_t> slots)
{
    const at::NoGradGuard noGrad;
    Pass pass;
    std::vector<std::int64_t> places;
    for (const auto slot : slots)
        places.push_back(cache.lengths[static_cast<std::size_t>(slot)]);
    pass.cache = &cache;
    pass.slots = slots;
    pass.decoding = true;
    Tensor h;
    const std::vector<std::int64_t> tokens(ids.begin(), ids.end());
    if (const auto input = embed(tokens, places);
        m_fused.takes(input, pass.context) && m_fused.decodes(slots.size())) {
        pass.positions = places;
        makeTurns(pass);
        h = normed(config, finalNorm, m_fused.decode(input, pass.turns, cache, slots));
    } else {
        h = run(tokens, places, pass);
    }
    for (const auto slot : slots)
        ++cache.lengths[static_cast<std::size_t>(slot)];
    return h;
}

KvCache Decoder::makeCache(std::int64_t slots, std::int64_t maxLength) const
{
    return cacheFor(config.layers, slots, maxLength);
}

std::vector<LinearSite*> Decoder::sites()
{
    std::vector<LinearSite*> all;
    for (auto& block : blocks)
        collectSites(block, all);
    return all;
}

std::vector<NamedTensor> Decoder::parameters()
{
    ParameterList list;
    list.table(config.names.embedding, embedding);
    list.table(config.names.positions, positions);
    for (auto& block : blocks)
        list.block(block);
    list.norm(finalNorm);
    if (!config.tieEmbeddings)
        list.table(config.names.head, headWeight);
    list.add(config.names.head + ".bias", headBias);
    return list.take();
}

} // namespace fettle::model

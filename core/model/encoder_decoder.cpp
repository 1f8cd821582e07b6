#include "model/encoder_decoder.h"

#include "model/relative.h"
#include "tensor/torch_pch.h"

#include <limits>

namespace fettle::model {

using at::Tensor;
using tensor::Offsets;

namespace {

std::int64_t longestOf(const Offsets& offsets)
{
    std::int64_t longest = 0;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d)
        longest = std::max(longest, offsets[d + 1] - offsets[d]);
    return longest;
}

/// What a document's first tokens are to the encoder and its others to the decoder.
struct Parts
{
    std::vector<std::int64_t> read, write, rows; // rows: of all tokens, those with a state
    Offsets readOffsets{0}, writeOffsets{0};
};

Parts partsOf(const PackedTokens& tokens, std::int64_t startId)
{
    Parts parts;
    for (std::size_t d = 0; d + 1 < tokens.offsets.size(); ++d) {
        const auto begin = tokens.offsets[d], end = tokens.offsets[d + 1];
        const auto split = begin + tokens.sources[d];
        for (auto t = begin; t < split; ++t)
            parts.read.push_back(tokens.ids[static_cast<std::size_t>(t)]);
        for (auto t = split; t < end; ++t) {
            const bool first = t == split;
            parts.write.push_back(first ? startId : tokens.ids[static_cast<std::size_t>(t - 1)]);
            parts.rows.push_back(t - 1);
        }
        parts.readOffsets.push_back(static_cast<std::int64_t>(parts.read.size()));
        parts.writeOffsets.push_back(static_cast<std::int64_t>(parts.write.size()));
    }
    return parts;
}

} // namespace

/// Biases of the encoder's layers, made once for all of them.
struct EncoderDecoder::Reading
{
    Offsets offsets;
    Tensor bias; // [heads, longest, longest], or [heads, block, 3 block] of local attention
    struct Globals
    {
        Tensor blockOf; // [length] the global token of each token
        Tensor bias;    // [heads, length, globals]
    };
    std::vector<Globals> globals; // of each document; an undefined one has none
};

Tensor EncoderDecoder::inHeads(const LinearSite& site, const Tensor& x,
                               const PassContext& pass) const
{
    return site.forward(x, pass).view({x.size(0), config.heads, config.headDim});
}

Tensor EncoderDecoder::out(const LinearSite& site, const Tensor& mixed,
                           const PassContext& pass) const
{
    return site.forward(mixed.reshape({mixed.size(0), config.heads * config.headDim}), pass);
}

EncoderDecoder::Reading EncoderDecoder::prepare(const Offsets& offsets) const
{
    Reading reading;
    reading.offsets = offsets;
    const auto bias = [&](const Tensor& table, const Tensor& distances) {
        return relativeBias(table, distances, config.relative, /*bothDirections=*/true);
    };
    if (config.encoder.localRadius == 0) {
        const auto longest = longestOf(offsets);
        reading.bias = bias(reader.relativeBias, distancesBetween(longest, longest, 0, device()));
        return reading;
    }
    const auto block = config.encoder.localRadius + 1;
    // The block in the middle is the query's own.
    reading.bias = bias(reader.relativeBias, distancesBetween(block, 3 * block, block, device()));
    for (std::size_t d = 0; config.encoder.globalBlock > 0 && d + 1 < offsets.size(); ++d) {
        const auto length = offsets[d + 1] - offsets[d];
        const auto count = length / config.encoder.globalBlock;
        auto& globals = reading.globals.emplace_back();
        if (count == 0)
            continue;
        const auto places =
            at::arange(length, at::TensorOptions().dtype(at::kLong).device(device()));
        // Tokens behind the last whole block belong to it.
        globals.blockOf = places.div(config.encoder.globalBlock, "floor").clamp_max(count - 1);
        const auto all = at::arange(count, places.options());
        globals.bias = bias(reader.globalBias, all.unsqueeze(0) - globals.blockOf.unsqueeze(1));
    }
    return reading;
}

Tensor EncoderDecoder::read(const Block& block, const Tensor& x, const Reading& reading,
                            const PassContext& pass) const
{
    const auto q = inHeads(block.q, x, pass), k = inHeads(block.k, x, pass),
               v = inHeads(block.v, x, pass);
    const auto scale = config.scaleOfLayer(0);
    const auto& offsets = reading.offsets;
    if (config.encoder.localRadius == 0)
        return out(block.o,
                   tensor::documentAttention(q, k, v, offsets, offsets, scale, reading.bias), pass);
    std::vector<Tensor> parts;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
        const auto own = [&](const Tensor& all) {
            return all.narrow(0, offsets[d], offsets[d + 1] - offsets[d]);
        };
        tensor::SideKeys side;
        if (!reading.globals.empty() && reading.globals[d].blockOf.defined()) {
            const auto& globals = reading.globals[d];
            const auto sums = at::zeros({globals.bias.size(2), x.size(1)}, x.options())
                                  .index_add(0, globals.blockOf, own(x));
            const auto tokens = normed(config, block.globalNorm, sums);
            side = {inHeads(block.k, tokens, pass), inHeads(block.v, tokens, pass), globals.bias};
        }
        parts.push_back(tensor::localAttention(
            own(q), own(k), own(v), config.encoder.localRadius + 1, reading.bias, side, scale));
    }
    return out(block.o, at::cat(parts), pass);
}

Tensor EncoderDecoder::encode(const std::vector<std::int64_t>& ids, const Offsets& offsets,
                              const PassContext& pass) const
{
    const auto reading = prepare(offsets);
    auto h = at::embedding(embedding, indexOf(ids, device())); // [S, hidden]
    for (const auto& block : reader.blocks) {
        h = h + read(block, normed(config, block.attentionNorm, h), reading, pass);
        h = h + feedForward(config, block, normed(config, block.mlpNorm, h), pass);
    }
    return normed(config, reader.finalNorm, h);
}

Tensor EncoderDecoder::write(const std::vector<std::int64_t>& ids, const Offsets& offsets,
                             const Tensor& memory, const Offsets& sourceOffsets,
                             const PassContext& pass) const
{
    const auto scale = config.scaleOfLayer(0);
    const auto longest = longestOf(offsets);
    const auto distances = distancesBetween(longest, longest, 0, device());
    const auto bias = relativeBias(writer.relativeBias, distances, config.relative, false)
                          .masked_fill(distances.gt(0), -std::numeric_limits<double>::infinity());
    auto h = at::embedding(embedding, indexOf(ids, device())); // [T, hidden]
    for (const auto& block : writer.blocks) {
        auto x = normed(config, block.attentionNorm, h);
        auto mixed =
            tensor::documentAttention(inHeads(block.q, x, pass), inHeads(block.k, x, pass),
                                      inHeads(block.v, x, pass), offsets, offsets, scale, bias);
        h = h + out(block.o, mixed, pass);
        x = normed(config, block.crossNorm, h);
        mixed = tensor::documentAttention(
            inHeads(block.crossQ, x, pass), inHeads(block.crossK, memory, pass),
            inHeads(block.crossV, memory, pass), offsets, sourceOffsets, scale, {});
        h = h + out(block.crossO, mixed, pass);
        h = h + feedForward(config, block, normed(config, block.mlpNorm, h), pass);
    }
    return normed(config, writer.finalNorm, h);
}

Tensor EncoderDecoder::hidden(const PackedTokens& tokens, const PassContext& pass)
{
    const auto parts = partsOf(tokens, config.writer.startId);
    const auto memory = encode(parts.read, parts.readOffsets, pass);
    auto all = at::zeros({tokens.size(), config.hidden}, memory.options());
    if (parts.write.empty())
        return all;
    const auto states = write(parts.write, parts.writeOffsets, memory, parts.readOffsets, pass);
    return all.index_copy(0, indexOf(parts.rows, device()), states);
}

Tensor EncoderDecoder::prefill(const PackedTokens& tokens, KvCache& cache,
                               std::span<const std::int64_t> slots)
{
    const at::NoGradGuard noGrad;
    const auto memory = encode(tokens.ids, tokens.offsets);
    for (std::size_t number = 0; number < writer.blocks.size(); ++number) {
        const auto& block = writer.blocks[number];
        const auto keys = inHeads(block.crossK, memory, {}),
                   values = inHeads(block.crossV, memory, {});
        for (std::size_t d = 0; d < slots.size(); ++d) {
            const auto slot = static_cast<std::size_t>(slots[d]);
            const auto begin = tokens.offsets[d], length = tokens.offsets[d + 1] - begin;
            cache.sourceKeys[number][slot] = keys.narrow(0, begin, length);
            cache.sourceValues[number][slot] = values.narrow(0, begin, length);
        }
    }
    std::vector<std::int64_t> last;
    for (std::size_t d = 0; d < slots.size(); ++d) {
        cache.lengths[static_cast<std::size_t>(slots[d])] = 0;
        last.push_back(tokens.offsets[d + 1] - 1);
    }
    const std::vector<std::int64_t> start(slots.size(), config.writer.startId);
    const auto states = decode(start, cache, slots);
    return at::zeros({tokens.size(), config.hidden}, memory.options())
        .index_copy(0, indexOf(last, device()), states);
}

/// One layer for one new token of each slot: h [slots, hidden] -> [slots, hidden]; biases [heads,
/// 1, filled + 1] for each slot.
Tensor EncoderDecoder::decodeLayer(std::size_t number, const Tensor& h, KvCache& cache,
                                   std::span<const std::int64_t> slots,
                                   const std::vector<Tensor>& biases) const
{
    const auto& block = writer.blocks[number];
    const auto scale = config.scaleOfLayer(0);
    auto x = normed(config, block.attentionNorm, h);
    const auto q = inHeads(block.q, x, {}), k = inHeads(block.k, x, {}),
               v = inHeads(block.v, x, {});
    std::vector<Tensor> own, cross;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto slot = slots[i], row = static_cast<std::int64_t>(i);
        const auto filled = cache.lengths[static_cast<std::size_t>(slot)];
        const auto keys = cache.keys[number][slot], values = cache.values[number][slot];
        keys[filled].copy_(k[row]);
        values[filled].copy_(v[row]);
        own.push_back(tensor::attend(q.narrow(0, row, 1), keys.narrow(0, 0, filled + 1),
                                     values.narrow(0, 0, filled + 1), scale, biases[i]));
    }
    auto state = h + out(block.o, at::cat(own), {});
    x = normed(config, block.crossNorm, state);
    const auto crossQ = inHeads(block.crossQ, x, {});
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto slot = static_cast<std::size_t>(slots[i]);
        cross.push_back(tensor::attend(crossQ.narrow(0, static_cast<std::int64_t>(i), 1),
                                       cache.sourceKeys[number][slot],
                                       cache.sourceValues[number][slot], scale, {}));
    }
    state = state + out(block.crossO, at::cat(cross), {});
    return state + feedForward(config, block, normed(config, block.mlpNorm, state), {});
}

Tensor EncoderDecoder::decode(std::span<const std::int64_t> ids, KvCache& cache,
                              std::span<const std::int64_t> slots)
{
    const at::NoGradGuard noGrad;
    auto h = at::embedding(embedding, indexOf({ids.begin(), ids.end()}, device()));
    std::vector<Tensor> biases;
    for (const auto slot : slots) {
        const auto filled = cache.lengths[static_cast<std::size_t>(slot)];
        biases.push_back(relativeBias(writer.relativeBias,
                                      distancesBetween(1, filled + 1, filled, device()),
                                      config.relative, false));
    }
    for (std::size_t number = 0; number < writer.blocks.size(); ++number)
        h = decodeLayer(number, h, cache, slots, biases);
    for (const auto slot : slots)
        ++cache.lengths[static_cast<std::size_t>(slot)];
    return normed(config, writer.finalNorm, h);
}

KvCache EncoderDecoder::makeCache(std::int64_t slots, std::int64_t maxLength) const
{
    auto cache = cacheFor(config.writer.layers, slots, maxLength);
    const std::vector<Tensor> none(static_cast<std::size_t>(slots));
    cache.sourceKeys.assign(writer.blocks.size(), none);
    cache.sourceValues.assign(writer.blocks.size(), none);
    return cache;
}

std::vector<LinearSite*> EncoderDecoder::sites()
{
    std::vector<LinearSite*> all;
    for (auto* stack : {&reader, &writer}) {
        for (auto& block : stack->blocks)
            collectSites(block, all);
    }
    return all;
}

std::vector<NamedTensor> EncoderDecoder::parameters()
{
    ParameterList list;
    list.table(config.names.embedding, embedding);
    for (auto* stack : {&reader, &writer}) {
        const auto& names = stack == &reader ? config.names : config.writer.names;
        list.table(names.inLayer(0, names.relativeBias), stack->relativeBias);
        list.table(names.inLayer(0, names.globalBias), stack->globalBias);
        for (auto& block : stack->blocks)
            list.block(block);
        list.norm(stack->finalNorm);
    }
    if (!config.tieEmbeddings)
        list.table(config.names.head, headWeight);
    return list.take();
}

} // namespace fettle::model

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

/// What each layer has of its own, or all have of one.
const Tensor& ofLayer(const std::vector<Tensor>& all, std::size_t number)
{
    return all.size() == 1 ? all.front() : all[number];
}

/// What a document's first tokens are to the encoder and its others to the decoder.
struct Parts
{
    std::vector<std::int64_t> read, write;
    std::vector<std::int64_t> readRows, rows; // of all tokens: those read, those with a state
    Offsets readOffsets{0}, writeOffsets{0};
};

Parts partsOf(const PackedTokens& tokens, std::int64_t startId)
{
    Parts parts;
    for (std::size_t d = 0; d + 1 < tokens.offsets.size(); ++d) {
        const auto begin = tokens.offsets[d], end = tokens.offsets[d + 1];
        const auto split = begin + tokens.sources[d];
        for (auto t = begin; t < split; ++t) {
            parts.read.push_back(tokens.ids[static_cast<std::size_t>(t)]);
            parts.readRows.push_back(t);
        }
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

/// Places of some rows of a pass; none where it has none.
std::vector<std::int64_t> placesOf(const PassContext& pass, const std::vector<std::int64_t>& rows)
{
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < rows.size() && !pass.places.empty(); ++i)
        places.push_back(pass.places[static_cast<std::size_t>(rows[i])]);
    return places;
}

} // namespace

/// Biases of the encoder's layers, made once for all that share them.
struct EncoderDecoder::Reading
{
    Offsets offsets;
    std::vector<Tensor> biases; // [heads, longest, longest], or [heads, block, 3 block] of local
                                // attention; of each layer, or one for all
    struct Globals
    {
        Tensor blockOf; // [length] the global token of each token
        Tensor bias;    // [heads, length, globals]
        std::vector<std::int64_t> places; // of the global tokens; see PassContext
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

EncoderDecoder::Reading EncoderDecoder::prepare(const Offsets& offsets,
                                                const PassContext& pass) const
{
    Reading reading;
    reading.offsets = offsets;
    const auto bias = [&](const Tensor& table, const Tensor& distances) {
        return relativeBias(table, distances, config.relative, /*bothDirections=*/true);
    };
    const auto longest = longestOf(offsets), block = config.encoder.localRadius + 1;
    const bool local = config.encoder.localRadius > 0;
    // Of local attention the block in the middle is the query's own.
    const auto distances = local ? distancesBetween(block, 3 * block, block, device())
                                 : distancesBetween(longest, longest, 0, device());
    for (const auto& table : reader.relativeBias)
        reading.biases.push_back(bias(table, distances));
    for (std::size_t d = 0; local && config.encoder.globalBlock > 0 && d + 1 < offsets.size();
         ++d) {
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
        // Beside those of the document's tokens.
        for (std::int64_t g = 0; g < count && !pass.places.empty(); ++g)
            globals.places.push_back((pass.places[static_cast<std::size_t>(offsets[d])] | 1 << 20) + g);
    }
    return reading;
}

Tensor EncoderDecoder::read(std::size_t number, const Tensor& x, const Reading& reading,
                            const PassContext& pass) const
{
    const auto& block = reader.blocks[number];
    const auto& bias = ofLayer(reading.biases, number);
    const auto q = inHeads(block.q, x, pass), k = inHeads(block.k, x, pass),
               v = inHeads(block.v, x, pass);
    const auto scale = config.scaleOfLayer(0);
    const auto& offsets = reading.offsets;
    if (config.encoder.localRadius == 0)
        return out(block.o, tensor::documentAttention(q, k, v, offsets, offsets, scale, bias),
                   pass);
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
            auto ofGlobals = pass;
            ofGlobals.places = globals.places;
            side = {inHeads(block.k, tokens, ofGlobals), inHeads(block.v, tokens, ofGlobals),
                    globals.bias};
        }
        parts.push_back(tensor::localAttention(own(q), own(k), own(v),
                                               config.encoder.localRadius + 1, bias, side, scale));
    }
    return out(block.o, at::cat(parts), pass);
}

Tensor EncoderDecoder::encode(const std::vector<std::int64_t>& ids, const Offsets& offsets,
                              const PassContext& pass) const
{
    const auto reading = prepare(offsets, pass);
    auto h = embedded(ids); // [S, hidden]
    for (std::size_t number = 0; number < reader.blocks.size(); ++number) {
        const auto& block = reader.blocks[number];
        h = h + read(number, normed(config, block.attentionNorm, h), reading, pass);
        h = h + feedForward(config, block, normed(config, block.mlpNorm, h), pass);
    }
    return normed(config, reader.finalNorm, h);
}

Tensor EncoderDecoder::write(const std::vector<std::int64_t>& ids, const Offsets& offsets,
                             const Memory& memory, const PassContext& pass) const
{
    const auto scale = config.scaleOfLayer(0);
    const auto longest = longestOf(offsets);
    const auto distances = distancesBetween(longest, longest, 0, device());
    std::vector<Tensor> biases;
    for (const auto& table : writer.relativeBias)
        biases.push_back(
            relativeBias(table, distances, config.relative, false)
                .masked_fill(distances.gt(0), -std::numeric_limits<double>::infinity()));
    auto h = embedded(ids); // [T, hidden]
    for (std::size_t number = 0; number < writer.blocks.size(); ++number) {
        const auto& block = writer.blocks[number];
        auto x = normed(config, block.attentionNorm, h);
        auto mixed = tensor::documentAttention(inHeads(block.q, x, pass), inHeads(block.k, x, pass),
                                               inHeads(block.v, x, pass), offsets, offsets, scale,
                                               ofLayer(biases, number));
        h = h + out(block.o, mixed, pass);
        x = normed(config, block.crossNorm, h);
        mixed = tensor::documentAttention(
            inHeads(block.crossQ, x, pass), inHeads(block.crossK, memory.states, memory.pass),
            inHeads(block.crossV, memory.states, memory.pass), offsets, memory.offsets, scale, {});
        h = h + out(block.crossO, mixed, pass);
        h = h + feedForward(config, block, normed(config, block.mlpNorm, h), pass);
    }
    return normed(config, writer.finalNorm, h);
}

Tensor EncoderDecoder::hidden(const PackedTokens& tokens, const PassContext& pass)
{
    const auto parts = partsOf(tokens, config.writer.startId);
    const auto readPlaces = placesOf(pass, parts.readRows), writePlaces = placesOf(pass, parts.rows);
    auto reading = pass, writing = pass;
    reading.places = readPlaces, writing.places = writePlaces;
    const auto memory = encode(parts.read, parts.readOffsets, reading);
    auto all = at::zeros({tokens.size(), config.hidden}, memory.options());
    if (parts.write.empty())
        return pass.wanted.empty()
                   ? all
                   : all.narrow(0, 0, static_cast<std::int64_t>(pass.wanted.size()));
    const auto states = write(parts.write, parts.writeOffsets, {memory, parts.readOffsets, reading}, writing);
    all = all.index_copy(0, indexOf(parts.rows, device()), states);
    if (pass.wanted.empty())
        return all;
    return all.index_select(0, indexOf({pass.wanted.begin(), pass.wanted.end()}, device()));
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
/// 1, filled + 1] for each slot, of each layer or one for all.
Tensor EncoderDecoder::decodeLayer(std::size_t number, const Tensor& h, KvCache& cache,
                                   std::span<const std::int64_t> slots,
                                   const std::vector<std::vector<Tensor>>& biases) const
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
                                     values.narrow(0, 0, filled + 1), scale,
                                     ofLayer(biases[i], number)));
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
    auto h = embedded({ids.begin(), ids.end()});
    std::vector<std::vector<Tensor>> biases;
    for (const auto slot : slots) {
        const auto filled = cache.lengths[static_cast<std::size_t>(slot)];
        const auto distances = distancesBetween(1, filled + 1, filled, device());
        auto& ofSlot = biases.emplace_back();
        for (const auto& table : writer.relativeBias)
            ofSlot.push_back(relativeBias(table, distances, config.relative, false));
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
        for (std::size_t layer = 0; layer < stack->relativeBias.size(); ++layer)
            list.table(names.inLayer(static_cast<std::int64_t>(layer), names.relativeBias),
                       stack->relativeBias[layer]);
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

#include "model/decoder.h"

#include "tensor/torch_pch.h"

#include <cmath>

namespace fettle::model {

using at::Tensor;

/// What one pass needs besides the weights.
struct Decoder::Pass
{
    PassContext context;
    Tensor cosine, sine;                     // [T, headDim / 2]
    tensor::Offsets offsets;                 // of the documents; empty when decoding
    KvCache* cache = nullptr;
    std::span<const std::int64_t> slots;
    bool decoding = false;
};

at::Tensor LinearSite::base(const Tensor& x) const
{
    return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

at::Tensor LinearSite::forward(const Tensor& x, const PassContext& pass) const
{
    return term && termEnabled ? term->forward(*this, x, pass) : base(x);
}

void PackedTokens::add(std::span<const std::int32_t> document)
{
    for (std::size_t i = 0; i < document.size(); ++i) {
        ids.push_back(document[i]);
        positions.push_back(static_cast<std::int64_t>(i));
    }
    offsets.push_back(size());
}

std::pair<Tensor, Tensor> Decoder::rotation(const std::vector<std::int64_t>& positions) const
{
    // float32 angles, as the reference computes them whatever the model's dtype
    const auto count = static_cast<std::int64_t>(positions.size());
    const auto half = static_cast<std::int64_t>(spec.inverseFrequencies.size());
    Tensor cosine = at::empty({count, half}, at::kFloat), sine = at::empty({count, half}, at::kFloat);
    float *c = cosine.data_ptr<float>(), *s = sine.data_ptr<float>();
    const auto multiplier = static_cast<float>(spec.ropeMultiplier);
    for (std::int64_t t = 0; t < count; ++t) {
        for (std::int64_t j = 0; j < half; ++j) {
            const float angle = static_cast<float>(positions[static_cast<std::size_t>(t)])
                                * spec.inverseFrequencies[static_cast<std::size_t>(j)];
            c[t * half + j] = std::cos(angle) * multiplier;
            s[t * half + j] = std::sin(angle) * multiplier;
        }
    }
    return {cosine.to(device()), sine.to(device())};
}

Tensor Decoder::attention(Block& block, std::size_t layer, const Tensor& x, Pass& pass)
{
    const auto count = x.size(0);
    const auto q = tensor::rope(block.q.forward(x, pass.context).view({count, spec.heads, spec.headDim}), pass.cosine,
                                pass.sine);
    const auto k = tensor::rope(block.k.forward(x, pass.context).view({count, spec.kvHeads, spec.headDim}),
                                pass.cosine, pass.sine);
    const auto v = block.v.forward(x, pass.context).view({count, spec.kvHeads, spec.headDim});
    Tensor mixed;                                                               // [T, heads, headDim]
    if (pass.cache) {
        auto& keys = pass.cache->keys[layer];
        auto& values = pass.cache->values[layer];
        for (std::size_t d = 0; d < pass.slots.size(); ++d) {
            const auto begin = pass.decoding ? static_cast<std::int64_t>(d) : pass.offsets[d];
            const auto length = pass.decoding ? 1 : pass.offsets[d + 1] - begin;
            const auto at_ = pass.decoding ? pass.cache->lengths[static_cast<std::size_t>(pass.slots[d])] : 0;
            keys[pass.slots[d]].narrow(0, at_, length).copy_(k.narrow(0, begin, length));
            values[pass.slots[d]].narrow(0, at_, length).copy_(v.narrow(0, begin, length));
        }
        if (pass.decoding) {
            std::vector<std::int64_t> lengths;
            for (const auto slot : pass.slots)
                lengths.push_back(pass.cache->lengths[static_cast<std::size_t>(slot)] + 1);
            mixed = tensor::cachedAttention(q.contiguous(), keys, values, pass.slots, lengths, spec.attentionScale,
                                            spec.window);
        }
    }
    if (!mixed.defined())
        mixed = tensor::packedAttention(q, k, v, pass.offsets, spec.attentionScale, spec.window);
    return block.o.forward(mixed.view({count, spec.heads * spec.headDim}), pass.context);
}

Tensor Decoder::run(const std::vector<std::int64_t>& ids, Pass& pass)
{
    const auto index = at::tensor(ids, at::kLong).to(device());
    auto h = at::embedding(embedding, index, spec.paddingId);                   // [T, hidden]
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
        auto& block = blocks[layer];
        h = h + attention(block, layer, tensor::rmsNorm(h, block.inputNorm, spec.normEps), pass);
        const auto n = tensor::rmsNorm(h, block.postNorm, spec.normEps);
        const auto mlp = tensor::siluGate(block.gate.forward(n, pass.context), block.up.forward(n, pass.context));
        h = h + block.down.forward(mlp, pass.context);
    }
    return tensor::rmsNorm(h, finalNorm, spec.normEps);
}

Tensor Decoder::hidden(const PackedTokens& tokens, const PassContext& context)
{
    Pass pass;
    pass.context = context;
    std::tie(pass.cosine, pass.sine) = rotation(tokens.positions);
    pass.offsets = tokens.offsets;
    return run(tokens.ids, pass);
}

Tensor Decoder::prefill(const PackedTokens& tokens, KvCache& cache, std::span<const std::int64_t> slots)
{
    const at::NoGradGuard noGrad;
    Pass pass;
    std::tie(pass.cosine, pass.sine) = rotation(tokens.positions);
    pass.offsets = tokens.offsets;
    pass.cache = &cache;
    pass.slots = slots;
    const auto h = run(tokens.ids, pass);
    for (std::size_t d = 0; d < slots.size(); ++d)
        cache.lengths[static_cast<std::size_t>(slots[d])] = tokens.offsets[d + 1] - tokens.offsets[d];
    return h;
}

Tensor Decoder::decode(std::span<const std::int64_t> ids, KvCache& cache, std::span<const std::int64_t> slots)
{
    const at::NoGradGuard noGrad;
    Pass pass;
    std::vector<std::int64_t> positions;
    for (const auto slot : slots)
        positions.push_back(cache.lengths[static_cast<std::size_t>(slot)]);
    std::tie(pass.cosine, pass.sine) = rotation(positions);
    pass.cache = &cache;
    pass.slots = slots;
    pass.decoding = true;
    const auto h = run({ids.begin(), ids.end()}, pass);
    for (const auto slot : slots)
        ++cache.lengths[static_cast<std::size_t>(slot)];
    return h;
}

Tensor Decoder::logits(const Tensor& rows) const
{
    const auto out = at::mm(rows, headWeight.t());
    return out.scalar_type() == at::kDouble ? out : out.to(at::kFloat);
}

KvCache Decoder::makeCache(std::int64_t slots, std::int64_t maxLength) const
{
    KvCache cache;
    const auto options = embedding.options().requires_grad(false);
    for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
        cache.keys.push_back(at::empty({slots, maxLength, spec.kvHeads, spec.headDim}, options));
        cache.values.push_back(at::empty({slots, maxLength, spec.kvHeads, spec.headDim}, options));
    }
    cache.lengths.assign(static_cast<std::size_t>(slots), 0);
    return cache;
}

std::vector<LinearSite*> Decoder::sites()
{
    std::vector<LinearSite*> all;
    for (auto& b : blocks)
        all.insert(all.end(), {&b.q, &b.k, &b.v, &b.o, &b.gate, &b.up, &b.down});
    return all;
}

std::vector<std::pair<std::string, Tensor*>> Decoder::parameters()
{
    std::vector<std::pair<std::string, Tensor*>> all;
    all.emplace_back("model.embed_tokens.weight", &embedding);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto& b = blocks[i];
        const auto prefix = "model.layers." + std::to_string(i) + ".";
        all.emplace_back(prefix + "input_layernorm.weight", &b.inputNorm);
        for (auto* site : {&b.q, &b.k, &b.v, &b.o}) {
            all.emplace_back(site->path + ".weight", &site->weight);
            if (site->bias.defined())
                all.emplace_back(site->path + ".bias", &site->bias);
        }
        all.emplace_back(prefix + "post_attention_layernorm.weight", &b.postNorm);
        for (auto* site : {&b.gate, &b.up, &b.down}) {
            all.emplace_back(site->path + ".weight", &site->weight);
            if (site->bias.defined())
                all.emplace_back(site->path + ".bias", &site->bias);
        }
    }
    all.emplace_back("model.norm.weight", &finalNorm);
    if (!spec.tiedHead)
        all.emplace_back("lm_head.weight", &headWeight);
    return all;
}

void Decoder::to(c10::Device target, at::ScalarType dtype)
{
    for (auto& [name, parameter] : parameters())
        *parameter = parameter->to(target, dtype);
    if (spec.tiedHead)
        headWeight = embedding;
}

} // namespace fettle::model

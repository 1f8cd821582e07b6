#include "model/encoder.h"

#include "tensor/torch_pch.h"

namespace fettle::model {

using at::Tensor;

/// In families whose table of positions begins with rows for padding, a padding token has the last
/// of these and does not count.
std::vector<std::int64_t> Encoder::rowsOfPositions(const PackedTokens& tokens) const
{
    const auto first = config.encoder.firstPosition;
    if (first == 0)
        return tokens.positions;
    std::vector<std::int64_t> rows(tokens.ids.size());
    std::int64_t next = first;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (tokens.positions[i] == 0)
            next = first;
        rows[i] = tokens.ids[i] == first - 1 ? first - 1 : next++;
    }
    return rows;
}

Tensor Encoder::hidden(const PackedTokens& tokens, const PassContext& pass) const
{
    // The row of the padding token gets no gradient as an input, as in the reference.
    const auto padding = config.padId && *config.padId < config.vocab ? *config.padId : -1;
    const auto noPosition = config.encoder.firstPosition - 1; // -1: every row learns
    auto h = at::embedding(embedding, indexOf(tokens.ids, device()), padding) +
             at::embedding(positions, indexOf(rowsOfPositions(tokens), device()), noPosition);
    if (tokenTypes.defined()) {
        const auto types =
            tokens.types.empty() ? std::vector<std::int64_t>(tokens.ids.size(), 0) : tokens.types;
        h = h + at::embedding(tokenTypes, indexOf(types, device()));
    }
    h = normed(config, embeddingNorm, h); // [T, hidden]
    const auto inHeads = [&](const LinearSite& site) {
        return site.forward(h, pass).view({h.size(0), config.heads, config.headDim});
    };
    for (const auto& block : blocks) {
        const auto mixed =
            tensor::documentAttention(inHeads(block.q), inHeads(block.k), inHeads(block.v),
                                      tokens.offsets, tokens.offsets, config.scaleOfLayer(0), {});
        h = normedSum(config, block.afterAttention, h,
                      block.o.forward(mixed.reshape({h.size(0), -1}), pass))
                .normed;
        h = normedSum(config, block.afterMlp, h, feedForward(config, block, h, pass)).normed;
    }
    return h;
}

Tensor Encoder::pooled(const Tensor& states, const tensor::Offsets& offsets) const
{
    return at::tanh(pooler.base(sentences(states, offsets, Pooling::First)));
}

Tensor Encoder::sentences(const Tensor& states, const tensor::Offsets& offsets,
                          Pooling pooling) const
{
    std::vector<Tensor> rows;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
        rows.push_back(pooling == Pooling::First
                           ? states[offsets[d]]
                           : states.narrow(0, offsets[d], offsets[d + 1] - offsets[d]).mean(0));
    }
    return at::stack(rows);
}

Tensor Encoder::transformed(const Tensor& rows) const
{
    return normed(config, headNorm,
                  activated(config.encoder.headActivation, headDense.base(rows), {}));
}

Tensor Encoder::logits(const Tensor& rows) const
{
    const auto out = at::addmm(headBias, transformed(rows), headWeight.t());
    return out.scalar_type() == at::kDouble ? out : out.to(at::kFloat);
}

Tensor Encoder::loss(const Tensor& rows, std::span<const std::int64_t> labels, double scale,
                     tensor::HeadLossInfo& info) const
{
    return tensor::headLoss(transformed(rows), {headWeight, headBias, 0}, labels, scale, info);
}

std::vector<LinearSite*> Encoder::sites()
{
    std::vector<LinearSite*> all;
    for (auto& block : blocks)
        collectSites(block, all);
    return all;
}

std::vector<NamedTensor> Encoder::parameters()
{
    ParameterList list;
    list.table(config.names.embedding, embedding);
    list.table(config.names.positions, positions);
    list.table(config.names.tokenTypes, tokenTypes);
    list.norm(embeddingNorm);
    for (auto& block : blocks)
        list.block(block);
    list.linear(pooler);
    list.linear(headDense);
    list.norm(headNorm);
    if (!config.tieEmbeddings)
        list.table(config.names.head, headWeight);
    list.add(config.names.headBias + ".bias", headBias);
    for (auto& [name, tensor] : heads)
        list.add(name, tensor);
    return list.take();
}

} // namespace fettle::model

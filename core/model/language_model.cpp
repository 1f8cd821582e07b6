#include "model/language_model.h"

#include "tensor/quantised_ops.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

namespace fettle::model {

using at::Tensor;

void PackedTokens::add(std::span<const std::int32_t> document, std::int64_t source)
{
    const auto length = static_cast<std::int64_t>(document.size());
    for (std::int64_t i = 0; i < length; ++i) {
        ids.push_back(document[static_cast<std::size_t>(i)]);
        positions.push_back(i);
    }
    offsets.push_back(size());
    sources.push_back(source < 0 ? length : source);
}

void Model::tie()
{
    if (config.tieEmbeddings)
        headWeight = embedding, packedHead = packedEmbedding;
}

void Model::pack(tensor::WeightKind kind)
{
    for (auto* site : sites()) {
        if (!site->packed)
            site->pack(kind, device());
    }
    if (kind == tensor::WeightKind::Int8 && device().is_cpu())
        packTables();
}

void Model::packTables()
{
    const auto pack = [](Tensor& table, tensor::QuantisedPtr& packed) {
        if (table.defined())
            packed = tensor::quantised(tensor::WeightKind::Int8, table);
        table = Tensor();
    };
    pack(embedding, packedEmbedding);
    if (!config.tieEmbeddings)
        pack(headWeight, packedHead);
    tie();
}

Tensor Model::embedded(const std::vector<std::int64_t>& ids, std::int64_t padding) const
{
    if (packedEmbedding)
        return tensor::decodedRows(*packedEmbedding, ids);
    if (embedding.device() != device())
        return tensor::onDevice(embedding.index_select(0, indexOf(ids, c10::kCPU)), device());
    return tensor::lookUp(embedding, indexOf(ids, device()), padding);
}

void Model::embeddingToHost()
{
    if (!config.tieEmbeddings && headWeight.defined())
        embedding = embedding.to(c10::kCPU);
}

void Model::to(c10::Device target, at::ScalarType dtype)
{
    for (auto& [name, parameter] : parameters())
        *parameter = parameter->to(target, dtype);
    tie();
}

Tensor LanguageModel::logits(const Tensor& rows) const
{
    const auto scaled = config.logitScale == 1 ? rows : rows * config.logitScale;
    auto out = packedHead                 ? tensor::linear(scaled, packedHead, {})
               : at::GradMode::is_enabled() ? at::mm(scaled, headWeight.t())
                                            : tensor::product(scaled, headWeight);
    if (headBias.defined())
        out = out + headBias;
    const auto cap = config.logitSoftcap;
    if (cap > 0)
        out = at::tanh(out / cap) * cap;
    return out.scalar_type() == at::kDouble ? out : out.to(at::kFloat);
}

Tensor LanguageModel::loss(const Tensor& rows, std::span<const std::int64_t> labels, double scale,
                           tensor::HeadLossInfo& info) const
{
    const tensor::Head head{headWeight, headBias, config.logitSoftcap, packedHead};
    return tensor::headLoss(config.logitScale == 1 ? rows : rows * config.logitScale, head, labels,
                            scale, info);
}

KvCache LanguageModel::cacheFor(std::int64_t layers, std::int64_t slots,
                                std::int64_t maxLength) const
{
    KvCache cache;
    const auto options = at::TensorOptions(device()).dtype(dtype());
    for (std::int64_t number = 0; number < layers; ++number) {
        cache.keys.push_back(
            at::empty({slots, maxLength, config.kvHeads, config.headDim}, options));
        cache.values.push_back(
            at::empty({slots, maxLength, config.kvHeads, config.headDim}, options));
    }
    cache.lengths.assign(static_cast<std::size_t>(slots), 0);
    return cache;
}

} // namespace fettle::model

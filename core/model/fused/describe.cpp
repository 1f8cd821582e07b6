#include "model/fused/describe.h"

#include "tensor/torch_pch.h"

#include <stdexcept>

namespace fettle::model::fused {

namespace {

tensor::Activation activationOf(const std::string& name)
{
    using tensor::Activation;
    const std::pair<const char*, Activation> all[] = {
        {"silu", Activation::Silu},           {"gelu", Activation::Gelu},
        {"gelu_tanh", Activation::GeluTanh},  {"quick_gelu", Activation::QuickGelu},
        {"relu", Activation::Relu},           {"relu2", Activation::ReluSquare}};
    for (const auto& [known, activation] : all) {
        if (name == known)
            return activation;
    }
    throw std::logic_error("no kernel for the activation " + name);
}

} // namespace

Shape shapeOf(const ModelConfig& config)
{
    Shape shape;
    shape.hidden = config.hidden, shape.intermediate = config.intermediate;
    shape.heads = config.heads, shape.kvHeads = config.kvHeads, shape.headDim = config.headDim;
    shape.turned = config.rotaryDim;
    shape.joined = config.qkv != QkvForm::Apart;
    const bool byHead = config.qkv == QkvForm::PerHead;
    shape.headStep = byHead ? 3 * config.headDim : config.headDim;
    shape.keyAt = byHead ? config.headDim : shape.queries();
    shape.valueAt = byHead ? 2 * config.headDim : shape.queries() + shape.keys();
    shape.activation = activationOf(config.activation);
    shape.gated = config.gated();
    shape.parallel = config.parallelBlock;
    shape.residualScale = static_cast<float>(config.residualScale);
    shape.softcap = static_cast<float>(config.attentionSoftcap);
    return shape;
}

std::array<const LinearSite*, kParts> sitesOf(const Block& b)
{
    const auto some = [](const LinearSite& site) { return site.exists() ? &site : nullptr; };
    const auto *query = some(b.q), *gate = some(b.gateUp) ? &b.gateUp : some(b.gate);
    return {query ? query : some(b.qkv), some(b.k),          some(b.v), some(b.o),
            gate ? gate : some(b.up),    gate ? some(b.up) : nullptr, some(b.down)};
}

std::array<const model::Norm*, kPlaces> normsOf(const ModelConfig& config, const Block& b)
{
    const auto some = [](const model::Norm& norm) { return norm.weight.defined() ? &norm : nullptr; };
    const auto* beforeMlp = some(b.mlpNorm);
    // In a parallel block both parts may read behind one norm.
    if (!beforeMlp && config.parallelBlock)
        beforeMlp = some(b.attentionNorm);
    return {some(b.attentionNorm), some(b.qNorm), some(b.kNorm),
            some(b.afterAttention), beforeMlp,    some(b.afterMlp)};
}

std::array<Norm, kPlaces> describeNorms(const ModelConfig& config, const Block& block)
{
    std::array<Norm, kPlaces> norms;
    const auto present = normsOf(config, block);
    for (std::size_t place = 0; place < kPlaces; ++place) {
        auto& weights = norms[place].weights;
        weights.dim = config.hidden;
        weights.eps = static_cast<float>(config.normEps);
        weights.plus = config.norm == NormKind::RmsPlusOne ? 1 : 0;
        weights.centred = config.norm == NormKind::Layer;
        if (const auto* norm = present[place]) {
            weights.weight = norm->weight.const_data_ptr<float>();
            weights.bias = norm->bias.defined() ? norm->bias.const_data_ptr<float>() : nullptr;
            weights.dim = norm->weight.size(0);
        }
    }
    if (config.headNorm == HeadNorm::PerHead)
        norms[OnQueries].count = config.heads, norms[OnKeys].count = config.kvHeads;
    return norms;
}

} // namespace fettle::model::fused

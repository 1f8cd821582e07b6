#include "model/block.h"

#include "tensor/ops.h"
#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

namespace fettle::model {

using at::Tensor;

Tensor normed(const ModelConfig& config, const Norm& norm, const Tensor& x)
{
    if (!norm.weight.defined())
        return x;
    switch (config.norm) {
    case NormKind::Rms:
        return tensor::rmsNorm(x, norm.weight, config.normEps);
    case NormKind::RmsPlusOne:
        return tensor::rmsNorm(x, norm.weight + 1, config.normEps);
    case NormKind::Layer:
        break;
    }
    return tensor::layerNorm(x, {}, norm.weight, norm.bias, config.normEps).normed;
}

tensor::NormedSum normedSum(const ModelConfig& config, const Norm& norm, const Tensor& x, const Tensor& part)
{
    if (config.norm == NormKind::Layer && norm.weight.defined())
        return tensor::layerNorm(x, part, norm.weight, norm.bias, config.normEps);
    const auto sum = x + part;
    return {sum, normed(config, norm, sum)};
}

Tensor activated(const std::string& activation, const Tensor& gate, const Tensor& up)
{
    if (activation == "silu" && up.defined())
        return tensor::siluGate(gate, up);
    if (activation == "gelu" || activation == "gelu_tanh")
        return tensor::geluGate(gate, up, activation == "gelu_tanh");
    Tensor out;
    if (activation == "silu")
        out = at::silu(gate);
    else if (activation == "quick_gelu")
        out = gate * at::sigmoid(gate * 1.702);
    else if (activation == "relu2")
        out = at::relu(gate).square();
    else
        out = at::relu(gate);
    return up.defined() ? out * up : out;
}

Tensor feedForward(const ModelConfig& config, const Block& block, const Tensor& x,
                   const PassContext& pass)
{
    const auto& name = config.activation;
    if (block.gateUp.exists()) {
        const auto halves = block.gateUp.forward(x, pass).chunk(2, -1);
        return block.down.forward(activated(name, halves[0], halves[1]), pass);
    }
    const auto up = block.up.forward(x, pass);
    if (!block.gate.exists())
        return block.down.forward(activated(name, up, {}), pass);
    return block.down.forward(activated(name, block.gate.forward(x, pass), up), pass);
}

Tensor indexOf(const std::vector<std::int64_t>& values, c10::Device device)
{
    return tensor::onDevice(at::tensor(values, at::kLong), device);
}

void ParameterList::add(const std::string& name, Tensor& tensor)
{
    if (tensor.defined())
        m_all.emplace_back(name, &tensor);
}

void ParameterList::norm(Norm& norm)
{
    add(norm.path + ".weight", norm.weight);
    add(norm.path + ".bias", norm.bias);
}

void ParameterList::linear(LinearSite& site)
{
    add(site.path + ".weight", site.weight);
    add(site.path + ".bias", site.bias);
}

void ParameterList::block(Block& b)
{
    norm(b.attentionNorm);
    for (auto* site : {&b.q, &b.k, &b.v, &b.qkv})
        linear(*site);
    norm(b.qNorm);
    norm(b.kNorm);
    linear(b.o);
    norm(b.globalNorm);
    norm(b.afterAttention);
    norm(b.crossNorm);
    for (auto* site : {&b.crossQ, &b.crossK, &b.crossV, &b.crossO})
        linear(*site);
    norm(b.mlpNorm);
    for (auto* site : {&b.gate, &b.up, &b.gateUp, &b.down, &b.router})
        linear(*site);
    for (auto& expert : b.experts) {
        linear(expert.gate);
        linear(expert.up);
        linear(expert.down);
    }
    norm(b.afterMlp);
}

void collectSites(Block& b, std::vector<LinearSite*>& all)
{
    for (auto* site : {&b.q, &b.k, &b.v, &b.qkv, &b.o, &b.crossQ, &b.crossK, &b.crossV, &b.crossO,
                       &b.gate, &b.up, &b.gateUp, &b.down}) {
        if (site->exists())
            all.push_back(site);
    }
}

} // namespace fettle::model

#pragma once

#include "model/import/model_config.h"
#include "model/site.h"
#include "tensor/ops.h"

#include <ATen/core/Tensor.h>
#include <string>
#include <utility>
#include <vector>

namespace fettle::model {

/// A norm over the last dimension; one without a weight lets everything through.
struct Norm
{
    std::string path;        ///< as in the checkpoint, without ".weight"
    at::Tensor weight, bias; ///< [dim]; the bias of LayerNorms alone
};

struct Expert
{
    LinearSite gate, up, down;
};

/// One layer of any kind of model. Sites and norms that a family has not are empty.
struct Block
{
    Norm attentionNorm, afterAttention, mlpNorm, afterMlp, qNorm, kNorm;
    LinearSite q, k, v, qkv, o;
    LinearSite gate, up, gateUp, down;
    LinearSite router;
    std::vector<Expert> experts;
    Norm crossNorm;
    LinearSite crossQ, crossK, crossV, crossO; ///< of layers that read what an encoder gave
    Norm globalNorm;                           ///< of layers with global tokens
};

at::Tensor normed(const ModelConfig& config, const Norm& norm, const at::Tensor& x);
/// x + part, and the norm of it.
tensor::NormedSum normedSum(const ModelConfig& config, const Norm& norm, const at::Tensor& x, const at::Tensor& part);
/// activation(gate) * up, or activation(gate) where `up` is undefined. Names as in ModelConfig.
at::Tensor activated(const std::string& activation, const at::Tensor& gate, const at::Tensor& up);
/// The dense feed-forward part of a block. x [T, hidden] -> [T, hidden].
at::Tensor feedForward(const ModelConfig& config, const Block& block, const at::Tensor& x,
                       const PassContext& pass);
/// A long tensor [values] on `device`.
at::Tensor indexOf(const std::vector<std::int64_t>& values, c10::Device device);

/// Published name and the tensor that a model holds under it.
using NamedTensor = std::pair<std::string, at::Tensor*>;

/// Collects the weights of a model in checkpoint order; what is undefined is left out.
class ParameterList
{
public:
    void table(const std::string& path, at::Tensor& weight) { add(path + ".weight", weight); }
    void add(const std::string& name, at::Tensor& tensor);
    void norm(Norm& norm);
    void linear(LinearSite& site);
    void block(Block& block);
    std::vector<NamedTensor> take() { return std::move(m_all); }

private:
    std::vector<NamedTensor> m_all;
};

/// Adds the sites of a block on which methods may act; experts and routers are none.
void collectSites(Block& block, std::vector<LinearSite*>& all);

} // namespace fettle::model

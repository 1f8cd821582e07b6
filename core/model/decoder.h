#pragma once

#include "model/import/model_config.h"
#include "model/site.h"
#include "tensor/ops.h"

#include <ATen/core/Tensor.h>
#include <array>
#include <map>
#include <span>
#include <vector>

namespace fettle::model {

/// Tokens of several documents one behind the other; nothing is padded.
struct PackedTokens
{
    std::vector<std::int64_t> ids;       ///< [T]
    std::vector<std::int64_t> positions; ///< [T], restart at 0 in each document
    tensor::Offsets offsets = {0};       ///< [documents + 1]

    void add(std::span<const std::int32_t> document);
    std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Keys and values of earlier tokens: per layer [slots, maxLength, kvHeads, headDim].
struct KvCache
{
    std::vector<at::Tensor> keys, values;
    std::vector<std::int64_t> lengths; ///< [slots] rows filled
    std::int64_t maxLength() const { return keys.empty() ? 0 : keys[0].size(1); }
};

/// A norm over the last dimension; one without a weight lets everything through.
struct Norm
{
    std::string path;        ///< as in the checkpoint, without ".weight"
    at::Tensor weight, bias; ///< [dim]; the bias of LayerNorms alone
};

/// A causal language model of the decoder kind, built from its description alone. Owns its weights;
/// used by one thread.
class Decoder
{
public:
    struct Expert
    {
        LinearSite gate, up, down;
    };
    /// Sites and norms that a family has not are empty.
    struct Block
    {
        Norm attentionNorm, afterAttention, mlpNorm, afterMlp, qNorm, kNorm;
        LinearSite q, k, v, qkv, o;
        LinearSite gate, up, gateUp, down;
        LinearSite router;
        std::vector<Expert> experts;
    };

    ModelConfig config;
    at::Tensor embedding; ///< [vocab, hidden]
    at::Tensor positions; ///< [maxPositions, hidden], of families with learned positions
    std::vector<Block> blocks;
    Norm finalNorm;
    at::Tensor headWeight; ///< [vocab, hidden]; the same tensor as the embedding when tied
    at::Tensor headBias;   ///< [vocab] or undefined

    /// All tokens at once, documents kept apart. -> final hidden states [T, hidden], after the last
    /// norm.
    at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {});
    /// As hidden(), and document d fills slot slots[d] of the cache from its start.
    at::Tensor prefill(const PackedTokens& tokens, KvCache& cache,
                       std::span<const std::int64_t> slots);
    /// One further token for each slot. ids [slots] -> [slots, hidden].
    at::Tensor decode(std::span<const std::int64_t> ids, KvCache& cache,
                      std::span<const std::int64_t> slots);
    /// rows [N, hidden] -> logits [N, vocab] in float32 (float64 for a float64 model).
    at::Tensor logits(const at::Tensor& rows) const;
    /// scale * sum of the negative log-likelihoods of `labels` [N] after rows [N, hidden]; see
    /// tensor::headLoss.
    at::Tensor loss(const at::Tensor& rows, std::span<const std::int64_t> labels, double scale,
                    tensor::HeadLossInfo& info) const;

    KvCache makeCache(std::int64_t slots, std::int64_t maxLength) const;

    /// Every linear site of the blocks on which methods may act, in checkpoint order.
    std::vector<LinearSite*> sites();
    /// Published name -> tensor, in checkpoint order; a tied head is not repeated.
    std::vector<std::pair<std::string, at::Tensor*>> parameters();
    /// After a parameter was replaced: a tied head follows the embedding.
    void tie();

    at::ScalarType dtype() const { return embedding.scalar_type(); }
    c10::Device device() const { return embedding.device(); }
    void to(c10::Device device, at::ScalarType dtype);

private:
    struct Pass;
    struct Heads;
    at::Tensor run(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& positions,
                   Pass& pass);
    at::Tensor normed(const Norm& norm, const at::Tensor& x) const;
    Heads project(const Block& block, const at::Tensor& x, const Pass& pass) const;
    void turn(Heads& heads, const LayerConfig& layer, Pass& pass) const;
    at::Tensor attention(const Block& block, std::size_t layer, const at::Tensor& x, Pass& pass);
    at::Tensor activated(const at::Tensor& gate, const at::Tensor& up) const;
    at::Tensor feedForward(const Block& block, const at::Tensor& x, const PassContext& pass) const;
    at::Tensor mixture(const Block& block, const at::Tensor& x, const PassContext& pass) const;
    /// The feed-forward part of either kind.
    at::Tensor inner(const Block& block, const at::Tensor& x, const PassContext& pass) const;
};

} // namespace fettle::model

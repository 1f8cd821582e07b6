#pragma once

#include "model/import/model_config.h"
#include "model/site.h"
#include "tensor/ops.h"

#include <ATen/core/Tensor.h>
#include <map>
#include <span>
#include <vector>

namespace fettle::model {

/// How a decoder is built, filled from a family's configuration. A new family is a new filler, not a
/// new decoder.
struct ArchitectureSpec
{
    std::int64_t layers = 0, hidden = 0, intermediate = 0, heads = 0, kvHeads = 0, headDim = 0, vocab = 0;
    double normEps = 1e-6;
    double attentionScale = 0;      ///< multiplies q . k
    std::int64_t window = 0;        ///< sliding window; 0: all
    bool attentionBias = false, mlpBias = false, tiedHead = false;
    std::int64_t paddingId = -1;    ///< its row of the embedding gets no gradient as an input, as in the reference; -1: none
    std::vector<float> inverseFrequencies;  ///< [headDim / 2]
    double ropeMultiplier = 1;      ///< on cosine and sine
};

/// Tokens of several documents one behind the other; nothing is padded.
struct PackedTokens
{
    std::vector<std::int64_t> ids;        ///< [T]
    std::vector<std::int64_t> positions;  ///< [T], restart at 0 in each document
    tensor::Offsets offsets = {0};        ///< [documents + 1]

    void add(std::span<const std::int32_t> document);
    std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Keys and values of earlier tokens: per layer [slots, maxLength, kvHeads, headDim].
struct KvCache
{
    std::vector<at::Tensor> keys, values;
    std::vector<std::int64_t> lengths;    ///< [slots] rows filled
    std::int64_t maxLength() const { return keys.empty() ? 0 : keys[0].size(1); }
};

/// A causal language model of the decoder kind. Owns its weights; used by one thread.
class Decoder
{
public:
    struct Block
    {
        at::Tensor inputNorm, postNorm;   ///< [hidden]
        LinearSite q, k, v, o, gate, up, down;
    };

    ArchitectureSpec spec;
    at::Tensor embedding;                 ///< [vocab, hidden]
    std::vector<Block> blocks;
    at::Tensor finalNorm;                 ///< [hidden]
    at::Tensor headWeight;                ///< [vocab, hidden]; the same tensor as the embedding when tied

    /// All tokens at once, documents kept apart. -> final hidden states [T, hidden], after the last norm.
    at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {});
    /// As hidden(), and document d fills slot slots[d] of the cache from its start.
    at::Tensor prefill(const PackedTokens& tokens, KvCache& cache, std::span<const std::int64_t> slots);
    /// One further token for each slot. ids [slots] -> [slots, hidden].
    at::Tensor decode(std::span<const std::int64_t> ids, KvCache& cache, std::span<const std::int64_t> slots);
    /// rows [N, hidden] -> logits [N, vocab] in float32 (float64 for a float64 model).
    at::Tensor logits(const at::Tensor& rows) const;

    KvCache makeCache(std::int64_t slots, std::int64_t maxLength) const;

    /// Every linear site of the blocks in checkpoint order.
    std::vector<LinearSite*> sites();
    /// Published name -> tensor, in checkpoint order; a tied head is not repeated.
    std::vector<std::pair<std::string, at::Tensor*>> parameters();

    at::ScalarType dtype() const { return embedding.scalar_type(); }
    c10::Device device() const { return embedding.device(); }
    void to(c10::Device device, at::ScalarType dtype);

private:
    struct Pass;
    at::Tensor run(const std::vector<std::int64_t>& ids, Pass& pass);
    at::Tensor attention(Block& block, std::size_t layer, const at::Tensor& x, Pass& pass);
    /// cosine and sine [T, headDim / 2] in float32.
    std::pair<at::Tensor, at::Tensor> rotation(const std::vector<std::int64_t>& positions) const;
};

} // namespace fettle::model

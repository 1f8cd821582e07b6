#pragma once

#include "model/block.h"
#include "tensor/ops.h"

#include <span>

namespace fettle::model {

/// Tokens of several documents one behind the other; nothing is padded.
struct PackedTokens
{
    std::vector<std::int64_t> ids;       ///< [T]
    std::vector<std::int64_t> positions; ///< [T], restart at 0 in each document
    tensor::Offsets offsets = {0};       ///< [documents + 1]
    /// [documents] how many leading tokens of each an encoder-decoder reads; it writes the others.
    std::vector<std::int64_t> sources;
    std::vector<std::int64_t> types; ///< [T] token types of an encoder; empty: all are 0

    /// `source`: see sources; all of them where none is given.
    void add(std::span<const std::int32_t> document, std::int64_t source = -1);
    std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Keys and values of earlier tokens: per layer [slots, maxLength, kvHeads, headDim].
struct KvCache
{
    std::vector<at::Tensor> keys, values;
    std::vector<std::int64_t> lengths; ///< [slots] rows filled
    /// Of what an encoder-decoder read: per layer and slot [length, heads, headDim].
    std::vector<std::vector<at::Tensor>> sourceKeys, sourceValues;
    std::int64_t maxLength() const { return keys.empty() ? 0 : keys[0].size(1); }
};

/// A model built from its description alone: tables, stacks of blocks and a head. Owns its weights;
/// used by one thread.
class Model
{
public:
    virtual ~Model() = default;

    ModelConfig config;
    at::Tensor embedding;  ///< [vocab, hidden]
    at::Tensor headWeight; ///< [vocab, hidden]; the same tensor as the embedding when tied
    tensor::QuantisedPtr packedEmbedding, packedHead; ///< frozen, in place of the two
    at::Tensor headBias;   ///< [vocab] or undefined

    /// Every linear site of the blocks on which methods may act, in checkpoint order.
    virtual std::vector<LinearSite*> sites() = 0;
    /// Published name -> tensor, in checkpoint order; a tied head is not repeated, and what is held in
    /// few bits is not among them.
    virtual std::vector<NamedTensor> parameters() = 0;
    /// After a parameter was replaced: a tied head follows the embedding.
    void tie();

    at::ScalarType dtype() const { return packedEmbedding ? at::kFloat : embedding.scalar_type(); }
    /// Where it computes.
    c10::Device device() const
    {
        return packedEmbedding ? c10::kCPU : headWeight.defined() ? headWeight.device() : embedding.device();
    }
    /// Keeps the embedding in host memory, where a card is small: rows are picked there. It must not train nor
    /// be the head too.
    void embeddingToHost();
    /// Holds the weights of all sites in few bits from now on; of int8 on the processor the tables too. There
    /// the model is in float32. Nothing trains.
    void pack(tensor::WeightKind kind);
    void to(c10::Device device, at::ScalarType dtype);

protected:
    /// Rows `ids` of the embedding, [n, hidden]. The row `padding` gets no gradient; -1: none.
    at::Tensor embedded(const std::vector<std::int64_t>& ids, std::int64_t padding = -1) const;
    /// Holds the embedding, and with it a tied head, or a head of its own, in 8 bits.
    void packTables();
};

/// A model that writes: decoders and encoder-decoders.
class LanguageModel : public Model
{
public:
    /// All tokens at once, documents kept apart. -> states after the last norm [T, hidden], or those
    /// of pass.wanted [wanted, hidden]; the one
    /// of token t - 1 foretells token t. Of an encoder-decoder only those that foretell a token
    /// that it writes have a meaning.
    virtual at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {}) = 0;
    /// Reads the documents and fills slot slots[d] of the cache from its start. -> [T, hidden]; the
    /// last state of each document foretells the first new token.
    virtual at::Tensor prefill(const PackedTokens& tokens, KvCache& cache,
                               std::span<const std::int64_t> slots) = 0;
    /// One further token for each slot. ids [slots] -> [slots, hidden].
    virtual at::Tensor decode(std::span<const std::int64_t> ids, KvCache& cache,
                              std::span<const std::int64_t> slots) = 0;
    virtual KvCache makeCache(std::int64_t slots, std::int64_t maxLength) const = 0;

    /// rows [N, hidden] -> logits [N, vocab] in float32 (float64 for a float64 model).
    at::Tensor logits(const at::Tensor& rows) const;
    /// scale * sum of the negative log-likelihoods of `labels` [N] after rows [N, hidden]; see
    /// tensor::headLoss.
    at::Tensor loss(const at::Tensor& rows, std::span<const std::int64_t> labels, double scale,
                    tensor::HeadLossInfo& info) const;

protected:
    /// An empty cache for `layers` layers that write.
    KvCache cacheFor(std::int64_t layers, std::int64_t slots, std::int64_t maxLength) const;
};

} // namespace fettle::model

#pragma once

#include "model/language_model.h"

namespace fettle::model {

/// A model of the encoder-decoder kind with relative positions (t5, umt5, longt5): reads a text in
/// both directions, then writes another while looking at what it read.
class EncoderDecoder final : public LanguageModel
{
public:
    struct Stack
    {
        std::vector<Block> blocks;
        Norm finalNorm;
        std::vector<at::Tensor> relativeBias; ///< [buckets, heads] of each layer, or one for all
        at::Tensor globalBias;                ///< [buckets, heads], of stacks with global tokens
    };
    Stack reader, writer;

    /// States of what is read: ids [S], offsets of the documents -> [S, hidden].
    at::Tensor encode(const std::vector<std::int64_t>& ids, const tensor::Offsets& offsets,
                      const PassContext& pass = {}) const;

    /// Each document's first `sources` tokens are read, the others are written behind the start
    /// token (targets shifted right). A document needs at least one token to read.
    at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {}) override;
    at::Tensor prefill(const PackedTokens& tokens, KvCache& cache,
                       std::span<const std::int64_t> slots) override;
    at::Tensor decode(std::span<const std::int64_t> ids, KvCache& cache,
                      std::span<const std::int64_t> slots) override;
    KvCache makeCache(std::int64_t slots, std::int64_t maxLength) const override;
    std::vector<LinearSite*> sites() override;
    std::vector<NamedTensor> parameters() override;

private:
    struct Reading;
    at::Tensor inHeads(const LinearSite& site, const at::Tensor& x, const PassContext& pass) const;
    at::Tensor out(const LinearSite& site, const at::Tensor& mixed, const PassContext& pass) const;
    Reading prepare(const tensor::Offsets& offsets, const PassContext& pass) const;
    at::Tensor read(std::size_t number, const at::Tensor& x, const Reading& reading,
                    const PassContext& pass) const;
    /// What the encoder gave, with its documents and what terms know of its rows.
    struct Memory
    {
        at::Tensor states; ///< [S, hidden]
        const tensor::Offsets& offsets;
        const PassContext& pass;
    };
    at::Tensor write(const std::vector<std::int64_t>& ids, const tensor::Offsets& offsets,
                     const Memory& memory, const PassContext& pass) const;
    at::Tensor decodeLayer(std::size_t number, const at::Tensor& h, KvCache& cache,
                           std::span<const std::int64_t> slots,
                           const std::vector<std::vector<at::Tensor>>& biases) const;
};

} // namespace fettle::model

#pragma once

#include "model/fused/fused_decoder.h"
#include "model/language_model.h"

namespace fettle::model {

/// A causal language model of the decoder kind.
class Decoder final : public LanguageModel
{
public:
    at::Tensor positions; ///< [maxPositions, hidden], of families with learned positions
    std::vector<Block> blocks;
    Norm finalNorm;

    at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {}) override;
    at::Tensor prefill(const PackedTokens& tokens, KvCache& cache,
                       std::span<const std::int64_t> slots) override;
    at::Tensor decode(std::span<const std::int64_t> ids, KvCache& cache,
                      std::span<const std::int64_t> slots) override;
    KvCache makeCache(std::int64_t slots, std::int64_t maxLength) const override;
    /// Whether documents can go on behind tokens that were read before: not where angles depend on
    /// the length of a text.
    bool readsOn() const;
    /// Documents that go on behind what slot 0 of `earlier` holds, each as if it stood there alone. ->
    /// states after the last norm of all tokens, or of `wanted`. Where `into` is given, slots[d] of it
    /// then holds the earlier tokens and document d. No gradient.
    at::Tensor readOn(const PackedTokens& tokens, const KvCache& earlier,
                      std::span<const std::int64_t> wanted = {}, KvCache* into = nullptr,
                      std::span<const std::int64_t> slots = {});
    std::vector<LinearSite*> sites() override;
    std::vector<NamedTensor> parameters() override;

private:
    struct Pass;
    struct Heads;
    using Turns = FusedDecoder::Turns;
    at::Tensor embed(const std::vector<std::int64_t>& ids,
                     const std::vector<std::int64_t>& positions) const;
    at::Tensor read(const Reading& reading);
    at::Tensor run(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& positions,
                   Pass& pass);
    at::Tensor through(std::size_t number, const at::Tensor& h, Pass& pass);
    std::size_t recomputedLayers(const Pass& pass) const;
    /// Angles that the layers ask for, into the pass.
    void makeTurns(Pass& pass) const;
    Heads project(const Block& block, const at::Tensor& x, const Pass& pass) const;
    const Turns& turnsOf(bool local, Pass& pass) const;
    void turn(Heads& heads, const LayerConfig& layer, Pass& pass) const;
    at::Tensor attention(const Block& block, std::size_t layer, const at::Tensor& x, Pass& pass);
    at::Tensor mixture(const Block& block, const at::Tensor& x, const PassContext& pass) const;
    /// The feed-forward part of either kind.
    at::Tensor inner(const Block& block, const at::Tensor& x, const PassContext& pass) const;

    FusedDecoder m_fused{*this};
};

} // namespace fettle::model

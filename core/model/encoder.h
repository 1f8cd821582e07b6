#pragma once

#include "model/language_model.h"

namespace fettle::model {

/// How the states of a text become one.
enum class Pooling
{
    Mean, ///< of all its tokens
    First ///< the state of its first token
};

/// A model of the encoder kind: reads texts in both directions and gives states for their tokens.
class Encoder final : public Model
{
public:
    at::Tensor positions;  ///< [firstPosition + maxPositions, hidden]
    at::Tensor tokenTypes; ///< [types, hidden]; undefined in families without
    Norm embeddingNorm;
    std::vector<Block> blocks;
    LinearSite pooler;    ///< of files that have one
    LinearSite headDense; ///< with headNorm, headWeight and headBias: the masked-language head
    Norm headNorm;
    /// Heads that are kept as they are, by published name.
    std::vector<std::pair<std::string, at::Tensor>> heads;

    /// All tokens at once, documents kept apart. -> states after the last norm [T, hidden].
    at::Tensor hidden(const PackedTokens& tokens, const PassContext& pass = {}) const;
    /// tanh of a linear layer over each document's first state [T, hidden] -> [documents, hidden].
    /// Of models with a pooler.
    at::Tensor pooled(const at::Tensor& states, const tensor::Offsets& offsets) const;
    /// One vector for each document: states [T, hidden] -> [documents, hidden].
    at::Tensor sentences(const at::Tensor& states, const tensor::Offsets& offsets,
                         Pooling pooling) const;

    bool hasLanguageHead() const { return headDense.exists(); }
    /// What stands at each token, by the masked-language head: rows [N, hidden] -> [N, vocab] in
    /// float32 (float64 for a float64 model).
    at::Tensor logits(const at::Tensor& rows) const;
    /// scale * sum of the negative log-likelihoods of `labels` [N] at rows [N, hidden].
    at::Tensor loss(const at::Tensor& rows, std::span<const std::int64_t> labels, double scale,
                    tensor::HeadLossInfo& info) const;

    std::vector<LinearSite*> sites() override;
    std::vector<NamedTensor> parameters() override;

private:
    std::vector<std::int64_t> rowsOfPositions(const PackedTokens& tokens) const;
    /// What the masked-language head does before its table.
    at::Tensor transformed(const at::Tensor& rows) const;
};

} // namespace fettle::model

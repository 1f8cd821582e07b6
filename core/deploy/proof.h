#pragma once

#include "base/json.h"
#include "model/language_model.h"

#include <vector>

namespace fettle::deploy {

// What a written model may differ by beyond the rounding of its weights.
inline constexpr double kLogitLimit = 1e-3;          ///< of any logit
inline constexpr double kPerplexityRiseLimit = 1e-3; ///< perplexity after / before - 1

/// How far a written model is from the one in memory.
struct Proof
{
    std::int64_t texts = 0, tokens = 0;
    std::int64_t prompts = 0;     ///< of the texts, the program's own
    std::int64_t weights = 0;     ///< read back and compared with those in memory
    bool states = false;          ///< of an encoder: states, in place of logits and perplexity
    double largestDifference = 0; ///< of any logit
    double unexplained = 0;       ///< the part of it that rounding the weights does not explain
    double perplexityBefore = 0, perplexityAfter = 0;
    bool passed = false;
};
Json toJson(const Proof& proof);

/// Logits of fixed texts, or an encoder's states, to compare two models with.
struct Answers
{
    std::vector<at::Tensor> logits; ///< per text [tokens, vocab], float32; states [tokens, hidden]
    bool states = false;
    double nll = 0;                 ///< nats over all tokens after the first of each text
    std::int64_t tokens = 0;
};
using Texts = std::vector<std::vector<std::int32_t>>;
Answers answersOf(model::Model& model, const Texts& texts);

/// For what is written without rounding: passes within the two limits.
Proof compareAnswers(const Answers& before, const Answers& after);

/// Some GGUF files know no scale of the attention scores: their queries, or the norms behind these,
/// hold it. Writes the model in memory in the same way; it answers as before.
void moveScoreScale(model::Model& model, const model::ModelConfig& written);

/// GGUF files hold an encoder without pooler and heads, and without the rows of positions that no
/// text has. Takes these from the model in memory; its states are as before.
void keepStoredPart(model::Model& model);

/// Compares every weight of a model that was read back with the one in memory. Rounding to few bits
/// may change a weight by `limit` of its root mean square. Gives the number of weights.
/// Errors: Internal naming the first that differs by more, is missing or has another shape.
Result<std::int64_t> checkRounded(model::Model& model, model::Model& written, double limit);

/// For a whole model whose weights are known to be those in memory but for rounding. `model` is
/// the one in memory with all it learned merged; it takes the weights of `written`, and its form
/// of GELU (GGUF files do not say which), so that what these do to answers is on both sides. Passes
/// when it answered `before` as it did before the merge, and now answers as `written` does, both
/// within the limits.
Proof proveModel(model::Model& model, model::Model& written, const Answers& before,
                 const Texts& texts);

} // namespace fettle::deploy

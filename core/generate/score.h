#pragma once

#include "model/language_model.h"

#include <functional>

namespace fettle::generate {

/// How likely one continuation is, token by token.
struct ContinuationScore
{
    std::vector<double> logProbabilities; ///< natural logarithms, one a token
    double sum() const;
    double mean() const; ///< a token; 0 for an empty continuation
};

/// Log-probabilities of many continuations of one prompt [tokens, at least one], each as if it stood
/// there alone. Decoders read the prompt once and the continuations packed behind it, about
/// `tokensAtOnce` in a pass; where that is not possible (encoder-decoders, angles that depend on the
/// length) each is read with its prompt. `stop` is asked before each pass: what is left stays empty.
std::vector<ContinuationScore>
scoreContinuations(model::LanguageModel& model, std::span<const std::int32_t> prompt,
                   const std::vector<std::vector<std::int32_t>>& continuations,
                   std::int64_t tokensAtOnce = 2048, const std::function<bool()>& stop = {});

} // namespace fettle::generate

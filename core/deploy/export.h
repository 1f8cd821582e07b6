#pragma once

#include "methods/method.h"
#include "model/decoder.h"

#include <filesystem>
#include <vector>

namespace fettle::deploy {

/// Writes a PEFT adapter folder (adapter_config.json, adapter_model.safetensors), whole or not at all.
/// Errors: Unsupported when the method has no adapter; those of writing.
Result<void> exportAdapter(const methods::Attached& attached, const std::string& baseModel,
                           const std::filesystem::path& target);

/// Merges the method into the decoder and writes a Hugging Face folder: configuration, tokenizer and
/// conversation form of the base, float32 weights. The decoder is the merged model afterwards.
Result<void> exportMerged(model::Decoder& decoder, methods::Attached& attached,
                          const std::filesystem::path& baseFolder, const std::filesystem::path& target);

/// How far a written model is from the one in memory.
struct Proof
{
    std::int64_t texts = 0, tokens = 0;
    double largestDifference = 0;           ///< of any logit
    double perplexityBefore = 0, perplexityAfter = 0;
    bool passed = false;                    ///< largestDifference <= kProofLimit
};
constexpr double kProofLimit = 1e-3;
Json toJson(const Proof& proof);

/// Final hidden states and logits sums of fixed texts, to compare two models with.
struct Answers
{
    std::vector<at::Tensor> logits;         ///< per text [tokens, vocab], float32
    double nll = 0;                         ///< nats over all tokens after the first of each text
    std::int64_t tokens = 0;
};
Answers answersOf(model::Decoder& decoder, const std::vector<std::vector<std::int32_t>>& texts);
Proof compareAnswers(const Answers& before, const Answers& after);

} // namespace fettle::deploy

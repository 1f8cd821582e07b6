#pragma once

#include "model/language_model.h"
#include "text/tokenizer.h"

#include <functional>
#include <string>
#include <vector>

namespace fettle::generate {

struct Settings
{
    std::int64_t maxNewTokens = 128;
    double temperature = 0;                 ///< 0: always the likeliest token (ties: lowest id)
    std::int64_t topK = 0;                  ///< 0: all
    double topP = 1;
    std::uint64_t seed = 42;
    std::vector<std::string> stopTexts;     ///< the answer ends before the first of them
    std::vector<std::int32_t> stopIds;      ///< end-of-turn tokens; not part of the answer
};

struct Generated
{
    std::vector<std::int32_t> ids;          ///< without the stop token
    std::string text;
    std::string stoppedBy;                  ///< "end", "length", "stop text", "person"
};

/// `stream` is the index of the prompt; pieces are whole characters.
using PieceSink = std::function<void(std::size_t stream, const std::string& piece)>;

/// Continues several prompts together with a key-value cache. Each answer is the one its prompt would
/// get alone; prompts are taken in groups of `slots`, longest first. Runs on the worker's thread.
/// Prompts longer than the cache allows are the caller's business.
std::vector<Generated> generate(model::LanguageModel& model, const text::Tokenizer& tokenizer,
                                const std::vector<std::vector<std::int32_t>>& prompts, const Settings& settings,
                                const PieceSink& sink = {}, const std::function<bool()>& stop = {},
                                std::int64_t slots = 16);

/// Chooses the next token from logits [vocab] (float32, CPU). `uniform` in [0, 1) is used unless greedy.
/// Order: temperature, top-k, top-p, draw.
std::int32_t chooseToken(std::span<const float> logits, const Settings& settings, double uniform);

} // namespace fettle::generate

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

/// What the caller hears and says while answers are written; each may be empty.
struct Listener
{
    std::function<void(std::size_t prompt, const std::string& piece)> piece; ///< whole characters
    std::function<bool()> stop;
    std::function<void(std::size_t finished)> progress; ///< how many answers are finished
};

/// Continues several prompts together with a key-value cache. Each answer is the one its prompt would
/// get alone; `slots` are written at a time, longest prompts first, and a slot that is free takes the
/// next one. Runs on the worker's thread.
/// Prompts longer than the cache allows are the caller's business.
std::vector<Generated> generate(model::LanguageModel& model, const text::Tokenizer& tokenizer,
                                const std::vector<std::vector<std::int32_t>>& prompts, const Settings& settings,
                                const Listener& listener = {}, std::int64_t slots = 16);

/// Chooses the next token from logits [vocab] (float32, CPU). `uniform` in [0, 1) is used unless greedy.
/// Order: temperature, top-k, top-p, draw.
std::int32_t chooseToken(std::span<const float> logits, const Settings& settings, double uniform);

} // namespace fettle::generate

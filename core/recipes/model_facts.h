#pragma once

#include "model/import/model_card.h"
#include "model/import/model_config.h"
#include "store/workspace.h"

namespace fettle::recipes {

/// Whether a use of a model fits into the memory that is free now (estimated).
struct Fit
{
    enum class Level
    {
        Fits,
        Tight, ///< takes more than 80 % of what is free
        TooLarge
    };
    std::uint64_t needed = 0, available = 0;
    Level level() const;
};
std::string toString(Fit::Level level); ///< "fits", "tight", "too large"

/// What a person wants to know of a model before choosing it.
struct ModelFacts
{
    model::ModelCard card;
    model::ModelConfig config;
    bool conversationForm = false; ///< its files hold a template for conversations
    Fit answering, addOn, whole;   ///< for LoRA and full training with the default settings
};

/// Reads the files of a model of the workspace, no weights; a few milliseconds to a second, so call
/// it from a pool thread. Errors: those of readModelConfig.
Result<ModelFacts> modelFacts(const store::ModelRecord& record);

} // namespace fettle::recipes

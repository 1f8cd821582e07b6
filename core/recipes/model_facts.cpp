#include "recipes/model_facts.h"

#include "recipes/front_door.h"
#include "recipes/memory.h"
#include "text/chat_template.h"

namespace fettle::recipes {

namespace {

ParamValues defaultsWith(const std::string& method)
{
    ParamValues settings(trainingSettings());
    (void)settings.set("method", Json(method)); // both names are choices of the setting
    return settings;
}

} // namespace

Fit::Level Fit::level() const
{
    if (available > 0 && needed > available)
        return Level::TooLarge;
    return available > 0 && needed > available / 5 * 4 ? Level::Tight : Level::Fits;
}

std::string toString(Fit::Level level)
{
    switch (level) {
    case Fit::Level::Fits:
        return "fits";
    case Fit::Level::Tight:
        return "tight";
    case Fit::Level::TooLarge:
        break;
    }
    return "too large";
}

Result<ModelFacts> modelFacts(const store::ModelRecord& record)
{
    auto config = model::readModelConfig(record.folder);
    if (!config)
        return config.error();
    ModelFacts facts;
    facts.card = model::readModelCard(record.folder);
    facts.config = std::move(*config);
    facts.conversationForm = static_cast<bool>(text::ChatTemplate::load(record.folder));
    const auto available = deviceReport().memoryAvailable;
    facts.answering = {answeringBytes(facts.config), available};
    facts.addOn = {trainingBytes(facts.config, defaultsWith("lora")), available};
    facts.whole = {trainingBytes(facts.config, defaultsWith("full")), available};
    return facts;
}

} // namespace fettle::recipes

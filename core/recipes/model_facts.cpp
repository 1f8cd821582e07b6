#include "recipes/model_facts.h"

#include "model/import/hf_folder.h"
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
    auto files = model::ModelFiles::open(record.folder);
    if (!files)
        return files.error();
    ModelFacts facts;
    facts.card = model::readModelCard(record.folder);
    facts.config = files->config();
    const auto stored = files->storedKind();
    facts.conversationForm = static_cast<bool>(text::ChatTemplate::load(record.folder));
    const auto training = [&](const char* method) {
        const auto settings = defaultsWith(method);
        const auto room = roomFor(settings);
        const auto savings = savingsFor(facts.config, stored, settings, room);
        return Fit{trainingBytes(facts.config, stored, settings, {.savings = savings, .onCard = room.onCard}), room.available};
    };
    facts.addOn = training("lora");
    facts.answering = {answeringBytes(facts.config, stored), facts.addOn.available};
    facts.whole = training("full");
    return facts;
}

} // namespace fettle::recipes

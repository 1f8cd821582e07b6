#include "cli/output.h"
#include "cli/session.h"
#include "recipes/settings.h"

#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

std::string kindName(ParamKind kind)
{
    switch (kind) {
    case ParamKind::Integer:
        return "integer";
    case ParamKind::Real:
        return "number";
    case ParamKind::Flag:
        return "flag";
    case ParamKind::Choice:
        return "choice";
    case ParamKind::TextList:
        return "list";
    case ParamKind::Text:
        break;
    }
    return "text";
}

OrderedJson toJson(const ParamSpec& spec)
{
    OrderedJson json = {{"key", spec.key},
                        {"label", spec.label},
                        {"term", spec.term},
                        {"help", spec.help},
                        {"why", spec.why},
                        {"kind", kindName(spec.kind)},
                        {"default", spec.defaultValue}};
    if (spec.minimum)
        json["minimum"] = *spec.minimum;
    if (spec.maximum)
        json["maximum"] = *spec.maximum;
    if (!spec.choices.empty())
        json["choices"] = spec.choices;
    if (!spec.unit.empty())
        json["unit"] = spec.unit;
    json["basic"] = spec.basic;
    if (!spec.neededBySetting.empty())
        json["usedWhen"] = {{"setting", spec.neededBySetting}, {"values", spec.neededByValues}};
    return json;
}

std::string allowed(const ParamSpec& spec)
{
    if (!spec.choices.empty())
        return fmt::format("{}", fmt::join(spec.choices, ", "));
    if (spec.kind == ParamKind::Flag)
        return "true, false";
    if (spec.minimum && spec.maximum)
        return fmt::format("{} to {}", *spec.minimum, *spec.maximum);
    return kindName(spec.kind);
}

Outcome listRecipes(Session& session)
{
    const auto recipes = recipes::builtInRecipes();
    if (session.json) {
        OrderedJson list = OrderedJson::array();
        for (const auto& recipe : recipes)
            list.push_back(
                {{"id", recipe.id}, {"title", recipe.title}, {"summary", recipe.summary}});
        printJson({{"recipes", list}});
        return kDone;
    }
    Table table({{"recipe"}, {"title"}, {"what it does"}});
    for (const auto& recipe : recipes)
        table.add({recipe.id, recipe.title, recipe.summary});
    print(table.text());
    return kDone;
}

/// A recipe as a file that can be changed and used with train --recipe.
Outcome showRecipe(const std::string& name)
{
    const auto recipe = recipes::loadRecipe(name);
    if (!recipe)
        return recipe.error();
    ParamValues values(recipes::trainingSettings());
    if (auto set = values.setAll(recipe->settings); !set)
        return set.error();
    printJson({{"title", recipe->title}, {"summary", recipe->summary}, {"settings", values.all()}});
    return kDone;
}

Outcome showSchema(Session& session)
{
    const auto& settings = recipes::trainingSettings();
    if (session.json) {
        OrderedJson list = OrderedJson::array();
        for (const auto& spec : settings)
            list.push_back(toJson(spec));
        printJson({{"settings", list}});
        return kDone;
    }
    Table table({{"key"}, {"default"}, {"allowed"}, {"unit"}, {"what it does"}});
    for (const auto& spec : settings)
        table.add({spec.key,
                   spec.defaultValue.is_string() ? spec.defaultValue.get<std::string>()
                                                 : spec.defaultValue.dump(),
                   allowed(spec), spec.unit, spec.help});
    print(table.text());
    return kDone;
}

} // namespace

void addRecipe(CLI::App& app, Session& session)
{
    auto* group = app.add_subcommand("recipe", "Recipes and the settings they are made of");
    group->require_subcommand(1);
    addCommand(*group, session, "list", "Lists the recipes that come with the program",
               [&session] { return listRecipes(session); });
    const auto name = std::make_shared<std::string>();
    addCommand(*group, session, "show",
               "Prints a recipe with all its settings, as a file to change and use",
               [name] { return showRecipe(*name); })
        ->add_option("recipe", *name, "Name from recipe list, or a file")
        ->required();
    addCommand(*group, session, "schema", "Lists every setting: key, default, range and meaning",
               [&session] { return showSchema(session); });
}

} // namespace fettle::cli

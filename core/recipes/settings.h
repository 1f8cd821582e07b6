#pragma once

#include "base/param_spec.h"
#include "tensor/files/weight_kind.h"

#include <filesystem>

namespace fettle::recipes {

/// Every setting of a training run: method, its own settings, objective, optimizer, schedule,
/// lengths, checks, checkpoints. Keys are stable names of files and of --set.
const ParamList& trainingSettings();
/// How a run with these settings holds the numbers of the original: those of 32 bits that do not
/// train as Stored16, so that a file's 16 bits need not be widened.
tensor::WeightKind weightKind(const ParamValues& settings);
/// training.precision, in which "auto" means float32 where the whole model trains.
std::string precisionOf(const ParamValues& settings);

/// A named file with settings: resources/recipes/*.json or a user's own.
struct Recipe
{
    std::string id, title, summary;
    Json settings = Json::object();
};

std::vector<Recipe> builtInRecipes();
/// By id of a built-in one or by path. Errors: NotFound, InvalidInput with the place.
Result<Recipe> loadRecipe(const std::string& idOrPath);
/// Folder with recipes, samples and icons: beside the program, else in the source tree.
std::filesystem::path resourceFolder();

} // namespace fettle::recipes

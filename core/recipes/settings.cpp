#include "recipes/settings.h"

#include "base/json.h"
#include "methods/specs.h"
#include "objectives/specs.h"

#include <algorithm>
#include <cstdlib>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

ParamSpec integer(std::string key, std::string label, std::string term, std::string help, std::string why,
                  std::int64_t value, double low, double high, std::string unit = {}, bool basic = false)
{
    ParamSpec spec{std::move(key), std::move(label), std::move(term), std::move(help), std::move(why)};
    spec.kind = ParamKind::Integer;
    spec.defaultValue = value;
    spec.minimum = low, spec.maximum = high;
    spec.unit = std::move(unit);
    spec.basic = basic;
    return spec;
}

ParamSpec real(std::string key, std::string label, std::string term, std::string help, std::string why,
               double value, double low, double high, std::string unit = {}, bool basic = false)
{
    auto spec = integer(std::move(key), std::move(label), std::move(term), std::move(help), std::move(why), 0, low,
                        high, std::move(unit), basic);
    spec.kind = ParamKind::Real;
    spec.defaultValue = value;
    return spec;
}

ParamSpec choice(std::string key, std::string label, std::string term, std::string help, std::string why,
                 std::vector<std::string> values, std::vector<std::string> labels, bool basic = false)
{
    ParamSpec spec{std::move(key), std::move(label), std::move(term), std::move(help), std::move(why)};
    spec.kind = ParamKind::Choice;
    spec.defaultValue = values.front();
    spec.choices = std::move(values);
    spec.choiceLabels = std::move(labels);
    spec.basic = basic;
    return spec;
}

ParamSpec flag(std::string key, std::string label, std::string term, std::string help, std::string why, bool value)
{
    ParamSpec spec{std::move(key), std::move(label), std::move(term), std::move(help), std::move(why)};
    spec.kind = ParamKind::Flag;
    spec.defaultValue = value;
    return spec;
}

void addMethods(ParamList& list)
{
    std::vector<std::string> ids, titles;
    for (const auto& spec : methods::methodSpecs())
        ids.push_back(spec.id), titles.push_back(spec.title);
    list.push_back(choice("method", "Method", "parameter-efficient method", "Which part of the model may change.",
                          "An add-on learns nearly as well as the whole model and needs far less memory.", ids, titles));
    for (const auto& spec : methods::methodSpecs()) {
        for (auto parameter : spec.parameters) {
            parameter.neededBySetting = "method";
            parameter.neededByValues = {spec.id};
            list.push_back(std::move(parameter));
        }
    }
}

void addModel(ParamList& list)
{
    list.push_back(choice("model.weights", "Original held in", "quantised weights",
                          "Fewer bits for the numbers of the original, which stay as they are while an add-on learns: less "
                          "memory, quicker answers on the processor, a little less exact.",
                          "Nothing is lost with 32 bits; with 8 hardly anything.", {"float32", "int8", "nf4"},
                          {"32 bits", "8 bits", "4 bits (NF4)"}));
}

void addObjectives(ParamList& list)
{
    std::vector<std::string> ids, titles;
    for (const auto& spec : objectives::objectiveSpecs())
        ids.push_back(spec.id), titles.push_back(spec.title);
    list.push_back(choice("objective", "Goal", "objective", "What counts as better during training.",
                          "Rows with good answers are what people have.", ids, titles));
    for (const auto& spec : objectives::objectiveSpecs()) {
        for (auto parameter : spec.parameters) {
            parameter.neededBySetting = "objective";
            parameter.neededByValues = {spec.id};
            list.push_back(std::move(parameter));
        }
    }
}

void addTraining(ParamList& list)
{
    list.push_back(real("training.passes", "Passes", "epochs", "How often each training row is read.",
                        "Two to three passes teach a form of answer without learning rows by heart.", 2, 0.01, 1000,
                        "passes", true));
    list.push_back(integer("training.maxSteps", "Most steps", "maximum steps",
                           "The run ends after so many steps even when passes remain; 0 sets no limit.",
                           "The number of passes is easier to judge than a number of steps.", 0, 0, 10'000'000, "steps"));
    list.push_back(real("training.learningRate", "Change per step", "learning rate",
                        "How much to change at each step; too much breaks the model, too little does nothing.",
                        "The usual start for this method; 0 takes it.", 0, 0, 1, "", true));
    list.push_back(integer("training.batchSize", "Rows per step", "batch size", "How many rows vote on each change.",
                           "Eight rows give a steady direction and many steps from little data.", 8, 1, 4096, "rows",
                           true));
    list.push_back(integer("training.maxLength", "Longest text", "context length",
                           "Rows with more word pieces are left out and listed; answers are never cut.",
                           "Long enough for a page; more needs more memory.", 1024, 8, 1'000'000, "pieces", true));
    list.push_back(integer("training.microBatchTokens", "Pieces at once", "micro-batch size",
                           "How many word pieces are in memory together; changes speed and memory, not the result.",
                           "Nearly as fast on a processor as more of them, with less than 1 GB for the work in progress.", 1024, 8, 1'000'000,
                           "pieces"));
    list.push_back(choice("training.recompute", "Work in progress", "gradient checkpointing",
                          "Whether what a layer works out waits in memory until it is needed "
                          "again, or is worked out twice: the same result with less "
                          "memory, up to a quarter slower.",
                          "Twice only where memory would be short.", {"auto", "none", "all"},
                          {"keep what fits", "keep all", "work out twice"}));
    list.push_back(choice("training.schedule", "Course of change", "learning-rate schedule",
                          "How the change per step falls during the run.",
                          "Falling gently to almost nothing ends in a quiet place.", {"cosine", "linear", "constant"},
                          {"falls as a cosine", "falls in a line", "stays the same"}));
    list.push_back(real("training.warmup", "Gentle start", "warm-up",
                        "Share of the steps during which the change per step grows from nothing.",
                        "The first steps are uncertain and should be small.", 0.03, 0, 0.9, "share of steps"));
    list.push_back(choice("training.optimizer", "Optimizer", "optimizer", "What turns gradients into changes of weights.",
                          "AdamW is what recipes are tuned for; with memory in 8 bits it needs a quarter of the memory for "
                          "its own numbers and learns about as well.",
                          {"adamw", "adamw8bit"}, {"AdamW", "AdamW with memory in 8 bits"}));
    list.push_back(real("training.weightDecay", "Pull to zero", "weight decay",
                        "How strongly weights that train are pulled towards zero (AdamW).",
                        "With few passes it changes little.", 0, 0, 1));
    list.push_back(real("training.beta1", "Memory of direction", "AdamW beta 1",
                        "How long the optimizer remembers the direction of past steps.", "The usual value.", 0.9, 0,
                        0.9999));
    list.push_back(real("training.beta2", "Memory of size", "AdamW beta 2",
                        "How long the optimizer remembers the size of past steps.", "The usual value.", 0.999, 0,
                        0.999999));
    list.push_back(real("training.epsilon", "Smallest divisor", "AdamW epsilon",
                        "Keeps the optimizer's division away from zero.", "The usual value.", 1e-8, 1e-12, 1e-2));
    list.push_back(real("training.clipNorm", "Largest pull", "gradient clipping",
                        "A step whose size of change exceeds this is scaled down to it; 0 switches this off.",
                        "One odd row must not throw the model off.", 1, 0, 1e6));
    list.push_back(choice("training.device", "Computes on", "device", "Where the run computes.",
                          "A graphics card is used when it is ready.", {"auto", "cpu", "cuda"},
                          {"best available", "processor", "graphics card"}));
    list.push_back(choice("training.precision", "Number size", "dtype",
                          "Numbers of the original, in 16 bits on a graphics card only. Add-ons always train in 32; a whole "
                          "model does too unless you ask for 16, then its weights are rounded up or down at random at each "
                          "step, right on average.",
                          "On a processor only 32 bits are fast; a graphics card is fast with 16.",
                          {"auto", "float32", "bfloat16"}, {"best for the device", "32 bits", "16 bits (bfloat16)"}));
}

void addChecks(ParamList& list)
{
    list.push_back(integer("checks.everySteps", "Check every", "evaluation interval",
                           "The loss on the checking rows is measured after so many steps; 0 chooses for about ten checks.",
                           "Often enough to see the turn, rare enough to cost little.", 0, 0, 1'000'000, "steps", true));
    list.push_back(integer("checks.maxRows", "Checking rows used", "validation rows",
                           "At most so many checking rows, always the same ones.",
                           "A hundred rows show a change of a few per cent.", 100, 1, 1'000'000, "rows"));
    list.push_back(flag("checks.earlyStop", "Stop when it stops improving", "early stopping",
                        "Ends the run when the checking rows have not improved for several checks.",
                        "Past that point the model learns rows by heart.", true));
    list.back().basic = true;
    list.push_back(integer("checks.patience", "Checks to wait", "early-stopping patience",
                           "So many checks without a better one end the run.",
                           "One bad check can be chance, three hardly.", 3, 1, 1000, "checks"));
    list.push_back(flag("checks.stopOnRise", "Stop when the loss runs away", "divergence",
                        "Ends the run when the loss of the last few steps stands far above that of the steps before.",
                        "What follows would be lost; the save point from before the rise is kept.", true));
    list.push_back(integer("checks.prompts", "Fixed questions", "sample prompts",
                           "So many checking rows are answered at each check, so that you see the answers change.",
                           "Three answers are quickly read.", 3, 0, 20, "questions"));
    list.push_back(integer("checks.answerLength", "Longest answer shown", "maximum new tokens",
                           "Fixed questions are answered with at most so many word pieces.",
                           "Enough to see the form of the answer.", 48, 1, 4096, "pieces"));
    list.push_back(integer("checkpoints.everySteps", "Save point every", "checkpoint interval",
                           "The run is saved after so many steps; 0 saves at each check.",
                           "At most the time between two checks is repeated after a power cut.", 0, 0, 1'000'000,
                           "steps"));
    list.push_back(integer("checkpoints.keep", "Save points kept", "checkpoints kept",
                           "So many of the newest are kept; the best one always is.",
                           "Two guard against a damaged one without filling the disk.", 2, 1, 1000, "save points"));
    list.push_back(real("checkpoints.waitForSpace", "Wait for space", "pause on a full disk",
                        "How long a run waits when a save point does not fit on the disk; 0 ends it at once.",
                        "Half an hour is time to make room; the run then goes on by itself.", 30, 0, 100'000, "minutes"));
}

} // namespace

tensor::WeightKind weightKind(const ParamValues& settings)
{
    const auto kind = *tensor::weightKindFrom(settings.text("model.weights"));
    const bool frozen = settings.text("method") != "full";
    return kind == tensor::WeightKind::Float32 && frozen ? tensor::WeightKind::Stored16 : kind;
}

std::string precisionOf(const ParamValues& settings)
{
    const auto asked = settings.text("training.precision");
    return asked == "auto" && settings.text("method") == "full" ? "float32" : asked;
}

const ParamList& trainingSettings()
{
    static const ParamList settings = [] {
        ParamList list;
        addMethods(list);
        addModel(list);
        addObjectives(list);
        addTraining(list);
        addChecks(list);
        return list;
    }();
    return settings;
}

fs::path resourceFolder()
{
    if (const char* stated = std::getenv("FETTLE_RESOURCES"))
        return stated;
    std::error_code ec;
    fs::path at = fs::read_symlink("/proc/self/exe", ec).parent_path();
    for (int up = 0; up < 6 && !at.empty(); ++up, at = at.parent_path()) {
        for (const auto& candidate : {at / "share" / "fettle", at / "resources"}) {
            if (fs::is_directory(candidate / "recipes", ec))
                return candidate;
        }
    }
    return "resources";
}

Result<Recipe> loadRecipe(const std::string& idOrPath)
{
    fs::path path = idOrPath;
    std::error_code ec;
    if (!fs::exists(path, ec))
        path = resourceFolder() / "recipes" / (idOrPath + ".json");
    if (!fs::exists(path, ec))
        return Error{ErrorCode::NotFound, "there is no recipe \"" + idOrPath + "\"", "recipes",
                     "List them with: fettle-cli recipe list"};
    auto json = readJsonFile(path, 1 << 20);
    if (!json)
        return json.error();
    const std::string where = path.filename().string();
    if (!json->is_object() || !json->contains("settings"))
        return Error{ErrorCode::InvalidInput, "the file is not a recipe: it has no \"settings\"", where,
                     "Start from one that fettle-cli recipe show prints"};
    Recipe recipe{path.stem().string(), json->value("title", path.stem().string()), json->value("summary", ""),
                  (*json)["settings"]};
    ParamValues values(trainingSettings());
    if (auto checked = values.setAll(recipe.settings); !checked)
        return at(checked.error(), where);
    return recipe;
}

std::vector<Recipe> builtInRecipes()
{
    std::vector<Recipe> recipes;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(resourceFolder() / "recipes", ec)) {
        if (entry.path().extension() != ".json")
            continue;
        if (auto recipe = loadRecipe(entry.path().string()))
            recipes.push_back(*recipe);
    }
    std::ranges::sort(recipes, {}, &Recipe::id);
    return recipes;
}

} // namespace fettle::recipes

#include "base/text.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"
#include "recipes/model_facts.h"

#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

struct ImportModelOptions
{
    std::string path, name, base;
};

struct GrowOptions
{
    std::string model, name, start = "mean";
    std::vector<std::string> tokens, marks;
    std::int64_t multiple = 1;
};

struct DownloadOptions
{
    std::string model, revision, name, base;
};

/// "SmolLM2-135M-Instruct.Q4_1.gguf" -> "SmolLM2-135M-Instruct.Q4_1"; the last part of a folder.
std::string nameFrom(std::filesystem::path path)
{
    if (path.filename().empty())
        path = path.parent_path();
    return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

/// Hub and commit, or base and adapter; empty for a file or folder.
std::string originOf(const store::ModelRecord& record)
{
    const auto& info = record.info;
    std::string text;
    if (info.contains("hub"))
        text = fmt::format("{} at {}, commit {}", info["hub"].value("model", ""),
                           info["hub"].value("address", ""), info["hub"].value("commit", ""));
    if (info.contains("base"))
        text += fmt::format("{}an adapter merged into {}", text.empty() ? "" : "; ",
                            info["base"].value("model", ""));
    return text;
}

/// Says what a job has brought into the workspace.
Outcome takenIn(Session& session, const store::Workspace& workspace,
                const Result<JobOutcome>& outcome)
{
    if (!outcome)
        return outcome.error();
    const auto record = workspace.model(outcome->result.value("name", ""));
    if (session.json) {
        printJson(record ? toJson(*record) : OrderedJson(outcome->result));
    } else if (record) {
        printLine(fmt::format("Model {}: {} parameters, reads up to {}, {} on disk.", record->name,
                              grouped(record->parameters), counted(record->contextLength, "token"),
                              humanBytes(record->bytes)));
        if (const auto origin = originOf(*record); !origin.empty())
            printLine("From " + origin + ".");
    }
    return outcome->exit();
}

Outcome importModel(Session& session, const ImportModelOptions& options)
{
    std::error_code ec;
    if (!std::filesystem::exists(options.path, ec))
        return Error{ErrorCode::NotFound, "there is no such file or folder", options.path,
                     "Name a GGUF file or a Hugging Face folder"};
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const std::string name =
        options.name.empty() ? nameFrom(std::filesystem::absolute(options.path, ec)) : options.name;
    return takenIn(
        session, **workspace,
        runJob(recipes::makeModelImportJob(*workspace, options.path, name, options.base)));
}

Outcome downloadModel(Session& session, const DownloadOptions& options)
{
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    recipes::DownloadPlan plan{options.model, options.name, options.base};
    if (!options.revision.empty())
        plan.model += "@" + options.revision;
    return takenIn(session, **workspace, runJob(recipes::makeDownloadJob(*workspace, plan)));
}

Outcome addTokensTo(Session& session, const GrowOptions& options)
{
    model::VocabularyGrowth growth;
    for (const auto& token : options.tokens)
        growth.tokens.push_back({token, false});
    for (const auto& mark : options.marks)
        growth.tokens.push_back({mark, true});
    growth.multiple = options.multiple;
    if (options.start == "pieces")
        growth.start = model::NewRows::Pieces;
    else if (options.start != "mean")
        return Error{ErrorCode::InvalidInput, "new rows cannot start there", "--start",
                     "Use mean or pieces"};
    if (growth.tokens.empty())
        return Error{ErrorCode::InvalidInput, "there is no token to add", "model add-tokens",
                     "Name one with --token or --special"};
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto outcome =
        runJob(recipes::makeGrowJob(*workspace, options.model, options.name, growth));
    const auto shown = takenIn(session, **workspace, outcome);
    if (outcome && !session.json && outcome->result.contains("tokens")) {
        Table table({{"token"}, {"id", true}, {"row"}});
        for (std::size_t i = 0; i < growth.tokens.size(); ++i) {
            const auto& made = outcome->result["tokens"][i];
            table.add({growth.tokens[i].content, made["id"].dump(),
                       made["new"].get<bool>() ? "new" : "was there"});
        }
        print(table.text());
    }
    return shown;
}

Outcome listModels(Session& session)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto models = (*workspace)->models();
    if (session.json) {
        OrderedJson list = OrderedJson::array();
        for (const auto& model : models)
            list.push_back(toJson(model));
        printJson({{"models", list}});
        return kDone;
    }
    if (models.empty()) {
        say("No model yet. Bring one in with: fettle-cli model import FILE.gguf");
        return kDone;
    }
    Table table({{"name"},
                 {"family"},
                 {"parameters", true},
                 {"tokens at once", true},
                 {"on disk", true},
                 {"licence"}});
    for (const auto& model : models)
        table.add({model.name, model.family, grouped(model.parameters),
                   grouped(model.contextLength), humanBytes(model.bytes), model.licence});
    print(table.text());
    return kDone;
}

Outcome showModel(Session& session, const std::string& name)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto model = (*workspace)->model(name);
    if (!model)
        return model.error();
    const auto facts = recipes::modelFacts(*model);
    if (!facts)
        return facts.error();
    const std::pair<const char*, recipes::Fit> fits[] = {
        {"answering", facts->answering}, {"add-on", facts->addOn}, {"full", facts->whole}};
    if (session.json) {
        auto json = toJson(*model);
        json["languages"] = facts->card.languages;
        json["baseModels"] = facts->card.baseModels;
        json["conversationForm"] = facts->conversationForm;
        for (const auto& [use, fit] : fits)
            json["fits"][use] = {{"level", toString(fit.level())},
                                 {"neededBytes", fit.needed},
                                 {"availableBytes", fit.available}};
        printJson(json);
        return kDone;
    }
    printLine(fmt::format("{}\n  family       {}\n  parameters   {}\n  reads up to  {}\n  on disk  "
                          "    {}\n  folder       "
                          "{}\n  licence      {}\n  fingerprint  {}\n  added        {}",
                          model->name, model->family, grouped(model->parameters),
                          counted(model->contextLength, "token"), humanBytes(model->bytes),
                          model->folder.string(),
                          model->licence.empty() ? "not stated" : model->licence, model->digest,
                          shortTime(model->addedAt)));
    if (const auto origin = originOf(*model); !origin.empty())
        printLine("  origin       " + origin);
    const auto& languages = facts->card.languages;
    printLine(fmt::format("  languages    {}",
                          languages.empty() ? "not stated"
                                            : fmt::format("{}", fmt::join(languages, ", "))));
    printLine(fmt::format("  conversation {}", facts->conversationForm ? "its own form" : "none"));
    for (const auto& [use, fit] : fits)
        printLine(fmt::format("  {:12} {}, about {} of {}", use, toString(fit.level()),
                              humanBytes(fit.needed), humanBytes(fit.available)));
    return kDone;
}

} // namespace

void addModel(CLI::App& app, Session& session)
{
    auto* group = app.add_subcommand("model", "Models of the workspace");
    group->require_subcommand(1);

    const auto import = std::make_shared<ImportModelOptions>();
    auto* command =
        addCommand(*group, session, "import", "Brings in a GGUF file or a Hugging Face folder",
                   [&session, import] { return importModel(session, *import); });
    command
        ->add_option("path", import->path,
                     "GGUF file, folder with config.json and weights, or folder of an adapter")
        ->required();
    command->add_option("--as", import->name, "Name in the workspace (default: from the file)");
    command->add_option(
        "--base", import->base,
        "For a LoRA adapter (PEFT folder): the model of the workspace that it belongs to");

    const auto download = std::make_shared<DownloadOptions>();
    command = addCommand(*group, session, "download",
                         "Fetches a model from a hub; goes on where an earlier attempt ended",
                         [&session, download] { return downloadModel(session, *download); });
    command->add_option("model", download->model, "owner/name or owner/name@revision")->required();
    command->add_option("--revision", download->revision, "Branch, tag or commit (default: main)");
    command->add_option("--as", download->name, "Name in the workspace (default: the model's own)");
    command->add_option("--base", download->base, "For an adapter: the model that it belongs to");

    const auto grow = std::make_shared<GrowOptions>();
    command = addCommand(*group, session, "add-tokens",
                         "Makes a copy of a model whose vocabulary has further tokens",
                         [&session, grow] { return addTokensTo(session, *grow); });
    command->add_option("model", grow->model, "Name of the model")->required();
    command->add_option("--as", grow->name, "Name of the copy")->required();
    command->add_option("--token", grow->tokens, "A word or part of one; may be repeated");
    command->add_option("--special", grow->marks,
                        "A mark that is never read from typed text; may be repeated");
    command->add_option("--start", grow->start, "Where new rows start: mean, or pieces of the text")
        ->capture_default_str();
    command->add_option("--multiple", grow->multiple, "Round the number of rows up to a multiple")
        ->capture_default_str();

    addCommand(*group, session, "list", "Lists the models",
               [&session] { return listModels(session); });

    const auto name = std::make_shared<std::string>();
    addCommand(*group, session, "show", "Shows one model",
               [&session, name] { return showModel(session, *name); })
        ->add_option("model", *name, "Name of the model")
        ->required();
}

} // namespace fettle::cli

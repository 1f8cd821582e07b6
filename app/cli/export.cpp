#include "base/text.h"
#include "cli/output.h"
#include "cli/run_job.h"
#include "deploy/proof_card.h"
#include "recipes/front_door.h"

#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

struct ExportOptions
{
    std::string what, form, to, type, shardSize;
};

std::string proofInWords(const Json& proof)
{
    if (proof.contains("largestStateDifference")) // of an encoder
        return fmt::format(
            "Read back and compared on {}: largest difference of a state {:.2g}; of it {:.2g} is "
            "not from rounding (allowed {:.2g}).",
            counted(proof.value("texts", std::int64_t{0}), "text"),
            proof.value("largestStateDifference", 0.0),
            proof.value("unexplainedStateDifference", 0.0), proof.value("limit", 0.0));
    return fmt::format(
        "Read back and compared on {}: largest difference of a logit {:.2g}; of it {:.2g} is not "
        "from rounding (allowed {:.2g}); perplexity {:.5g} before and {:.5g} after.",
        counted(proof.value("texts", std::int64_t{0}), "text"),
        proof.value("largestLogitDifference", 0.0),
        proof.value("unexplainedLogitDifference", 0.0), proof.value("limit", 0.0),
        proof.value("perplexityBefore", 0.0), proof.value("perplexityAfter", 0.0));
}

std::string formsInWords()
{
    std::vector<std::string> words;
    for (const auto& form : recipes::exportFormInfos())
        words.push_back(fmt::format("{}: {}", form.id, form.help));
    return fmt::format("{}", fmt::join(words, "; "));
}

std::string typesInWords()
{
    std::vector<std::string> words;
    for (const auto& form : recipes::exportFormInfos()) {
        if (form.types.size() > 1)
            words.push_back(fmt::format("{}: {}", form.id, fmt::join(form.types, ", ")));
    }
    return fmt::format("Number type of the weights ({}); the first is the default",
                       fmt::join(words, "; "));
}

/// "5 GB", "500MB", "2000000000".
Result<std::uint64_t> bytesFrom(const std::string& text)
{
    constexpr std::pair<std::string_view, double> kUnits[] = {
        {"gb", 1e9}, {"mb", 1e6}, {"kb", 1e3}, {"b", 1}, {"", 1}};
    std::size_t end = 0;
    double number = 0;
    try {
        number = std::stod(text, &end);
    } catch (const std::exception&) {
        end = 0;
    }
    const std::string unit = lowerAscii(trimmed(std::string_view(text).substr(end)));
    for (const auto& [name, factor] : kUnits) {
        const double bytes = number * factor;
        if (end > 0 && unit == name && bytes >= 1 && bytes < 9e18)
            return static_cast<std::uint64_t>(bytes);
    }
    return Error{ErrorCode::InvalidInput, fmt::format("\"{}\" is no size", text), "--shard-size",
                 "Write a number with kB, MB or GB, such as 5GB"};
}

/// What parsing cannot check, before anything is loaded.
Result<recipes::ExportPlan> planFrom(const ExportOptions& options)
{
    const auto missing = [](const char* option, const std::string& remedy) {
        return Error{ErrorCode::InvalidInput, fmt::format("{} is required", option), "export",
                     remedy};
    };
    if (options.what.empty())
        return missing("run",
                       "Name a run or a model, such as: export last --as merged --to FOLDER");
    if (options.form.empty())
        return missing("--as", "Use one of these. " + formsInWords());
    if (options.to.empty())
        return missing("--to", "Name a folder that does not exist yet");
    std::vector<std::string> forms;
    for (const auto& form : recipes::exportFormInfos())
        forms.push_back(fmt::format("{} ({})", form.id, form.help));
    if (std::ranges::none_of(
            forms, [&](const auto& each) { return each.starts_with(options.form + " ("); }))
        return Error{ErrorCode::InvalidInput,
                     fmt::format("\"{}\" is no form to take a model away in", options.form), "--as",
                     fmt::format("Use {}", fmt::join(forms, " or "))};
    // A GGUF file lies in a folder of its own, beside its proof: letters/letters.gguf.
    std::filesystem::path to = options.to;
    if (to.extension() == ".gguf")
        to.replace_extension();
    std::error_code ec;
    if (std::filesystem::exists(to, ec) && !std::filesystem::is_empty(to, ec))
        return Error{ErrorCode::InvalidInput, "there is something at this place already",
                     to.string(), "Name a folder that does not exist yet"};
    recipes::ExportPlan plan{options.what, options.form, to, options.type};
    if (!options.shardSize.empty()) {
        const auto bytes = bytesFrom(options.shardSize);
        if (!bytes)
            return bytes.error();
        plan.shardBytes = *bytes;
    }
    return plan;
}

Outcome exportModel(Session& session, const ExportOptions& options)
{
    const auto plan = planFrom(options);
    if (!plan)
        return plan.error();
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto outcome = runJob(recipes::makeExportJob(*workspace, *plan));
    if (!outcome)
        return outcome.error();
    if (session.json) {
        printJson(outcome->result);
    } else if (!outcome->stopped) {
        const auto& result = outcome->result;
        printLine(fmt::format(
            "{}: {}, {}.", result.value("folder", options.to),
            counted(static_cast<std::int64_t>(result.value("files", Json::array()).size()), "file"),
            humanBytes(result.value("bytes", std::uint64_t{0}))));
        for (const auto& note : result.value("notes", Json::array()))
            printLine(fmt::format("Note: {}.", note.get<std::string>()));
        if (result.contains("proof"))
            printLine(proofInWords(result["proof"]));
    }
    return outcome->exit();
}

/// "changed: a, b; missing: c".
std::string differences(const deploy::Verification& found)
{
    std::vector<std::string> parts;
    for (const auto& [words, names] :
         {std::pair<const char*, const std::vector<std::string>&>{"changed", found.changed},
          {"missing", found.missing},
          {"added", found.added}}) {
        if (!names.empty())
            parts.push_back(fmt::format("{}: {}", words, fmt::join(names, ", ")));
    }
    return fmt::format("{}", fmt::join(parts, "; "));
}

Outcome verifyExport(Session& session, const std::string& folder)
{
    const auto found = deploy::verifyExport(folder);
    if (!found)
        return found.error();
    if (session.json)
        printJson({{"intact", found->intact()},
                   {"files", found->files},
                   {"changed", found->changed},
                   {"missing", found->missing},
                   {"added", found->added},
                   {"cardSha256", found->cardDigest},
                   {"card", OrderedJson(found->card)}});
    const Json proof = found->card.value("proof", Json::object());
    if (!found->intact())
        return session.json
                   ? Outcome(exitCode(ErrorCode::Io))
                   : Outcome(
                         Error{ErrorCode::Io,
                               "the files are not those of the proof card: " + differences(*found),
                               folder, "Do not use this folder; export the model again"});
    if (!session.json)
        printLine(fmt::format("{} as on the card of {} (card {}). {}",
                              counted(static_cast<std::int64_t>(found->files), "file"),
                              found->card.value("madeAt", ""), found->cardDigest.substr(0, 16),
                              proof.value("passed", false)
                                  ? "Its proof passed."
                                  : "Its proof did NOT pass: do not use these files."));
    return proof.value("passed", false) ? kDone : exitCode(ErrorCode::Io);
}

} // namespace

void addExport(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<ExportOptions>();
    auto* command =
        app.add_subcommand("export", "Writes a run or a model so that other programs open it");
    // A sub-command has set its own work by then.
    command->callback([&session, options, command] {
        if (command->get_subcommands().empty())
            session.command = [&session, options] { return exportModel(session, *options); };
    });
    command->add_option("run", options->what,
                        "Run (number, id, name, or last), or model (name, or model:name)");
    command->add_option("--as", options->form, formsInWords());
    command->add_option("--to", options->to, "Folder to make");
    command->add_option("--type,--dtype", options->type, typesInWords());
    command->add_option("--shard-size", options->shardSize, "Largest weight file (default: 5GB)");

    const auto folder = std::make_shared<std::string>();
    addCommand(*command, session, "verify",
               "Checks a folder that was exported against its proof card",
               [&session, folder] { return verifyExport(session, *folder); })
        ->add_option("folder", *folder, "Folder with fettle-proof.json")
        ->required();
}

} // namespace fettle::cli

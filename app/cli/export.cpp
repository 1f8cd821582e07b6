#include "base/text.h"
#include "cli/output.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"

namespace fettle::cli {

namespace {

struct ExportOptions
{
    std::string run, kind, to;
};

std::string proofInWords(const Json& proof)
{
    return fmt::format(
        "Read back and compared on {}: largest difference of a logit {:.2g} (allowed {:.2g}), "
        "perplexity {:.5g} before and {:.5g} after.",
        counted(proof.value("texts", std::int64_t{0}), "text"),
        proof.value("largestLogitDifference", 0.0), proof.value("limit", 0.0),
        proof.value("perplexityBefore", 0.0), proof.value("perplexityAfter", 0.0));
}

Outcome exportRun(Session& session, const ExportOptions& options)
{
    if (options.kind != "peft" && options.kind != "merged")
        return Error{ErrorCode::InvalidInput,
                     fmt::format("\"{}\" is no form to take a run away in", options.kind), "--as",
                     "Use peft (the add-on alone) or merged (a whole model)"};
    std::error_code ec;
    if (std::filesystem::exists(options.to, ec) && !std::filesystem::is_empty(options.to, ec))
        return Error{ErrorCode::InvalidInput, "there is something at this place already",
                     options.to, "Name a folder that does not exist yet"};
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    constexpr std::string_view prefix = "run:";
    const auto run = (*workspace)
                         ->run(options.run.starts_with(prefix) ? options.run.substr(prefix.size())
                                                               : options.run);
    if (!run)
        return run.error();
    const auto outcome =
        runJob(recipes::makeExportJob(*workspace, run->id, options.kind, options.to));
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
        if (result.contains("proof"))
            printLine(proofInWords(result["proof"]));
    }
    return outcome->exit();
}

} // namespace

void addExport(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<ExportOptions>();
    auto* command =
        addCommand(app, session, "export", "Writes a run as a folder that other programs open",
                   [&session, options] { return exportRun(session, *options); });
    command->add_option("run", options->run, "Run: number, id, name, or last")->required();
    command->add_option("--as", options->kind, "peft: the add-on alone; merged: a whole model")
        ->required();
    command->add_option("--to", options->to, "Folder to make")->required();
}

} // namespace fettle::cli

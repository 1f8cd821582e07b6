#include "cli/data.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/run_job.h"

#include <algorithm>
#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

constexpr std::size_t kBadRowsShown = 20;

Result<char> delimiterFrom(const std::string& name)
{
    static const std::map<std::string, char> known = {
        {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"bar", '|'}, {",", ','},
        {";", ';'},     {"\\t", '\t'},      {"\t", '\t'},  {"|", '|'}};
    if (const auto found = known.find(name); found != known.end())
        return found->second;
    return Error{ErrorCode::InvalidInput, "this is no character between columns", "--delimiter",
                 "Use comma, semicolon, tab or bar"};
}

Result<void> addRoles(const std::vector<std::string>& maps, data::ImportOptions& to)
{
    static const std::vector<std::string> roles = {"question", "answer", "instruction", "text",
                                                   "label",    "split",  "group"};
    for (const auto& map : maps) {
        const auto equals = map.find('=');
        const std::string role = map.substr(0, equals);
        if (equals == std::string::npos || equals + 1 == map.size() ||
            std::ranges::find(roles, role) == roles.end())
            return Error{
                ErrorCode::InvalidInput,
                fmt::format("\"{}\" does not say which column has which role", map), "--map",
                fmt::format("Write role=column with a role of {}", fmt::join(roles, ", "))};
        to.roles[role] = map.substr(equals + 1);
    }
    return {};
}

Result<data::ImportOptions> importOptions(const ImportDataOptions& from)
{
    data::ImportOptions to;
    if (auto added = addRoles(from.maps, to); !added)
        return added.error();
    if (!from.groupBy.empty())
        to.roles["group"] = from.groupBy;
    if (!from.form.empty())
        to.form = from.form;
    if (!from.encoding.empty())
        to.encoding = from.encoding;
    if (!from.delimiter.empty()) {
        const auto delimiter = delimiterFrom(from.delimiter);
        if (!delimiter)
            return delimiter.error();
        to.delimiter = *delimiter;
    }
    if (!from.header.empty()) {
        if (from.header != "yes" && from.header != "no")
            return Error{ErrorCode::InvalidInput, "yes or no is expected", "--header",
                         "Write --header yes"};
        to.headerRow = from.header == "yes";
    }
    to.instruction = from.instruction;
    return to;
}

Result<data::SplitPlan> splitPlan(const ImportDataOptions& options)
{
    data::SplitPlan plan;
    plan.seed = options.seed;
    plan.byGroup = !options.groupBy.empty();
    if (!options.split.empty()) {
        const auto shares = data::parseShares(options.split);
        if (!shares)
            return at(shares.error(), "--split");
        plan.shares = *shares;
    }
    return plan;
}

/// A wrong encoding would spoil every umlaut in silence, so a guess must be confirmed.
Result<void> checkEncoding(const data::ImportPreview& preview, const ImportDataOptions& options)
{
    if (preview.encodingSure || !options.encoding.empty())
        return {};
    return Error{
        ErrorCode::InvalidInput,
        fmt::format("the text is not UTF-8; it looks like {}, which is a guess", preview.encoding),
        std::filesystem::path(options.files.front()).filename().string(),
        fmt::format("If that is right, say so with --encoding {}; otherwise name the right one or "
                    "save the file as UTF-8",
                    preview.encoding)};
}

void sayGuesses(const data::ImportPreview& preview)
{
    say(fmt::format("{}, {}, {}.", preview.format, preview.formTitle, preview.encoding));
    std::vector<std::string> roles;
    for (const auto& [role, column] : preview.roles)
        roles.push_back(role + " = " + column);
    if (!preview.rolesSure && !roles.empty())
        say(fmt::format("Note: the columns were guessed ({}); correct them with --map role=column.",
                        fmt::join(roles, ", ")));
}

void sayReport(const data::ImportReport& report)
{
    for (std::size_t i = 0; i < report.badRows.size() && i < kBadRowsShown; ++i) {
        const auto& row = report.badRows[i];
        say(fmt::format("Left out: {}, row {}: {}.", row.file, grouped(row.row), row.reason));
    }
    if (report.badRowCount > static_cast<std::int64_t>(kBadRowsShown))
        say(fmt::format("Left out: {} altogether; fettle-cli data show lists them.",
                        counted(report.badRowCount, "row")));
    for (const auto& [what, count] : report.repairs)
        say(fmt::format("Repaired: {} ({}).", what, counted(count, "row")));
}

OrderedJson toJson(const data::ImportReport& report, const store::DatasetCounts& counts,
                   const std::string& name)
{
    return {{"dataset", name},
            {"form", report.form},
            {"roles", report.roles},
            {"encoding", report.encoding},
            {"rowsRead", report.rowsRead},
            {"rowsKept", report.rowsKept},
            {"badRowCount", report.badRowCount},
            {"badRows", cli::toJson(report.badRows)},
            {"repairs", report.repairs},
            {"counts", cli::toJson(counts)}};
}

/// Progress of an import; also where Ctrl-C is noticed.
data::ImportProgress progressOf(ProgressView& view, std::stop_source& stop)
{
    return [&view, &stop](std::int64_t rows, double fraction) {
        if (interrupted())
            stop.request_stop();
        view.show(jobs::PhaseChanged{"read rows", fraction, "row " + grouped(rows)});
    };
}

} // namespace

Outcome importData(Session& session, const ImportDataOptions& options)
{
    const auto plan = splitPlan(options);
    if (!plan)
        return plan.error();
    const auto how = importOptions(options);
    if (!how)
        return how.error();
    const std::vector<std::filesystem::path> files(options.files.begin(), options.files.end());
    const auto preview =
        data::previewImport(files, *how); // refuses what cannot be read before anything is made
    if (!preview)
        return preview.error();
    if (auto sure = checkEncoding(*preview, options); !sure)
        return sure.error();
    sayGuesses(*preview);

    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const bool exists =
        std::ranges::any_of((*workspace)->datasets(), [&](const store::DatasetRecord& dataset) {
            return dataset.name == options.name;
        });
    if (exists && !options.append)
        return Error{ErrorCode::InvalidInput, "a dataset of this name is there already",
                     options.name, "Choose another name, or add to it with --append"};
    auto dataset =
        exists ? (*workspace)->dataset(options.name) : (*workspace)->createDataset(options.name);
    if (!dataset)
        return dataset.error();

    catchInterrupts();
    ProgressView view;
    std::stop_source stop;
    const auto report =
        (*dataset)->import(files, *how, *plan, progressOf(view, stop), stop.get_token());
    wipeProgress();
    if (!report) {
        dataset->reset();
        if (!exists) {
            if (auto removed = (*workspace)->removeDataset(options.name); !removed)
                say("Note: " + removed.error().sentence());
        }
        return report.error();
    }
    sayReport(*report);
    const auto counts = (*dataset)->counts();
    if (session.json) {
        printJson(toJson(*report, counts, options.name));
        return kDone;
    }
    printLine(fmt::format(
        "{}: {} ({} to train, {} to check, {} to test); doubled {}, leaks {}, left out {}.",
        options.name, counted(counts.rows, "row"), grouped(counts.train),
        grouped(counts.validation), grouped(counts.test), grouped(counts.doubled),
        grouped(counts.leaks), grouped(report->badRowCount)));
    return kDone;
}

} // namespace fettle::cli

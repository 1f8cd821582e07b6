#include "cli/data.h"

#include "cli/output.h"
#include "cli/records.h"
#include "data/import.h"

#include <algorithm>
#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

struct ShowDataOptions
{
    std::string name, split;
    std::int64_t rows = 3;
};

Outcome listData(Session& session)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto datasets = (*workspace)->datasets();
    if (session.json) {
        OrderedJson list = OrderedJson::array();
        for (const auto& dataset : datasets)
            list.push_back(toJson(dataset));
        printJson({{"datasets", list}});
        return kDone;
    }
    if (datasets.empty()) {
        say("No rows yet. Bring some in with: fettle-cli data import FILE --as NAME");
        return kDone;
    }
    Table table({{"name"},
                 {"kind"},
                 {"rows", true},
                 {"train", true},
                 {"validation", true},
                 {"test", true},
                 {"changed"}});
    for (const auto& dataset : datasets) {
        const auto& counts = dataset.counts;
        table.add({dataset.name, dataset.kind, grouped(counts.rows), grouped(counts.train),
                   grouped(counts.validation), grouped(counts.test), shortTime(dataset.changedAt)});
    }
    print(table.text());
    return kDone;
}

/// One line of a longer text.
std::string oneLine(std::string text, std::size_t most)
{
    std::ranges::replace(text, '\n', ' ');
    if (text.size() <= most)
        return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80)
        --most;
    return text.substr(0, most) + "…";
}

void printDataset(const store::Dataset& dataset, const store::DatasetCounts& counts,
                  const std::vector<store::DatasetRow>& rows,
                  const std::vector<data::BadRow>& badRows)
{
    printLine(fmt::format("{}: {} ({} to train, {} to check, {} to test), {} left out",
                          dataset.name(), counted(counts.rows, "row"), grouped(counts.train),
                          grouped(counts.validation), grouped(counts.test),
                          grouped(counts.leftOut)));
    printLine(fmt::format("  doubled {}, leaks between splits {}, empty {}, bad rows {}",
                          grouped(counts.doubled), grouped(counts.leaks), grouped(counts.empty),
                          grouped(counts.badRows)));
    for (std::size_t i = 0; i < badRows.size() && i < 20; ++i)
        printLine(fmt::format("  left out: {}, row {}: {}", badRows[i].file, badRows[i].row,
                              badRows[i].reason));
    for (const auto& row : rows) {
        printLine(fmt::format("\n#{} ({})", row.id, data::toString(row.split)));
        printLine("  question: " + oneLine(data::questionOf(row.example), 300));
        printLine("  answer:   " + oneLine(data::answerOf(row.example), 300));
    }
}

Outcome showData(Session& session, const ShowDataOptions& options)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto dataset = (*workspace)->dataset(options.name);
    if (!dataset)
        return dataset.error();
    store::RowFilter filter;
    if (!options.split.empty()) {
        const auto split = data::splitFrom(options.split);
        if (!split)
            return split.error();
        filter.split = *split;
    }
    const auto counts = (*dataset)->counts();
    const auto rows = (*dataset)->rows(filter, 0, options.rows);
    const auto badRows = (*dataset)->badRows();
    if (!session.json) {
        printDataset(**dataset, counts, rows, badRows);
        return kDone;
    }
    OrderedJson samples = OrderedJson::array(), versions = OrderedJson::array();
    for (const auto& row : rows)
        samples.push_back({{"id", row.id},
                           {"split", data::toString(row.split)},
                           {"example", data::toJson(row.example)}});
    for (const auto& version : (*dataset)->versions())
        versions.push_back({{"number", version.number},
                            {"digest", version.digest},
                            {"rows", version.counts.rows}});
    printJson({{"name", (*dataset)->name()},
               {"counts", toJson(counts)},
               {"import", (*dataset)->importInfo()},
               {"badRows", toJson(badRows)},
               {"versions", versions},
               {"rows", samples}});
    return kDone;
}

void addImport(CLI::App& group, Session& session)
{
    const auto options = std::make_shared<ImportDataOptions>();
    auto* command = addCommand(group, session, "import",
                               fmt::format("Brings in rows from files ({})",
                                           fmt::join(data::importableExtensions(), ", ")),
                               [&session, options] { return importData(session, *options); });
    command->add_option("files", options->files, "Files with rows")->required();
    command->add_option("--as", options->name, "Name of the dataset")->required();
    command
        ->add_option("--map", options->maps,
                     "role=column, as often as needed; roles: question, answer, instruction, text, "
                     "label, split, group")
        ->allow_extra_args(false);
    command->add_option("--split", options->split,
                        "Shares of train/validation/test rows (default 80/10/10)");
    command->add_option("--seed", options->seed, "Number that decides which row goes where")
        ->capture_default_str();
    command->add_option("--group-by", options->groupBy,
                        "Column whose equal values stay in one split");
    command->add_option(
        "--form", options->form,
        "Form of the rows when it is not recognised: messages, sharegpt, alpaca, completion, text, "
        "labelled, questions");
    command->add_option("--encoding", options->encoding,
                        "Encoding when it is not recognised: UTF-8, ISO-8859-1 ...");
    command->add_option("--delimiter", options->delimiter,
                        "Character between columns: comma, semicolon, tab or bar");
    command->add_option("--header", options->header,
                        "Whether the first row holds the names of the columns: yes or no");
    command->add_option("--instruction", options->instruction,
                        "Standing instruction put in front of every row");
    command->add_flag("--append", options->append, "Add to a dataset that is there already");
}

void addExportData(CLI::App& group, Session& session)
{
    const auto options = std::make_shared<ExportDataOptions>();
    auto* command = addCommand(group, session, "export", "Writes rows to a file",
                               [&session, options] { return exportData(session, *options); });
    command->add_option("dataset", options->name, "Name of the dataset")->required();
    command->add_option("--to", options->to, "File to write; .jsonl or .csv")->required();
    command->add_option("--split", options->split, "Only these rows: train, validation or test");
    command->add_option("--version", options->version,
                        "A frozen version (default: the rows as they are now)");
    command->add_flag(
        "--for-spreadsheet", options->forSpreadsheet,
        "CSV that spreadsheets open safely: byte-order mark, and no cell is taken for a formula");
}

} // namespace

void addData(CLI::App& app, Session& session)
{
    auto* group = app.add_subcommand("data", "Datasets of the workspace");
    group->require_subcommand(1);
    addImport(*group, session);
    addCommand(*group, session, "list", "Lists the datasets",
               [&session] { return listData(session); });

    const auto show = std::make_shared<ShowDataOptions>();
    auto* command =
        addCommand(*group, session, "show", "Shows counts, health and the first rows of a dataset",
                   [&session, show] { return showData(session, *show); });
    command->add_option("dataset", show->name, "Name of the dataset")->required();
    command->add_option("--rows", show->rows, "How many rows to show")
        ->capture_default_str()
        ->check(CLI::Range(0, 100'000));
    command->add_option("--split", show->split, "Only these rows: train, validation or test");
    addExportData(*group, session);
}

} // namespace fettle::cli

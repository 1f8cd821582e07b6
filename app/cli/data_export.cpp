#include "base/atomic_file.h"
#include "base/text.h"
#include "cli/data.h"
#include "cli/output.h"

#include <algorithm>
#include <charconv>
#include <functional>

namespace fettle::cli {

namespace {

constexpr std::int64_t kPage = 1000; // rows read at a time

using RowSink = std::function<Result<void>(const store::DatasetRow&)>;

/// Every row in use, or of a frozen version, in order.
Result<void> forEachRow(const store::Dataset& dataset, std::optional<int> version,
                        std::optional<data::Split> split, const RowSink& sink)
{
    if (version) {
        const auto rows = dataset.rowsOf(*version, split);
        if (!rows)
            return rows.error();
        for (const auto& row : *rows) {
            if (auto done = sink(row); !done)
                return done;
        }
        return {};
    }
    store::RowFilter filter;
    filter.split = split;
    for (std::int64_t offset = 0;; offset += kPage) {
        const auto rows = dataset.rows(filter, offset, kPage);
        for (const auto& row : rows) {
            if (auto done = sink(row); !done)
                return done;
        }
        if (static_cast<std::int64_t>(rows.size()) < kPage)
            return {};
    }
}

/// The form that other programs know: messages, prompt and completion, or text and label.
OrderedJson exportedJson(const store::DatasetRow& row)
{
    const auto& example = row.example;
    OrderedJson json;
    if (example.kind == data::RecordKind::Chat)
        json["messages"] = example.messages;
    else if (example.kind == data::RecordKind::Labelled)
        json = {{"text", example.text}, {"label", example.label}};
    else if (example.prompt.empty())
        json["text"] = example.completion;
    else
        json = {{"prompt", example.prompt}, {"completion", example.completion}};
    if (!example.tools.is_null())
        json["tools"] = example.tools;
    json["split"] = data::toString(row.split);
    if (!example.group.empty())
        json["group"] = example.group;
    for (const auto& [key, value] : example.meta.items()) {
        if (!json.contains(key))
            json[key] = value;
    }
    return json;
}

std::string contentOf(const OrderedJson& message)
{
    return message.contains("content") && message["content"].is_string()
               ? message["content"].get<std::string>()
               : "";
}

/// Nothing but a role and a text: calls, weights and thoughts have no column.
bool isPlain(const OrderedJson& message)
{
    return message.size() == 2 && message.contains("role") && message.contains("content") &&
           message["content"].is_string();
}

/// One question and one answer, perhaps after a standing instruction: fits into columns.
bool isSimpleChat(const data::Example& example)
{
    const auto& messages = example.messages;
    if (!std::ranges::all_of(messages, isPlain))
        return false;
    const std::size_t first =
        !messages.empty() && messages[0].value("role", "") == "system" ? 1 : 0;
    return messages.size() == first + 2 && messages[first].value("role", "") == "user" &&
           messages[first + 1].value("role", "") == "assistant";
}

/// Which columns the CSV has; found by a first pass over the rows.
struct Columns
{
    bool chat = false, simple = true, instruction = false, labelled = false, prompt = false,
         text = false, group = false, tools = false;

    void see(const data::Example& example)
    {
        group = group || !example.group.empty();
        tools = tools || !example.tools.is_null();
        if (example.kind == data::RecordKind::Chat) {
            chat = true;
            simple = simple && isSimpleChat(example);
            instruction = instruction || (!example.messages.empty() &&
                                          example.messages[0].value("role", "") == "system");
        } else if (example.kind == data::RecordKind::Labelled) {
            labelled = true;
        } else {
            (example.prompt.empty() ? text : prompt) = true;
        }
    }
    std::vector<std::string> titles() const
    {
        std::vector<std::string> names;
        if (chat && !simple)
            names = {"messages"};
        else if (chat)
            names = instruction ? std::vector<std::string>{"instruction", "question", "answer"}
                                : std::vector<std::string>{"question", "answer"};
        if (prompt)
            names.insert(names.end(), {"prompt", "completion"});
        if (labelled || text)
            names.push_back("text");
        if (labelled)
            names.push_back("label");
        if (tools)
            names.push_back("tools");
        names.push_back("split");
        if (group)
            names.push_back("group");
        return names;
    }
};

std::string dumped(const OrderedJson& json)
{
    return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string cellFor(const std::string& column, const store::DatasetRow& row)
{
    const auto& example = row.example;
    const bool chat = example.kind == data::RecordKind::Chat;
    const bool labelled = example.kind == data::RecordKind::Labelled;
    if (column == "split")
        return data::toString(row.split);
    if (column == "group")
        return example.group;
    if (column == "text")
        return labelled ? example.text : example.prompt.empty() && !chat ? example.completion : "";
    if (column == "label")
        return example.label;
    if (column == "prompt")
        return example.prompt;
    if (column == "completion")
        return example.prompt.empty() ? "" : example.completion;
    if (!chat || example.messages.empty())
        return "";
    if (column == "messages")
        return dumped(example.messages);
    if (column == "tools")
        return example.tools.is_null() ? "" : dumped(example.tools);
    const bool system = example.messages[0].value("role", "") == "system";
    if (column == "instruction")
        return system ? contentOf(example.messages[0]) : "";
    return contentOf(example.messages[(system ? 1u : 0u) + (column == "answer" ? 1u : 0u)]);
}

bool isNumber(std::string_view text)
{
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    return ec == std::errc() && end == text.data() + text.size();
}

/// A spreadsheet would run a cell that starts like a formula, also after spaces or a quote.
bool looksLikeFormula(std::string_view cell)
{
    const auto start = cell.find_first_not_of(" \"'");
    return start != std::string_view::npos &&
           std::string_view("=+-@\t\r").find(cell[start]) != std::string_view::npos &&
           !isNumber(cell);
}

std::string csvCell(std::string cell, bool forSpreadsheet)
{
    if (forSpreadsheet && looksLikeFormula(cell))
        cell.insert(0, 1, '\'');
    const bool quote = cell.find_first_of(",\"\r\n") != std::string::npos ||
                       (!cell.empty() && (cell.front() == ' ' || cell.back() == ' '));
    if (!quote)
        return cell;
    std::string out = "\"";
    for (const char c : cell)
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

Result<void> writeCsv(const store::Dataset& dataset, const ExportDataOptions& options,
                      std::optional<data::Split> split, AtomicFile& file, std::int64_t& rows)
{
    Columns columns;
    auto seen = forEachRow(dataset, options.version, split,
                           [&](const store::DatasetRow& row) -> Result<void> {
                               columns.see(row.example);
                               return {};
                           });
    if (!seen)
        return seen;
    const auto titles = columns.titles();
    std::string head = options.forSpreadsheet ? "\xef\xbb\xbf" : "";
    for (std::size_t i = 0; i < titles.size(); ++i)
        head += (i ? "," : "") + titles[i];
    if (auto done = file.write(head + "\r\n"); !done)
        return done;
    return forEachRow(dataset, options.version, split, [&](const store::DatasetRow& row) {
        std::string line;
        for (std::size_t i = 0; i < titles.size(); ++i)
            line += (i ? "," : "") + csvCell(cellFor(titles[i], row), options.forSpreadsheet);
        ++rows;
        return file.write(line + "\r\n");
    });
}

Result<void> writeJsonLines(const store::Dataset& dataset, const ExportDataOptions& options,
                            std::optional<data::Split> split, AtomicFile& file, std::int64_t& rows)
{
    return forEachRow(dataset, options.version, split, [&](const store::DatasetRow& row) {
        ++rows;
        return file.write(
            exportedJson(row).dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
    });
}

} // namespace

Outcome exportData(Session& session, const ExportDataOptions& options)
{
    const std::filesystem::path path = options.to;
    const std::string ending = lowerAscii(path.extension().string());
    if (ending != ".jsonl" && ending != ".csv")
        return Error{ErrorCode::InvalidInput,
                     "the name of the file ends neither in .jsonl nor in .csv", options.to,
                     "Choose one of these endings"};
    std::optional<data::Split> split;
    if (!options.split.empty()) {
        const auto parsed = data::splitFrom(options.split);
        if (!parsed)
            return parsed.error();
        split = *parsed;
    }
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto dataset = (*workspace)->dataset(options.name);
    if (!dataset)
        return dataset.error();

    AtomicFile file(path);
    if (auto opened = file.open(); !opened)
        return opened.error();
    std::int64_t rows = 0;
    const auto write = ending == ".csv" ? writeCsv : writeJsonLines;
    if (auto written = write(**dataset, options, split, file, rows); !written)
        return written.error();
    if (auto done = file.commit(); !done)
        return done.error();
    if (session.json)
        printJson({{"file", path.string()}, {"rows", rows}});
    else
        printLine(fmt::format("{}: {}.", path.string(), counted(rows, "row")));
    return kDone;
}

} // namespace fettle::cli

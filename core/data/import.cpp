#include "data/import.h"

#include "base/text.h"
#include "data/file_kind.h"
#include "data/forms.h"
#include "data/importers/importer.h"
#include "data/roles.h"
#include "data/text_source.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace fettle::data {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kDetectRows = 200;
constexpr std::size_t kSamples = 5;
constexpr std::size_t kListedBadRows = 1000;
constexpr std::int64_t kProgressRows = 1000;

/// A file with how it is to be read.
struct OpenedFile
{
    fs::path path;
    std::string name;
    Encoding encoding;
    const Importer* reader = nullptr;
};

/// A reader that names the file's ending among its first gets the doubtful cases.
int preference(const Importer& reader, const fs::path& file)
{
    const auto extensions = reader.spec().extensions;
    const std::string extension = lowerAscii(file.extension().string());
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        if (extension == "." + extensions[i])
            return 20 - 10 * static_cast<int>(i);
    }
    return 0;
}

Result<OpenedFile> examine(const fs::path& path, const ImportOptions& options)
{
    auto readers = readersFor(path);
    if (!readers)
        return readers.error();
    auto encoding =
        options.encoding ? statedEncoding(path, *options.encoding) : detectEncoding(path);
    if (!encoding)
        return encoding.error();
    OpenedFile file{path, path.filename().string(), *encoding, readers->front()};
    if (readers->size() > 1) {
        auto source = TextSource::open(path, *encoding);
        if (!source)
            return source.error();
        const auto head = (*source)->head();
        const auto score = [&](const Importer* reader) {
            return reader->sniff(head) + preference(*reader, path);
        };
        file.reader = *std::max_element(
            readers->begin(), readers->end(),
            [&](const Importer* a, const Importer* b) { return score(a) < score(b); });
    }
    return file;
}

/// Keeps the first records and their columns in the order in which they appear.
class FirstRecords final : public RecordSink
{
public:
    bool record(Record&& record) override
    {
        for (const auto& [name, value] : record.fields.items()) {
            if (m_seen.insert(name).second)
                columns.push_back(name);
        }
        records.push_back(std::move(record));
        return records.size() < kDetectRows;
    }
    void badRow(std::int64_t row, const std::string& reason) override
    {
        if (bad.empty())
            bad = fmt::format("{} (row {})", reason, row);
    }
    void repaired(const std::string&) override {}

    std::vector<Record> records;
    std::vector<std::string> columns;
    std::string bad; ///< reason of the first bad row

private:
    std::set<std::string> m_seen;
};

struct Detected
{
    Layout layout;
    ReadFacts facts;
    FirstRecords first;
};

Result<Detected> detect(const OpenedFile& file, const ImportOptions& options, std::stop_token stop)
{
    auto source = TextSource::open(file.path, file.encoding);
    if (!source)
        return source.error();
    Detected detected;
    auto facts =
        file.reader->read(**source, {options.delimiter, options.headerRow}, detected.first, stop);
    if (!facts)
        return facts.error();
    detected.facts = *facts;
    if (!facts->columns.empty())
        detected.first.columns = facts->columns;
    if (detected.first.records.empty())
        return Error{ErrorCode::InvalidInput,
                     detected.first.bad.empty() ? std::string("the file holds no rows")
                                                : "no row can be used: " + detected.first.bad,
                     file.name, "Choose a file with at least one example"};
    auto layout = detectLayout(detected.first.columns, detected.first.records, options);
    if (!layout)
        return at(layout.error(), file.name);
    detected.layout = *layout;
    if (!facts->headerSure && options.roles.empty()) {
        detected.layout.sure = false;
        if (detected.layout.doubt.empty())
            detected.layout.doubt = "it is not clear whether the first row names the columns";
    }
    if (!options.instruction.empty() && !takesInstruction(layout->form))
        return Error{
            ErrorCode::InvalidInput,
            fmt::format("a standing instruction has no place in {}", formTitle(layout->form)),
            "instruction", "Leave it empty, or read the rows as questions and answers"};
    return detected;
}

Error unsureEncoding(const OpenedFile& file)
{
    return {
        ErrorCode::InvalidInput,
        fmt::format("the text is not UTF-8; it may be {}, but that is a guess", file.encoding.name),
        file.name,
        fmt::format("State the encoding {} if the preview reads well with it, or save the file "
                    "again as UTF-8",
                    file.encoding.name)};
}

Error unsureRoles(const OpenedFile& file, const Detected& detected)
{
    std::string columns;
    for (const auto& column : detected.first.columns)
        columns += (columns.empty() ? "" : ", ") + column;
    const bool labelled = detected.layout.form == "labelled";
    return {ErrorCode::InvalidInput,
            fmt::format("it is not clear what the columns mean: {}", detected.layout.doubt),
            file.name,
            detected.layout.form == "text"
                ? fmt::format("Name the column with the text (text=COLUMN); the columns are: {}",
                              columns)
                : fmt::format("Name the columns ({}); they are: {}",
                              labelled ? "text=COLUMN and label=COLUMN"
                                       : "question=COLUMN and answer=COLUMN",
                              columns)};
}

/// Converts records of one file and hands them on.
class Converting final : public RecordSink
{
public:
    Converting(const OpenedFile& file, const Layout& layout, const ImportOptions& options,
               ImportReport& report, const std::function<Result<void>(ImportedRow&&)>& sink,
               std::function<void()> progress)
        : m_file(file)
        , m_layout(layout)
        , m_options(options)
        , m_report(report)
        , m_sink(sink)
        , m_progress(std::move(progress))
    {
    }

    bool record(Record&& record) override
    {
        ++m_report.rowsRead;
        if (m_report.rowsRead % kProgressRows == 0)
            m_progress();
        auto row = convertRecord(record, m_layout, m_options.instruction,
                                 [this](const std::string& what) { m_repairs.insert(what); });
        if (!row) {
            m_repairs.clear();
            list(record.row, row.error().what);
            return true;
        }
        row->example.source = m_file.name;
        m_report.repaired += m_repairs.empty() ? 0 : 1;
        for (const auto& repair : m_repairs)
            ++m_report.repairs[repair];
        m_repairs.clear();
        if (auto taken = m_sink(std::move(*row)); !taken) {
            m_error = taken.error();
            return false;
        }
        ++m_report.rowsKept;
        return true;
    }
    void badRow(std::int64_t row, const std::string& reason) override
    {
        ++m_report.rowsRead;
        m_repairs.clear();
        list(row, reason);
    }
    void repaired(const std::string& what) override { m_repairs.insert(what); }

    const std::optional<Error>& error() const { return m_error; }

private:
    void list(std::int64_t row, const std::string& reason)
    {
        ++m_report.badRowCount;
        if (m_report.badRows.size() < kListedBadRows)
            m_report.badRows.push_back({m_file.name, row, reason});
    }

    const OpenedFile& m_file;
    const Layout& m_layout;
    const ImportOptions& m_options;
    ImportReport& m_report;
    const std::function<Result<void>(ImportedRow&&)>& m_sink;
    std::function<void()> m_progress;
    std::set<std::string> m_repairs; ///< of the row that is being read
    std::optional<Error> m_error;
};

Result<std::vector<OpenedFile>> examineAll(const std::vector<fs::path>& files,
                                           const ImportOptions& options)
{
    if (files.empty())
        return Error{ErrorCode::InvalidInput, "no file is named", "files",
                     "Name at least one file"};
    std::vector<OpenedFile> opened;
    for (const auto& path : files) {
        auto file = examine(path, options);
        if (!file)
            return file.error();
        opened.push_back(std::move(*file));
    }
    return opened;
}

Error cancelled()
{
    return {ErrorCode::Cancelled, "the import was stopped", "", "Nothing was changed"};
}

/// Reads one file to its end. `before` bytes of `total` have been read from the files before it.
Result<void> importOne(const OpenedFile& file, const Layout& layout, const ImportOptions& options,
                       ImportReport& report, const std::function<Result<void>(ImportedRow&&)>& sink,
                       const std::function<void(double)>& progress, std::stop_token stop)
{
    auto source = TextSource::open(file.path, file.encoding);
    if (!source)
        return source.error();
    Converting converting(file, layout, options, report, sink,
                          [&] { progress((*source)->fraction()); });
    auto facts =
        file.reader->read(**source, {options.delimiter, options.headerRow}, converting, stop);
    if (stop.stop_requested())
        return cancelled();
    if (!facts)
        return facts.error();
    if (converting.error())
        return *converting.error();
    if ((*source)->failed())
        return Error{ErrorCode::Io, "the file could not be read to its end", file.name,
                     "Check the disk and the encoding, then try again"};
    return {};
}

Error noGoodRow(const ImportReport& report, const std::string& place)
{
    const std::string why = report.badRows.empty() ? std::string("the file holds no rows")
                                                   : fmt::format("no row can be used; row {}: {}",
                                                                 report.badRows.front().row,
                                                                 report.badRows.front().reason);
    return {ErrorCode::InvalidInput, why, place, "Repair the file, or name other columns"};
}

} // namespace

Result<ImportPreview> previewImport(const std::vector<fs::path>& files,
                                    const ImportOptions& options)
{
    auto opened = examineAll(files, options);
    if (!opened)
        return opened.error();
    const OpenedFile& file = opened->front();
    auto detected = detect(file, options, {});
    if (!detected)
        return detected.error();
    ImportPreview preview;
    preview.format = file.reader->spec().title;
    preview.form = detected->layout.form;
    preview.formTitle = formTitle(preview.form);
    preview.encoding = file.encoding.name;
    for (const auto& each : *opened) {
        // The doubtful file is the one to show.
        if (preview.encodingSure && !each.encoding.sure) {
            preview.encodingSure = false;
            preview.encoding = each.encoding.name;
        }
    }
    preview.delimiter = detected->facts.delimiter;
    preview.columns = detected->first.columns;
    preview.roles = detected->layout.roles;
    preview.rolesSure = detected->layout.sure;
    for (const auto& record : detected->first.records) {
        if (preview.samples.size() == kSamples)
            break;
        auto row =
            convertRecord(record, detected->layout, options.instruction, [](const std::string&) {});
        if (!row)
            continue;
        row->example.source = file.name;
        preview.samples.push_back(std::move(row->example));
    }
    return preview;
}

Result<ImportReport> importFiles(const std::vector<fs::path>& files, const ImportOptions& options,
                                 const std::function<Result<void>(ImportedRow&&)>& sink,
                                 const ImportProgress& progress, std::stop_token stop)
{
    auto opened = examineAll(files, options);
    if (!opened)
        return opened.error();
    double total = 0, before = 0;
    for (const auto& file : *opened) {
        std::error_code ec;
        total += static_cast<double>(fs::file_size(file.path, ec)) + 1;
        if (!file.encoding.sure)
            return unsureEncoding(file);
    }
    ImportReport report;
    for (const auto& file : *opened) {
        auto detected = detect(file, options, stop);
        if (stop.stop_requested())
            return cancelled();
        if (!detected)
            return detected.error();
        if (!detected->layout.sure && !options.form)
            return unsureRoles(file, *detected);
        if (!report.form.empty() && report.form != detected->layout.form)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("this file holds {}, the files before it {}",
                                     formTitle(detected->layout.form), formTitle(report.form)),
                         file.name, "Import it into a dataset of its own"};
        report.form = detected->layout.form;
        report.roles = detected->layout.roles;
        report.encoding = file.encoding.name;
        std::error_code ec;
        const double bytes = static_cast<double>(fs::file_size(file.path, ec));
        const auto tell = [&](double fraction) {
            if (progress)
                progress(report.rowsKept, (before + fraction * bytes) / total);
        };
        if (auto done = importOne(file, detected->layout, options, report, sink, tell, stop); !done)
            return done.error();
        before += bytes + 1;
    }
    if (report.rowsKept == 0)
        return noGoodRow(report, opened->front().name);
    if (progress)
        progress(report.rowsKept, 1.0);
    return report;
}

} // namespace fettle::data

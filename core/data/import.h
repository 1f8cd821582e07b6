#pragma once

#include "data/example.h"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>

namespace fettle::data {

/// What may be corrected by a person. Everything unset is detected.
struct ImportOptions
{
    std::optional<std::string>
        form; ///< "messages", "sharegpt", "alpaca", "completion", "text", "labelled", "questions"
    std::map<std::string, std::string>
        roles; ///< role -> column: question, answer, instruction, text, label, split, group
    std::optional<std::string> encoding; ///< "UTF-8", "ISO-8859-1", "windows-1252", "UTF-16LE" ...
    std::optional<char> delimiter;
    std::optional<bool> headerRow;
    std::string instruction; ///< standing instruction put in front of every row (system message)
};

/// A row that was left out, and why. Never the row's text.
struct BadRow
{
    std::string file;
    std::int64_t row = 0;
    std::string reason;
};

/// What an import would do, from the first 200 rows.
struct ImportPreview
{
    std::string format;          ///< "CSV", "JSON Lines" ...
    std::string form, formTitle; ///< as ImportOptions::form, and in words
    std::string encoding;
    bool encodingSure = true;
    std::optional<char> delimiter;
    std::vector<std::string> columns;
    std::map<std::string, std::string> roles; ///< the guess, or what the options say
    bool rolesSure = true;                    ///< false: ask the person
    std::vector<Example> samples;             ///< up to five converted rows
};

struct ImportReport
{
    std::string form;
    std::int64_t rowsRead = 0, rowsKept = 0;
    std::vector<BadRow> badRows; ///< at most 1,000 are listed
    std::int64_t badRowCount = 0;
    std::int64_t repaired = 0; ///< rows changed by a counted repair (roles joined, bytes replaced)
    std::map<std::string, std::int64_t> repairs; ///< what was repaired, how often
    std::map<std::string, std::string> roles;
    std::string encoding;
};

/// One converted row with the split that the file itself states, if it does.
struct ImportedRow
{
    Example example;
    std::optional<Split> split;
};

/// Called now and then; `fraction` is of all bytes. Returns nothing, must be quick.
using ImportProgress = std::function<void(std::int64_t rows, double fraction)>;

/// Errors: NotFound, InvalidInput with place and remedy (empty file, unknown kind of file, binary
/// file, a column named in `roles` that is not there).
Result<ImportPreview> previewImport(const std::vector<std::filesystem::path>& files,
                                    const ImportOptions& options);

/// Reads the files row by row, in bounded memory, and hands good rows to `sink` in file order.
/// Bad rows never stop the good ones; an import without one good row is an error.
Result<ImportReport> importFiles(const std::vector<std::filesystem::path>& files,
                                 const ImportOptions& options,
                                 const std::function<Result<void>(ImportedRow&&)>& sink,
                                 const ImportProgress& progress = {}, std::stop_token stop = {});

/// Which file name endings can be opened, for dialogs: {"csv", "tsv", ...}.
std::vector<std::string> importableExtensions();

} // namespace fettle::data

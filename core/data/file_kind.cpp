#include "data/file_kind.h"

#include "base/text.h"
#include "data/import.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fstream>

namespace fettle::data {

namespace fs = std::filesystem;

namespace {

constexpr const char* kModelAdvice = "Import it as a model instead";

std::string extensionOf(const fs::path& file)
{
    const std::string extension = lowerAscii(file.extension().string());
    return extension.empty() ? extension : extension.substr(1);
}

struct Kind
{
    std::string_view magic, what, remedy;
};

constexpr std::array<Kind, 8> kMagics = {{
    {"GGUF", "this is a model in GGUF form, not a file of examples", kModelAdvice},
    {"%PDF", "this is a PDF, which holds no rows",
     "Copy the examples into a table and save it as CSV"},
    {"SQLite format 3", "this is a database, not a file of examples",
     "Export the table from it as CSV"},
    {"PAR1", "Parquet files are not opened here", "Save the table as CSV or JSON Lines"},
    {"\x1f\x8b", "this file is compressed", "Unpack it first"},
    {"\x28\xb5\x2f\xfd", "this file is compressed", "Unpack it first"},
    {"\xd0\xcf\x11\xe0", "this is an office document, not a text file",
     "Open it there and save it as CSV (UTF-8)"},
    {"\x89PNG", "this is a picture, not a file of examples",
     "Choose a CSV, JSON, JSON Lines or TXT file"},
}};

Error refusal(const fs::path& file, std::string_view what, std::string_view remedy)
{
    return {ErrorCode::InvalidInput, std::string(what), file.filename().string(),
            std::string(remedy)};
}

Error zipRefusal(const fs::path& file)
{
    const std::string extension = extensionOf(file);
    if (extension == "xlsx" || extension == "ods")
        return refusal(file, "this is a spreadsheet in its own format",
                       "Open it in the spreadsheet program and save it as CSV (UTF-8)");
    if (extension == "docx" || extension == "odt")
        return refusal(file, "this is a word processor document, which holds no rows",
                       "Copy the examples into a table and save it as CSV (UTF-8)");
    return refusal(file, "this is an archive, not a file of examples", "Unpack it first");
}

/// Eight bytes of header length, then a JSON object.
bool looksLikeSafetensors(std::string_view head)
{
    return head.size() > 9 && head.substr(5, 3) == std::string_view("\0\0\0", 3) && head[8] == '{';
}

Result<void> checkContent(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    std::array<char, 32> bytes{};
    in.read(bytes.data(), bytes.size());
    if (!in.is_open() || in.bad())
        return Error{ErrorCode::Io, "the file cannot be read", file.filename().string(),
                     "Check its permissions"};
    const std::string_view head(bytes.data(), static_cast<std::size_t>(in.gcount()));
    for (const auto& kind : kMagics) {
        if (head.starts_with(kind.magic))
            return refusal(file, kind.what, kind.remedy);
    }
    if (head.starts_with("PK\x03\x04"))
        return zipRefusal(file);
    if (extensionOf(file) == "safetensors" || looksLikeSafetensors(head))
        return refusal(file, "these are weights of a model (safetensors), not examples",
                       "Import the folder it lies in as a model instead");
    return {};
}

Result<void> checkPlace(const fs::path& file)
{
    std::error_code ec;
    const auto status = fs::status(file, ec);
    if (!fs::exists(status))
        return Error{ErrorCode::NotFound, "there is no such file", file.string(), "Check the name"};
    if (fs::is_directory(status)) {
        const bool model = fs::exists(file / "config.json", ec);
        return refusal(file,
                       model ? "this is a folder with a model, not a file of examples"
                             : "this is a folder, not a file of examples",
                       model ? kModelAdvice : "Choose the files inside it");
    }
    if (!fs::is_regular_file(status))
        return refusal(file, "this is not an ordinary file", "Copy its content into a file first");
    if (fs::file_size(file, ec) == 0)
        return refusal(file, "the file is empty", "Choose a file with at least one example");
    return {};
}

} // namespace

Result<std::vector<const Importer*>> readersFor(const fs::path& file)
{
    if (auto place = checkPlace(file); !place)
        return place.error();
    if (auto content = checkContent(file); !content)
        return content.error();
    std::vector<const Importer*> readers;
    const std::string extension = extensionOf(file);
    for (const auto& importer : importers()) {
        const auto extensions = importer->spec().extensions;
        if (std::find(extensions.begin(), extensions.end(), extension) != extensions.end())
            readers.push_back(importer.get());
    }
    if (!readers.empty())
        return readers;
    std::string known;
    for (const auto& each : importableExtensions())
        known += (known.empty() ? "" : ", ") + each;
    return refusal(file,
                   extension.empty()
                       ? "the file name has no ending, so its kind is not known"
                       : fmt::format("files ending in .{} are not opened here", extension),
                   "Files with these endings open: " + known);
}

std::vector<std::string> importableExtensions()
{
    std::vector<std::string> all;
    for (const auto& importer : importers()) {
        for (auto& extension : importer->spec().extensions) {
            if (std::find(all.begin(), all.end(), extension) == all.end())
                all.push_back(std::move(extension));
        }
    }
    return all;
}

} // namespace fettle::data

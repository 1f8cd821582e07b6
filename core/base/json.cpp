#include "base/json.h"

#include "base/ordered_json.h"

#include <fmt/format.h>
#include <fstream>

namespace fettle {

namespace {

/// Replaces NaN, Infinity and -Infinity outside strings by null.
std::string withoutPythonNumbers(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    bool inString = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inString) {
            out += c;
            if (c == '\\' && i + 1 < text.size())
                out += text[++i];
            else if (c == '"')
                inString = false;
            continue;
        }
        bool replaced = false;
        for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
            if (text.substr(i, word.size()) == word) {
                out += "null";
                i += word.size() - 1;
                replaced = true;
                break;
            }
        }
        if (replaced)
            continue;
        if (c == '"')
            inString = true;
        out += c;
    }
    return out;
}

constexpr int kMaxDepth = 128;

int depthOf(std::string_view text)
{
    int depth = 0, deepest = 0;
    bool inString = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inString) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                inString = false;
        } else if (c == '"') {
            inString = true;
        } else if (c == '{' || c == '[') {
            deepest = std::max(deepest, ++depth);
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return deepest;
}

template<class AnyJson>
Result<AnyJson> parse(std::string_view text, const std::string& where, bool pythonNumbers)
{
    if (depthOf(text) > kMaxDepth)
        return Error{ErrorCode::InvalidInput,
                     fmt::format("the JSON text is nested deeper than {} levels", kMaxDepth), where,
                     "Simplify the file"};
    try {
        return pythonNumbers ? AnyJson::parse(withoutPythonNumbers(text)) : AnyJson::parse(text);
    } catch (const typename AnyJson::parse_error& e) {
        return Error{ErrorCode::InvalidInput,
                     fmt::format("this is not valid JSON (problem at byte {})", e.byte), where,
                     "Save the file again as JSON in UTF-8"};
    } catch (
        const typename AnyJson::exception&) { // of the other kinds, only numbers beyond 1.8e308
        return Error{ErrorCode::InvalidInput, "a number in the JSON text is beyond 1.8e308", where,
                     "Write a smaller number, or null"};
    }
}

template<class AnyJson>
Result<AnyJson> readAndParse(const std::filesystem::path& path, std::uint64_t maxBytes)
{
    auto text = readFile(path, maxBytes);
    if (!text)
        return text.error();
    return parse<AnyJson>(*text, path.filename().string(), true);
}

} // namespace

Result<Json> parseJson(std::string_view text, const std::string& where, bool pythonNumbers)
{
    return parse<Json>(text, where, pythonNumbers);
}

Result<OrderedJson> parseOrderedJson(std::string_view text, const std::string& where,
                                     bool pythonNumbers)
{
    return parse<OrderedJson>(text, where, pythonNumbers);
}

Result<Json> readJsonFile(const std::filesystem::path& path, std::uint64_t maxBytes)
{
    return readAndParse<Json>(path, maxBytes);
}

Result<OrderedJson> readOrderedJsonFile(const std::filesystem::path& path, std::uint64_t maxBytes)
{
    return readAndParse<OrderedJson>(path, maxBytes);
}

Result<std::string> readFile(const std::filesystem::path& path, std::uint64_t maxBytes)
{
    std::error_code ec;
    const auto size = std::filesystem::file_size(path, ec);
    if (ec)
        return Error{ErrorCode::NotFound, "the file does not exist or cannot be read",
                     path.string(), "Check the name and the permissions"};
    if (size > maxBytes)
        return Error{
            ErrorCode::InvalidInput,
            fmt::format("the file has {} bytes, at most {} are accepted here", size, maxBytes),
            path.string(), "Use a smaller file"};
    std::ifstream in(path, std::ios::binary);
    std::string text(size, '\0');
    if (!in.read(text.data(), static_cast<std::streamsize>(size)))
        return Error{ErrorCode::Io, "the file could not be read to its end", path.string(),
                     "Check the disk and try again"};
    return text;
}

} // namespace fettle

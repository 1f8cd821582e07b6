#pragma once

#include "base/result.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fettle {

using Json = nlohmann::json;
/// Keeps the order of keys: recipes, run records and everything that people read.
using OrderedJson = nlohmann::ordered_json;

/// Parses a JSON text; nesting deeper than 128 is refused. `where` names the place in the error.
/// Accepts NaN and Infinity outside strings (Python writes them) as null when `pythonNumbers`.
Result<Json> parseJson(std::string_view text, const std::string& where, bool pythonNumbers = false);

/// Reads and parses a JSON file of at most `maxBytes`.
Result<Json> readJsonFile(const std::filesystem::path& path, std::uint64_t maxBytes = 512u << 20);

/// Whole file as bytes, at most `maxBytes`. Errors: NotFound, Io, InvalidInput when larger.
Result<std::string> readFile(const std::filesystem::path& path, std::uint64_t maxBytes = 1u << 30);

} // namespace fettle

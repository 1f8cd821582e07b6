#pragma once

#include "base/json.h"
#include "base/sha256.h"
#include "tensor/files/safetensors.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

/// Small model folders and files for the tests of imports and exports.
namespace fettle::testing {

inline std::filesystem::path golden(const char* name)
{
    return std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/golden" / name;
}
inline std::string tinyGguf() { return readFile(golden("tiny_llama.gguf")).value(); }

inline void writeText(const std::filesystem::path& path, const std::string& text)
{
    std::ofstream(path, std::ios::binary) << text;
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    const auto place = text.find(from);
    if (from.size() != to.size() || place == std::string::npos)
        throw std::logic_error("not replaceable: " + from);
    return text.replace(place, from.size(), to);
}

/// Every file below a folder, by name and content.
inline std::map<std::string, std::string> contents(const std::filesystem::path& folder)
{
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        files[entry.path().lexically_relative(folder)] =
            entry.is_regular_file() ? sha256OfFile(entry.path()).value() : "folder";
    return files;
}

inline std::string bytesOf(const tensor::TensorInfo& info)
{
    return {reinterpret_cast<const char*>(info.bytes.data()), info.bytes.size()};
}

} // namespace fettle::testing

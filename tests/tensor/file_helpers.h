#pragma once

#include "base/json.h"

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

/// Byte strings for tests of file formats.
namespace fettle::testing {

inline std::string fromHex(const std::string& hex)
{
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
}

inline std::span<const std::byte> bytesOf(const std::string& text)
{
    return std::as_bytes(std::span(text.data(), text.size()));
}

template<class T> std::string raw(T value)
{
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline Json filesGolden()
{
    return readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/files.json").value();
}

/// A safetensors file from the text of its header and its data.
inline std::string safetensorsFile(const std::string& header, const std::string& data = "")
{
    return raw<std::uint64_t>(header.size()) + header + data;
}

/// Builds the tables of a GGUF file by hand, so that a test can lie in one place.
class GgufBuilder
{
public:
    std::uint32_t version = 3;
    std::string keys, infos, data;
    std::uint64_t keyCount = 0, tensorCount = 0, alignment = 32;

    static std::string text(const std::string& value)
    {
        return raw<std::uint64_t>(value.size()) + value;
    }
    GgufBuilder& key(const std::string& name, std::uint32_t type, const std::string& value)
    {
        keys += text(name) + raw(type) + value;
        ++keyCount;
        return *this;
    }
    GgufBuilder& tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                        std::uint32_t type, std::uint64_t offset)
    {
        infos += text(name) + raw(static_cast<std::uint32_t>(dims.size()));
        for (const auto size : dims)
            infos += raw(size);
        infos += raw(type) + raw(offset);
        ++tensorCount;
        return *this;
    }
    std::string file() const
    {
        std::string out = "GGUF" + raw(version) + raw(tensorCount) + raw(keyCount) + keys + infos;
        if (tensorCount > 0)
            out.append((alignment - out.size() % alignment) % alignment, '\0');
        return out + data;
    }
};

} // namespace fettle::testing

#pragma once

#include "base/json.h"

#include <filesystem>
#include <fstream>

/// Bases and adapters of tests/fixtures for the tests of adapters.
namespace fettle::testing {

inline std::filesystem::path fixtures()
{
    return std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/fixtures";
}

inline Json adapterGolden()
{
    return readJsonFile(std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/golden/adapters.json")
        .value();
}

/// A tokenizer of 40 words, for checkpoints that have none.
inline void writeSmallTokenizer(const std::filesystem::path& folder)
{
    Json vocab = {{"[UNK]", 0}};
    for (int i = 1; i < 40; ++i)
        vocab["w" + std::to_string(i)] = i;
    const Json tokenizer = {
        {"version", "1.0"},
        {"truncation", nullptr},
        {"padding", nullptr},
        {"added_tokens", Json::array()},
        {"normalizer", nullptr},
        {"pre_tokenizer", {{"type", "Whitespace"}}},
        {"post_processor", nullptr},
        {"decoder", nullptr},
        {"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "[UNK]"}}}};
    std::ofstream(folder / "tokenizer.json") << tokenizer.dump();
}

/// A copy of a tiny checkpoint, with a tokenizer.
inline std::filesystem::path makeBase(const std::filesystem::path& folder,
                                      const std::string& family)
{
    const auto base = folder / ("base-" + family);
    std::filesystem::copy(fixtures() / "families" / family, base);
    writeSmallTokenizer(base);
    return base;
}

} // namespace fettle::testing

#include "model/import/folder_files.h"

#include <algorithm>
#include <array>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 18> kNames{"config.json",
                                                  "generation_config.json",
                                                  "tokenizer.json",
                                                  "tokenizer.model",
                                                  "tokenizer_config.json",
                                                  "special_tokens_map.json",
                                                  "added_tokens.json",
                                                  "vocab.json",
                                                  "merges.txt",
                                                  "vocab.txt",
                                                  "spiece.model",
                                                  "chat_template.jinja",
                                                  "README.md",
                                                  "LICENSE",
                                                  "LICENSE.txt",
                                                  "LICENSE.md",
                                                  "NOTICE",
                                                  "NOTICE.txt"};

} // namespace

bool isCarried(std::string_view name)
{
    return std::ranges::find(kNames, name) != kNames.end();
}

std::vector<fs::path> carriedFiles(const fs::path& folder)
{
    std::vector<fs::path> paths;
    std::error_code ec;
    for (const auto name : kNames) {
        if (fs::is_regular_file(folder / name, ec))
            paths.push_back(folder / name);
    }
    return paths;
}

} // namespace fettle::model

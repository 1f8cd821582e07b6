#include "model/import/folder_files.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

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

bool isRead(const fs::path& name)
{
    constexpr std::array<std::string_view, 3> kEndings{".safetensors", ".bin", ".json"};
    return isCarried(name.string()) ||
           std::ranges::find(kEndings, name.extension().string()) != kEndings.end();
}

bool isBelow(const fs::path& path, const fs::path& folder)
{
    const auto steps = std::ranges::mismatch(folder, path);
    return steps.in1 == folder.end();
}

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

Result<void> checkLinks(const fs::path& folder)
{
    std::error_code ec;
    const auto root = fs::canonical(folder, ec);
    const bool snapshot = root.parent_path().filename() == "snapshots";
    const auto blobs = root.parent_path().parent_path() / "blobs";
    for (const auto& entry : fs::directory_iterator(folder, ec)) {
        const auto name = entry.path().filename();
        if (!entry.is_symlink(ec) || !isRead(name))
            continue;
        const auto target = fs::weakly_canonical(entry.path(), ec);
        if (!isBelow(target, root) && !(snapshot && isBelow(target, blobs)))
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the file '{}' is a link that leads out of the folder",
                                     quotable(name.string())),
                         folder.string(), "Put the file itself in the place of the link"};
    }
    return {};
}

} // namespace fettle::model

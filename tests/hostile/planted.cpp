#include "hostile/planted.h"

#include "base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace fettle::hostile {

namespace fs = std::filesystem;

namespace {

std::string cell(std::string text)
{
    std::string out;
    for (const char c : text)
        out += c == '|' ? std::string("\\|") : std::string(1, c);
    return out;
}

/// The scratch folder's name is another one at every run.
std::string withoutFolder(std::string text, const std::string& folder)
{
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder))
        text.replace(at, folder.size(), "FOLDER");
    return text;
}

} // namespace

std::vector<Planted> plantedCases()
{
    auto all = weightCases();
    for (auto* more : {tokenizerCases, modelCases}) {
        auto cases = more();
        std::ranges::move(cases, std::back_inserter(all));
    }
    return all;
}

std::string refusalsAsMarkdown()
{
    std::string out =
        "# What the readers refuse, and how they say it\n\n"
        "One row for each planted fault of `tests/hostile` (made by `list_refusals`, checked by "
        "`test_hostile`).\n"
        "A sentence names the place, the fault and the remedy; FOLDER stands for the folder of the "
        "file.\n";
    std::string kind;
    int number = 0;
    for (const auto& planted : plantedCases()) {
        if (planted.kind != kind) {
            kind = planted.kind;
            out += fmt::format("\n## {}\n\n| planted fault | sentence |\n| --- | --- |\n", kind);
        }
        const fs::path folder =
            fs::temp_directory_path() / fmt::format("fettle-refusals-{}-{}", ::getpid(), ++number);
        fs::remove_all(folder);
        fs::create_directories(folder);
        const auto sentence =
            withoutFolder(planted.refusal(folder).sentence(), fs::canonical(folder).string());
        out += fmt::format("| {} | {} |\n", cell(planted.fault), cell(sentence));
        fs::remove_all(folder);
    }
    return out;
}

} // namespace fettle::hostile

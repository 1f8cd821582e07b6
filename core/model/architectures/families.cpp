#include "model/architectures/family.h"

#include <algorithm>
#include <utility>

namespace fettle::model {

namespace {

constexpr Family kFamilies[] = {
    {"llama", readLlama},
    {"mistral", readMistral},
    {"mixtral", readMixtral},
    {"smollm3", readSmollm3},
    {"qwen2", readQwen2},
    {"qwen3", readQwen3},
    {"qwen3_moe", readQwen3Moe},
    {"gemma", readGemma},
    {"gemma2", readGemma2},
    {"gemma3_text", readGemma3},
    {"phi", readPhi},
    {"phi3", readPhi3},
    {"gpt2", readGpt2},
    {"gpt_bigcode", readGptBigcode},
    {"gpt_neo", readGptNeo},
    {"gpt_neox", readGptNeox},
    {"olmo2", readOlmo2},
    {"granite", readGranite},
    {"bert", readBert},
    {"roberta", readRoberta},
    {"xlm-roberta", readRoberta},
    {"camembert", readRoberta},
    {"distilbert", readDistilbert},
    {"t5", readT5},
    {"mt5", readMt5},
    {"umt5", readUmt5},
    {"longt5", readLongt5},
};

std::size_t editDistance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row.back();
}

} // namespace

std::span<const Family> families() { return kFamilies; }

const Family* findFamily(std::string_view type)
{
    const auto* found = std::ranges::find(kFamilies, type, &Family::type);
    return found == std::end(kFamilies) ? nullptr : found;
}

std::string_view nearestFamily(std::string_view type)
{
    return std::ranges::min_element(
               kFamilies, {}, [&](const Family& family) { return editDistance(type, family.type); })
        ->type;
}

} // namespace fettle::model

#include "deploy/proof_card.h"

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace fettle::deploy {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxCardBytes = 16u << 20;
constexpr std::size_t kMaxFiles = 10'000;

bool isHidden(const fs::path& relative)
{
    return std::ranges::any_of(relative,
                               [](const auto& part) { return part.string().starts_with('.'); });
}

Result<std::vector<fs::path>> filesBelow(const fs::path& folder)
{
    std::vector<fs::path> names;
    std::error_code ec;
    for (fs::recursive_directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        const auto relative = it->path().lexically_relative(folder);
        if (isHidden(relative) || relative == kProofFile)
            continue;
        std::error_code each;
        if (it->is_directory(each) && !it->is_symlink(each))
            continue;
        if (!it->is_regular_file(each) || it->is_symlink(each))
            return Error{ErrorCode::InvalidInput, "this is a link or a device, not a file",
                         relative.string(), "Put the file itself into the folder"};
        names.push_back(relative);
        if (names.size() > kMaxFiles)
            return Error{ErrorCode::InvalidInput, "the folder holds more files than an export has",
                         folder.filename().string(), "Choose the folder of one export"};
    }
    if (ec)
        return Error{ErrorCode::Io, fmt::format("the folder cannot be read ({})", ec.message()),
                     folder.string(), "Check the name and the permissions"};
    std::ranges::sort(names);
    return names;
}

std::string numberText(const Json& value)
{
    return value.is_number() ? fmt::format("{:.5g}", value.get<double>()) : "not measured";
}

/// Rows of "| what | value |" for the parts of the card that people ask for.
std::string proofTable(const Json& proof)
{
    std::string rows = "| what | figure |\n| --- | --- |\n";
    const std::pair<const char*, const char*> kFigures[] = {
        {"prompts", "fixed prompts"},
        {"rows", "rows of the training data"},
        {"tokens", "tokens compared"},
        {"weights", "weights read back and compared"},
        {"largestLogitDifference", "largest difference of a logit"},
        {"unexplainedLogitDifference", "of it, not from rounding the weights"},
        {"largestStateDifference", "largest difference of a state"},
        {"unexplainedStateDifference", "of it, not from rounding the weights"},
        {"limit", "largest allowed of that"},
        {"perplexityBefore", "perplexity in memory, before writing"},
        {"perplexityAfter", "perplexity of what was read back"}};
    for (const auto& [key, words] : kFigures) {
        if (proof.contains(key) && !proof[key].is_null())
            rows += fmt::format("| {} | {} |\n", words, numberText(proof[key]));
    }
    return rows;
}

std::string cardText(const Json& card)
{
    const Json proof = card.value("proof", Json::object());
    std::string text =
        fmt::format("# Proof of this export\n\n{} on {}. Form: {}{}. Result: **{}**.\n\n",
                    card.value("program", ""), card.value("madeAt", ""), card.value("form", ""),
                    card.value("type", "").empty() ? std::string() : ", " + card.value("type", ""),
                    proof.value("passed", false) ? "passed" : "NOT passed, do not use these files");
    const Json from = card.value("from", Json::object());
    for (const auto& [key, value] : from.items())
        text += fmt::format("- {}: {}\n", key,
                            value.is_string() ? value.get<std::string>() : value.dump());
    text +=
        "\nAfter writing, the files were read back from the disk, a model was built from them, and "
        "it answered the same texts as the model in memory, whose weights were then rounded alike."
        "\n\n" +
        proofTable(proof) + "\n## Files\n\n| file | bytes | SHA-256 |\n| --- | --- | --- |\n";
    for (const auto& file : card["files"])
        text += fmt::format("| {} | {} | {} |\n", file.value("name", ""),
                            file.value("bytes", std::uint64_t{0}), file.value("sha256", ""));
    return text + "\nCheck them again at any time: `fettle-cli export verify FOLDER`.\n";
}

Error damagedCard(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), kProofFile, "Export the model again"};
}

/// The files that a card names, by name.
Result<std::map<std::string, FileDigest>> namedFiles(const Json& card)
{
    if (!card.is_object() || !card.contains("files") || !card["files"].is_array())
        return damagedCard("the card lists no files");
    std::map<std::string, FileDigest> files;
    for (const auto& each : card["files"]) {
        if (!each.is_object() || !each.contains("name") || !each["name"].is_string() ||
            !each.contains("bytes") || !each["bytes"].is_number_unsigned() ||
            !each.contains("sha256") || !each["sha256"].is_string())
            return damagedCard("a line of the card's list of files is incomplete");
        FileDigest file{each["name"], each["bytes"], each["sha256"]};
        if (!files.emplace(file.name, file).second)
            return damagedCard("a file is on the card twice");
    }
    if (files.empty())
        return damagedCard("the card lists no files");
    return files;
}

} // namespace

const std::vector<std::string>& proofPrompts()
{
    static const std::vector<std::string> prompts = {
        "The quick brown fox jumps over the lazy dog.",
        "What is the capital of France, and which river flows through it?",
        "Summarise the following letter in one sentence.",
        "Der Arzt untersucht das Kind und schreibt einen kurzen Bericht.",
        "Le contrat prend fin le 31 décembre, sauf accord écrit des parties.",
        "1 + 2 = 3, 10 / 4 = 2.5, and 7 is a prime number.",
        "def area(width, height):\n    return width * height\n",
        "Step 1: open the valve. Step 2: wait ten minutes. Step 3:"};
    return prompts;
}

Result<std::vector<FileDigest>> digestsOf(const fs::path& folder)
{
    const auto names = filesBelow(folder);
    if (!names)
        return names.error();
    std::vector<FileDigest> digests;
    for (const auto& name : *names) {
        auto digest = sha256OfFile(folder / name);
        if (!digest)
            return digest.error();
        std::error_code ec;
        digests.push_back({name.generic_string(), fs::file_size(folder / name, ec), *digest});
    }
    return digests;
}

Result<Json> writeProofCard(const fs::path& folder, Json facts)
{
    facts["fettleProof"] = 1; // version of this form of card
    facts["program"] = "Fettle " FETTLE_VERSION;
    facts["madeAt"] = isoTime(nowMilliseconds());
    facts["prompts"] = proofPrompts();
    const auto list = [&]() -> Result<void> {
        auto digests = digestsOf(folder);
        if (!digests)
            return digests.error();
        facts["files"] = Json::array();
        for (const auto& file : *digests)
            facts["files"].push_back(
                {{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
        return {};
    };
    if (auto listed = list(); !listed)
        return listed.error();
    if (auto written = writeFileAtomically(folder / kProofText, cardText(facts)); !written)
        return written.error();
    if (auto listed = list(); !listed) // now with the text itself
        return listed.error();
    if (auto written = writeFileAtomically(folder / kProofFile, facts.dump(1) + "\n"); !written)
        return written.error();
    return facts;
}

Result<Verification> verifyExport(const fs::path& folder)
{
    std::error_code ec;
    if (!fs::exists(folder / kProofFile, ec))
        return Error{ErrorCode::NotFound,
                     "there is no proof card (fettle-proof.json) in this folder", folder.string(),
                     "Choose a folder that this program has exported"};
    const auto text = readFile(folder / kProofFile, kMaxCardBytes);
    if (!text)
        return text.error();
    auto card = parseJson(*text, kProofFile);
    if (!card)
        return card.error();
    const auto named = namedFiles(*card);
    if (!named)
        return named.error();
    const auto present = filesBelow(folder);
    if (!present)
        return present.error();
    Verification result;
    result.card = std::move(*card);
    result.cardDigest = sha256(*text);
    result.files = named->size();
    auto missing = *named;
    for (const auto& name : *present) {
        const auto found = named->find(name.generic_string());
        if (found == named->end()) {
            result.added.push_back(name.generic_string());
            continue;
        }
        missing.erase(found->first);
        bool same = fs::file_size(folder / name, ec) == found->second.bytes;
        if (same) {
            const auto digest = sha256OfFile(folder / name);
            if (!digest)
                return digest.error();
            same = *digest == found->second.sha256;
        }
        if (!same)
            result.changed.push_back(found->first);
    }
    for (const auto& [name, file] : missing)
        result.missing.push_back(name);
    return result;
}

} // namespace fettle::deploy

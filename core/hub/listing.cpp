#include "hub/listing.h"

#include "base/text.h"
#include "model/import/folder_files.h"
#include "tensor/files/weight_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace fettle::hub {

namespace {

constexpr std::size_t kMaxFiles = 100'000;

bool isHex(const std::string& text, std::size_t size)
{
    return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool isPart(std::string_view text)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= 96 && text.front() != '.' && text.front() != '-' &&
           std::ranges::all_of(text, allowed) && text.find("..") == std::string_view::npos;
}

std::string textOf(const Json& object, const char* key)
{
    return object.is_object() && object.contains(key) && object[key].is_string()
               ? object[key].get<std::string>()
               : "";
}

HubFile fileFrom(const Json& json)
{
    HubFile file;
    file.name = textOf(json, "rfilename");
    if (json.contains("size") && json["size"].is_number_unsigned())
        file.size = json["size"].get<std::uint64_t>();
    if (json.contains("lfs") && json["lfs"].is_object()) {
        const auto& large = json["lfs"];
        const auto digest = lowerAscii(textOf(large, "sha256"));
        if (isHex(digest, 64))
            file.sha256 = digest;
        if (large.contains("size") && large["size"].is_number_unsigned())
            file.size = large["size"].get<std::uint64_t>();
    } else if (const auto blob = lowerAscii(textOf(json, "blobId")); isHex(blob, 40)) {
        file.blob = blob;
    }
    return file;
}

Error invalidAnswer(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "hub", "Check the address of the hub"};
}

/// What a repository without a model holds, for the sentence that refuses it.
Error noModel(const HubListing& listing)
{
    const bool gguf = std::ranges::any_of(
        listing.files, [](const auto& file) { return lowerAscii(file.name).ends_with(".gguf"); });
    if (gguf)
        return {ErrorCode::Unsupported, "the repository holds GGUF files and no model folder",
                listing.id,
                "Name the original model, or fetch one GGUF file yourself and use: fettle-cli "
                "model import FILE"};
    return {ErrorCode::InvalidInput, "the repository holds no model that this program opens",
            listing.id, "Choose a model with config.json and safetensors files"};
}

} // namespace

const HubFile* HubListing::find(const std::string& name) const
{
    const auto found = std::ranges::find(files, name, &HubFile::name);
    return found == files.end() ? nullptr : &*found;
}

Result<void> checkModelId(const std::string& id)
{
    const auto parts = splitOn(id, '/');
    if ((parts.size() == 1 || parts.size() == 2) &&
        std::ranges::all_of(parts, [](const auto& part) { return isPart(part); }))
        return {};
    return Error{ErrorCode::InvalidInput, "this is no name of a model on a hub", "model",
                 "Write it as owner/name or owner/name@revision"};
}

Result<void> checkRevision(const std::string& revision)
{
    const auto parts = splitOn(revision, '/');
    if (revision.size() <= 200 &&
        std::ranges::all_of(parts, [](const auto& part) { return isPart(part); }))
        return {};
    return Error{ErrorCode::InvalidInput, "this is no name of a revision", "revision",
                 "Name a branch, a tag or a commit, such as main"};
}

Result<HubName> parseHubName(const std::string& name)
{
    HubName out;
    const auto at = name.find('@');
    out.id = name.substr(0, at);
    if (at != std::string::npos)
        out.revision = name.substr(at + 1);
    if (auto fine = checkModelId(out.id); !fine)
        return fine.error();
    if (auto fine = checkRevision(out.revision); !fine)
        return fine.error();
    return out;
}

Result<HubListing> parseListing(const Json& json, const std::string& id)
{
    HubListing listing;
    listing.id = id;
    listing.commit = lowerAscii(textOf(json, "sha"));
    if (!isHex(listing.commit, 40))
        return invalidAnswer("the hub's answer names no commit");
    if (!json.contains("siblings") || !json["siblings"].is_array() ||
        json["siblings"].size() > kMaxFiles)
        return invalidAnswer("the hub's answer lists no files");
    for (const auto& each : json["siblings"]) {
        auto file = fileFrom(each);
        if (!file.name.empty())
            listing.files.push_back(std::move(file));
    }
    return listing;
}

Result<FileChoice> chooseFiles(const HubListing& listing)
{
    FileChoice choice;
    choice.adapter = !listing.find("config.json") && listing.find("adapter_config.json");
    if (!choice.adapter && !listing.find("config.json"))
        return noModel(listing);
    for (const auto& file : listing.files) {
        if (model::isCarried(file.name) || (choice.adapter && file.name == "adapter_config.json"))
            choice.small.push_back(file);
    }
    const std::vector<const char*> whole =
        choice.adapter ? std::vector{"adapter_model.safetensors", "adapter_model.bin"}
                       : std::vector{"model.safetensors", "model.safetensors.index.json",
                                     "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (const char* name : whole) {
        const auto* file = listing.find(name);
        if (!file)
            continue;
        choice.pickles = file->name.find(".bin") != std::string::npos;
        if (file->name.ends_with(".json"))
            choice.index = *file;
        else
            choice.weights.push_back(*file);
        return choice;
    }
    return noModel(listing);
}

Result<std::vector<HubFile>> filesOfIndex(const HubListing& listing, const Json& index)
{
    const Json map = index.is_object() ? index.value("weight_map", Json()) : Json();
    std::set<std::string> names;
    for (const auto& [tensor, file] : map.items()) {
        if (!file.is_string() || !tensor::isPlainFileName(file.get<std::string>()))
            return Error{ErrorCode::InvalidInput,
                         "the index names a file outside the folder or none", listing.id,
                         "Choose another model; this repository is damaged or hostile"};
        names.insert(file.get<std::string>());
    }
    std::vector<HubFile> files;
    for (const auto& name : names) {
        const auto* file = listing.find(name);
        const bool weights = name.ends_with(".safetensors") || name.ends_with(".bin");
        if (!file || !weights)
            return Error{ErrorCode::InvalidInput, "the index names a weight file that is not there",
                         listing.id, "Choose another revision; this one is incomplete"};
        files.push_back(*file);
    }
    if (files.empty())
        return Error{ErrorCode::InvalidInput, "the index names no weight files", listing.id,
                     "Choose another revision; this one is incomplete"};
    return files;
}

} // namespace fettle::hub

#include "tensor/files/weight_files.h"

#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

namespace fettle::tensor {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxShards = 10'000;
constexpr std::uint64_t kMaxIndexBytes = 100'000'000;

Error invalid(const fs::path& path, std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), path.string(),
            "Fetch the model's folder again; its index does not fit its files"};
}

bool hasPickles(const fs::path& folder)
{
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(folder, ec)) {
        const auto ending = entry.path().extension();
        if (ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt")
            return true;
    }
    return false;
}

Error noWeights(const fs::path& folder)
{
    if (hasPickles(folder))
        return {
            ErrorCode::Unsupported,
            "the folder has its weights only as .bin or .pt files, which can run foreign code when "
            "they are opened",
            folder.string(),
            "Choose a version of the model with a model.safetensors file; most publishers offer "
            "one"};
    return {ErrorCode::NotFound,
            "the folder has no model.safetensors and no model.safetensors.index.json",
            folder.string(), "Choose the folder that holds the model's weight files"};
}

/// Shard name -> names of the tensors that the index promises there.
using ShardMap = std::map<std::string, std::set<std::string>>;

Result<ShardMap> readIndex(const fs::path& path)
{
    const auto json = readJsonFile(path, kMaxIndexBytes);
    if (!json)
        return json.error();
    if (!json->is_object() || !json->contains("weight_map") || !(*json)["weight_map"].is_object())
        return invalid(path, "the index has no 'weight_map'");
    ShardMap shards;
    for (const auto& [tensor, shard] : (*json)["weight_map"].items()) {
        if (!shard.is_string())
            return invalid(
                path, fmt::format("the file of tensor '{}' is not a text", quotable(tensor, 80)));
        const auto& name = shard.get_ref<const std::string&>();
        if (!isPlainFileName(name))
            return invalid(
                path, fmt::format("the file name of tensor '{}' points outside the folder or is "
                                  "not a file name",
                                  quotable(tensor, 80)));
        shards[name].insert(tensor);
    }
    if (shards.empty() || shards.size() > kMaxShards)
        return invalid(path, fmt::format("the index names {} weight files", shards.size()));
    return shards;
}

} // namespace

bool isPlainFileName(std::string_view name)
{
    static constexpr std::array<std::string_view, 22> kReserved{
        "con",  "prn",  "aux",  "nul",  "com1", "com2", "com3", "com4", "com5", "com6", "com7",
        "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9"};
    if (name.empty() || name.size() > 255 || name == "." || name == ".." || !isValidUtf8(name))
        return false;
    for (const char c : name) {
        if (c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return false;
    }
    const std::string stem = lowerAscii(name.substr(0, name.find('.')));
    return std::find(kReserved.begin(), kReserved.end(), stem) == kReserved.end();
}

Result<WeightFiles> WeightFiles::open(const fs::path& folder)
{
    std::error_code ec;
    if (fs::exists(folder / "model.safetensors", ec)) {
        auto file = SafetensorsFile::open(folder / "model.safetensors");
        if (!file)
            return file.error();
        WeightFiles files;
        files.m_files.push_back(std::move(*file));
        return files;
    }
    if (fs::exists(folder / "model.safetensors.index.json", ec))
        return openSharded(folder);
    return noWeights(folder);
}

Result<WeightFiles> WeightFiles::openSharded(const fs::path& folder)
{
    WeightFiles files;
    files.m_index = folder / "model.safetensors.index.json";
    const auto shards = readIndex(*files.m_index);
    if (!shards)
        return shards.error();
    std::set<std::string> seen;
    for (const auto& [name, promised] : *shards) {
        std::error_code ec;
        if (!fs::exists(folder / name, ec))
            return Error{
                ErrorCode::NotFound, fmt::format("the weight file {} is missing", quotable(name)),
                folder.string(), "Fetch the missing file; all parts of a model are needed"};
        auto file = SafetensorsFile::open(folder / name);
        if (!file)
            return file.error();
        for (const auto& tensor : promised) {
            if (!file->find(tensor))
                return invalid(*files.m_index,
                               fmt::format("tensor '{}' should be in {}, it is not there",
                                           quotable(tensor), quotable(name)));
        }
        for (const auto& tensor : file->tensors()) {
            if (!promised.contains(tensor.name))
                files.m_warnings.push_back(fmt::format("tensor '{}' in {} is not in the index",
                                                       quotable(tensor.name), name));
            if (!seen.insert(tensor.name).second)
                return invalid(folder / name, fmt::format("tensor '{}' is in two weight files",
                                                          quotable(tensor.name)));
        }
        files.m_files.push_back(std::move(*file));
    }
    return files;
}

const TensorInfo* WeightFiles::find(const std::string& name) const
{
    for (const auto& file : m_files) {
        if (const auto* tensor = file.find(name))
            return tensor;
    }
    return nullptr;
}

std::vector<const TensorInfo*> WeightFiles::tensors() const
{
    std::vector<const TensorInfo*> all;
    for (const auto& file : m_files) {
        for (const auto& tensor : file.tensors())
            all.push_back(&tensor);
    }
    return all;
}

} // namespace fettle::tensor

#include "model/import/torch_weights.h"

#include "base/sha256.h"
#include "model/import/stored_names.h"
#include "tensor/files/weight_files.h"

#include <fmt/format.h>
#include <set>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr const char* kOne = "pytorch_model.bin";
constexpr const char* kIndex = "pytorch_model.bin.index.json";

bool isFloat(tensor::DType type)
{
    using tensor::DType;
    return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
}

/// The files of the folder, from the index or the one file.
Result<std::vector<fs::path>> filesOf(const fs::path& folder)
{
    std::error_code ec;
    if (fs::exists(folder / kOne, ec))
        return std::vector{folder / kOne};
    const auto index = readJsonFile(folder / kIndex, 100u << 20);
    if (!index)
        return index.error();
    const Json map = index->is_object() ? index->value("weight_map", Json()) : Json();
    std::set<std::string> names;
    for (const auto& [tensor, file] : map.items()) {
        if (!file.is_string() || !tensor::isPlainFileName(file.get<std::string>()))
            return Error{ErrorCode::InvalidInput,
                         "the index names a file outside the folder or none",
                         (folder / kIndex).string(), "Fetch the model's folder again"};
        names.insert(file.get<std::string>());
    }
    if (names.empty())
        return Error{ErrorCode::InvalidInput, "the index has no 'weight_map'",
                     (folder / kIndex).string(), "Fetch the model's folder again"};
    std::vector<fs::path> paths;
    for (const auto& name : names)
        paths.push_back(folder / name);
    return paths;
}

/// Of the tensor's elements; empty when they cannot be read.
std::string digestOf(const tensor::TorchTensor& tensor)
{
    Sha256 digest;
    const auto read =
        tensor::TorchFile::read(tensor, [&](const void* data, std::uint64_t size) -> Result<void> {
            digest.update({static_cast<const char*>(data), size});
            return {};
        });
    return read ? digest.finish() : std::string();
}

} // namespace

bool TorchWeights::isIn(const fs::path& folder)
{
    std::error_code ec;
    const bool safe = fs::exists(folder / "model.safetensors", ec) ||
                      fs::exists(folder / "model.safetensors.index.json", ec);
    return !safe && (fs::exists(folder / kOne, ec) || fs::exists(folder / kIndex, ec));
}

const tensor::TorchTensor* TorchWeights::find(const std::string& name,
                                              const ModelConfig& config) const
{
    for (const auto& stored : storedNames(config, name)) {
        if (const auto found = m_stored.find(stored); found != m_stored.end())
            return found->second;
    }
    return nullptr;
}

Result<TorchWeights> TorchWeights::open(const fs::path& folder, ModelConfig& config)
{
    const auto paths = filesOf(folder);
    if (!paths)
        return paths.error();
    TorchWeights out;
    for (const auto& path : *paths) {
        auto file = tensor::TorchFile::open(path);
        if (!file)
            return file.error();
        out.m_files.push_back(*std::move(file));
    }
    for (const auto& file : out.m_files) {
        for (const auto& tensor : file.tensors()) {
            if (!out.m_stored.emplace(tensor.name, &tensor).second)
                return Error{ErrorCode::InvalidInput,
                             fmt::format("the weight '{}' is in two files", tensor.name),
                             folder.string(), "Fetch the model's folder again"};
        }
    }
    completeFromWeights(config, {[&](const std::string& name) {
                                     const auto* found = out.find(name, config);
                                     return found ? &found->shape : nullptr;
                                 },
                                 [&](const std::string& a, const std::string& b) {
                                     return digestOf(*out.find(a, config)) ==
                                            digestOf(*out.find(b, config));
                                 }});
    std::size_t missing = 0;
    std::string first;
    for (const auto& weight : expectedWeights(config)) {
        const auto* stored = out.find(weight.name, config);
        if (!stored) {
            first = missing++ == 0 ? weight.name : first;
            continue;
        }
        if (stored->shape != weight.shape || !isFloat(stored->dtype))
            return Error{
                ErrorCode::InvalidInput,
                fmt::format("the weight '{}' has the shape {} in {}, config.json asks for {}",
                            weight.name, tensor::shapeText(stored->shape),
                            tensor::nameOf(stored->dtype), tensor::shapeText(weight.shape)),
                folder.string(), "Fetch config.json and the weights from the same source"};
        out.m_byName[weight.name] = stored;
        out.m_plan.push_back({weight.name, stored->dtype, stored->shape});
    }
    if (missing > 0)
        return Error{ErrorCode::InvalidInput,
                     fmt::format("{} weights are missing, the first is {}", missing, first),
                     folder.string(), "Fetch the model's folder again; it is incomplete"};
    return out;
}

Result<void> TorchWeights::read(const tensor::TensorPlan& weight, const PartSink& sink) const
{
    return tensor::TorchFile::read(*m_byName.at(weight.name), sink);
}

} // namespace fettle::model

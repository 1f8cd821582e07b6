#include "model/import/hf_folder.h"

#include "base/sha256.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace fettle::model {

namespace {

using tensor::DType;

constexpr std::size_t kMaxListed = 5;

bool isFloat(DType type)
{
    return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
}

/// Buffers that older versions saved beside the weights.
bool isKnownBuffer(const std::string& name)
{
    return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn.bias") ||
           name.ends_with(".masked_bias") || name.ends_with(".attention.bias");
}

/// "a, b and 12 more".
std::string listed(const std::vector<std::string>& names)
{
    const std::size_t shown = std::min(names.size(), kMaxListed);
    std::string text = fmt::format(
        "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    if (names.size() > shown)
        text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

} // namespace

Result<ModelFiles> ModelFiles::open(const std::filesystem::path& folder)
{
    ModelFiles files;
    files.m_folder = folder;
    auto config = readModelConfig(folder);
    if (!config)
        return config.error();
    files.m_config = std::move(*config);
    auto weights = tensor::WeightFiles::open(folder);
    if (!weights)
        return weights.error();
    files.m_weights = std::move(*weights);
    files.m_warnings = files.m_weights.warnings();
    if (auto fine = files.checkWeights(); !fine)
        return fine.error();
    return files;
}

const tensor::TensorInfo* ModelFiles::find(const std::string& name) const
{
    const auto* found = m_weights.find(name);
    const auto& prefix = m_config.names.prefix;
    if (found || prefix.empty() || !name.starts_with(prefix))
        return found;
    return m_weights.find(name.substr(prefix.size()));
}

Result<void> ModelFiles::checkWeights()
{
    const std::string head = m_config.names.head + ".weight";
    if (!m_config.tieEmbeddings && !find(head)) {
        m_config.tieEmbeddings = true;
        m_warnings.push_back(fmt::format(
            "there is no {}: the embedding table is used as the output head", head));
    }
    const auto expected = expectedWeights(m_config);
    std::vector<std::string> missing;
    for (const auto& weight : expected) {
        const auto* found = find(weight.name);
        if (!found) {
            missing.push_back(weight.name);
            continue;
        }
        if (found->shape != weight.shape)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the weight '{}' has the shape {}, config.json asks for {}",
                                     weight.name, tensor::shapeText(found->shape),
                                     tensor::shapeText(weight.shape)),
                         m_folder.string(),
                         "Fetch config.json and the weights from the same source"};
        if (!isFloat(found->dtype))
            return Error{ErrorCode::Unsupported,
                         fmt::format("the weight '{}' is stored as {}", weight.name,
                                     tensor::nameOf(found->dtype)),
                         m_folder.string(), "Choose a version of the model in F32, F16 or BF16"};
    }
    if (!missing.empty())
        return Error{ErrorCode::InvalidInput,
                     fmt::format("{} of {} weights are missing: {}", missing.size(),
                                 expected.size(), listed(missing)),
                     m_folder.string(), "Fetch the model's folder again; it is incomplete"};
    noteExtras(expected);
    return {};
}

void ModelFiles::noteExtras(const std::vector<WeightShape>& expected)
{
    const auto& prefix = m_config.names.prefix;
    std::set<std::string> known{m_config.names.head + ".weight"}; // some write it for tied models
    for (const auto& weight : expected) {
        known.insert(weight.name);
        if (!prefix.empty() && weight.name.starts_with(prefix))
            known.insert(weight.name.substr(prefix.size()));
    }
    std::vector<std::string> extra;
    for (const auto* tensor : m_weights.tensors()) {
        if (!known.contains(tensor->name) && !isKnownBuffer(tensor->name))
            extra.push_back(tensor->name);
    }
    if (!extra.empty())
        m_warnings.push_back(
            fmt::format("{} weights are not used: {}", extra.size(), listed(extra)));
}

Result<std::string> ModelFiles::digest() const
{
    std::vector<std::filesystem::path> paths{m_folder / "config.json"};
    for (const auto& file : m_weights.files())
        paths.push_back(file.path());
    std::sort(paths.begin() + 1, paths.end());
    Sha256 whole;
    for (const auto& path : paths) {
        const auto one = sha256OfFile(path);
        if (!one)
            return one.error();
        whole.update(fmt::format("{} {}\n", path.filename().string(), *one));
    }
    return whole.finish();
}

} // namespace fettle::model

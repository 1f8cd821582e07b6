#include "model/import/hf_folder.h"

#include "base/sha256.h"
#include "model/import/stored_names.h"
#include "model/import/weight_bytes.h"

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
           name.ends_with(".masked_bias") || name.ends_with(".attention.bias") ||
           name.ends_with("position_ids") ||
           name.ends_with(".EncDecAttention.relative_attention_bias.weight");
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
    for (const auto& stored : storedNames(m_config, name)) {
        if (const auto* found = m_weights.find(stored))
            return found;
    }
    return nullptr;
}

tensor::WeightKind ModelFiles::storedKind() const
{
    const auto other = [this](const WeightShape& weight) {
        const auto* found = mayBePacked(m_config, weight) ? find(weight.name) : nullptr;
        return found && found->dtype != DType::BF16 && found->dtype != DType::F16;
    };
    return m_config.transposedWeights || std::ranges::any_of(expectedWeights(m_config), other)
               ? tensor::WeightKind::Float32
               : tensor::WeightKind::Stored16;
}

Result<void> ModelFiles::checkWeights()
{
    const StoredWeights stored{[this](const std::string& name) {
                                   const auto* found = find(name);
                                   return found ? &found->shape : nullptr;
                               },
                               [this](const std::string& a, const std::string& b) {
                                   const auto *x = find(a), *y = find(b);
                                   return x->dtype == y->dtype &&
                                          std::ranges::equal(x->bytes, y->bytes);
                               }};
    for (auto& note : completeFromWeights(m_config, stored))
        m_warnings.push_back(std::move(note));
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
    std::set<std::string> known;
    const auto know = [&](const std::string& name) {
        for (auto& stored : storedNames(m_config, name))
            known.insert(std::move(stored));
    };
    know(m_config.names.head + ".weight"); // some write it for tied models
    for (const auto& weight : expected)
        know(weight.name);
    std::vector<std::string> extra;
    bool pictures = false;
    for (const auto* tensor : m_weights.tensors()) {
        const auto& name = tensor->name;
        if (known.contains(name) || isKnownBuffer(name))
            continue;
        if (m_config.wrapped && (name.find("vision_tower.") != std::string::npos ||
                                 name.find("multi_modal_projector.") != std::string::npos))
            pictures = true;
        else
            extra.push_back(name);
    }
    if (pictures)
        m_warnings.push_back("only the language part is used; the part that reads pictures is not");
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

#include "model/import/gguf_model.h"

#include "model/import/gguf_config.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

namespace fettle::model {

using tensor::DType;
using tensor::GgufTensor;
using tensor::TensorPlan;

namespace {

constexpr std::uint64_t kPartValues = 1u << 20;

/// Published name of a weight -> its name in GGUF files; "" when there is none.
std::string ggufName(const std::string& published)
{
    static const std::map<std::string, std::string> kWhole{
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"lm_head.weight", "output.weight"}};
    static const std::map<std::string, std::string> kInLayer{
        {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
        {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
        {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}};
    if (const auto whole = kWhole.find(published); whole != kWhole.end())
        return whole->second;
    constexpr std::string_view kPrefix = "model.layers.";
    const auto dot = published.find('.', kPrefix.size());
    const auto last = published.rfind('.');
    const auto part = kInLayer.find(published.substr(dot + 1, last - dot - 1));
    if (part == kInLayer.end())
        return "";
    return fmt::format("blk.{}.{}{}", published.substr(kPrefix.size(), dot - kPrefix.size()),
                       part->second, published.substr(last));
}

/// The bytes of all values, cut between blocks.
Result<void> readInOrder(const GgufTensor& item, const PartSink& sink)
{
    const auto& type = *tensor::ggmlTypeInfo(item.type);
    std::vector<float> part;
    for (std::uint64_t done = 0; done < item.values(); done += part.size()) {
        part.resize(std::min(kPartValues, item.values() - done));
        const auto bytes = item.bytes.subspan(done / type.values * type.bytes,
                                              part.size() / type.values * type.bytes);
        if (auto fine = tensor::dequantise(item.type, bytes, part.data(), part.size()); !fine)
            return fine;
        if (auto taken = sink(part.data(), part.size() * sizeof(float)); !taken)
            return taken;
    }
    return {};
}

/// q and k are stored for rotary pairs that lie side by side; published checkpoints pair dimension
/// j of a head with j + size / 2. The file's row for the published row: (head, 2 j + t) <- (head,
/// t, j).
std::uint64_t storedRow(std::uint64_t published, std::uint64_t headDim)
{
    const std::uint64_t inHead = published % headDim, half = headDim / 2;
    return published - inHead + 2 * (inHead % half) + inHead / half;
}

/// The rows of q or k in published order; a bias has rows of one value.
Result<void> readInterleaved(const GgufTensor& item, std::int64_t heads, const PartSink& sink)
{
    const auto& type = *tensor::ggmlTypeInfo(item.type);
    const auto rows = static_cast<std::uint64_t>(item.dims.back());
    const std::uint64_t columns = item.values() / rows,
                        headDim = rows / static_cast<std::uint64_t>(heads);
    if (columns % type.values != 0)
        return Error{ErrorCode::Unsupported, fmt::format("a bias is stored as {}", type.name), "",
                     "Choose a file whose biases are in F32"};
    const std::uint64_t rowBytes = columns / type.values * type.bytes;
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / columns);
    std::vector<float> part;
    for (std::uint64_t first = 0; first < rows; first += step) {
        const std::uint64_t count = std::min(step, rows - first);
        part.resize(count * columns);
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto bytes =
                item.bytes.subspan(storedRow(first + i, headDim) * rowBytes, rowBytes);
            if (auto fine =
                    tensor::dequantise(item.type, bytes, part.data() + i * columns, columns);
                !fine)
                return fine;
        }
        if (auto taken = sink(part.data(), part.size() * sizeof(float)); !taken)
            return taken;
    }
    return {};
}

Error missingWeights(const std::string& where, const std::vector<std::string>& names)
{
    const std::size_t shown = std::min<std::size_t>(names.size(), 5);
    return {ErrorCode::InvalidInput,
            fmt::format(
                "{} weights are missing: {}{}", names.size(),
                fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                names.size() > shown ? " ..." : ""),
            where, "Fetch the file again from its source; it is incomplete"};
}

} // namespace

Result<GgufModel> GgufModel::open(const std::filesystem::path& path)
{
    GgufModel model;
    model.m_path = path;
    auto file = tensor::GgufFile::open(path);
    if (!file)
        return file.error();
    model.m_file = std::move(*file);
    auto config = configFromGguf(model.m_file);
    if (!config)
        return at(config.error(), path.string());
    auto parsed = parseModelConfig(*config, Json(), path.string());
    if (!parsed)
        return parsed.error();
    model.m_config = std::move(*parsed);
    if (auto mapped = model.mapWeights(); !mapped)
        return mapped.error();
    return model;
}

Result<void> GgufModel::mapWeights()
{
    std::vector<std::string> missing;
    std::set<std::string> used{"rope_freqs.weight"}; // in the configuration
    for (const auto& weight : expectedWeights(m_config)) {
        const std::string name = ggufName(weight.name);
        const auto* found = m_file.tensor(name);
        if (!found) {
            missing.push_back(name);
            continue;
        }
        if (found->shape() != weight.shape)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the weight '{}' has the shape {}, the file's keys ask for {}",
                                     name, tensor::shapeText(found->shape()),
                                     tensor::shapeText(weight.shape)),
                         m_path.string(), "Fetch the file again from its source"};
        if (const auto* type = tensor::ggmlTypeInfo(found->type); !type->readable)
            return Error{
                ErrorCode::Unsupported,
                fmt::format("the weight '{}' is stored as {}, which this program does not read",
                            name, type->name),
                m_path.string(), "Choose a file in Q8_0, Q4_1, Q4_K_M, F16 or F32"};
        const bool isQ = name.find(".attn_q.") != std::string::npos;
        const bool isK = name.find(".attn_k.") != std::string::npos;
        m_sources[weight.name] = {found, isQ ? m_config.heads : isK ? m_config.kvHeads : 0};
        used.insert(name);
    }
    if (!missing.empty())
        return missingWeights(m_path.string(), missing);
    std::set<std::string> kinds;
    std::size_t extra = 0;
    for (const auto& item : m_file.tensors()) {
        kinds.emplace(tensor::ggmlTypeInfo(item.type)->name);
        extra += used.contains(item.name) ? 0 : 1;
    }
    m_notes.push_back(
        fmt::format("the weights were stored as {} and are now float32", fmt::join(kinds, ", ")));
    if (extra > 0)
        m_notes.push_back(fmt::format("{} tensors of the file are not used", extra));
    return {};
}

std::vector<TensorPlan> GgufModel::plan() const
{
    std::vector<TensorPlan> plan;
    for (const auto& weight : expectedWeights(m_config))
        plan.push_back({weight.name, DType::F32, weight.shape});
    return plan;
}

Result<void> GgufModel::read(const TensorPlan& weight, const PartSink& sink) const
{
    const Source& source = m_sources.at(weight.name);
    const auto given = source.heads == 0 ? readInOrder(*source.tensor, sink)
                                         : readInterleaved(*source.tensor, source.heads, sink);
    return given ? given : Result<void>(at(given.error(), weight.name));
}

} // namespace fettle::model

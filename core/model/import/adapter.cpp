#include "model/import/adapter.h"

#include "base/text.h"
#include "tensor/files/convert.h"

#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPrefix = "base_model.model.";
constexpr std::size_t kMaxListed = 5;

Error invalid(
    const fs::path& folder, std::string what,
    std::string remedy = "Fetch the adapter again, or choose the base that it was made for")
{
    return {ErrorCode::InvalidInput, std::move(what), folder.filename().string(),
            std::move(remedy)};
}

std::string listed(const std::vector<std::string>& names)
{
    const auto shown = std::min(names.size(), kMaxListed);
    auto text = fmt::format(
        "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    return names.size() > shown ? text + fmt::format(" and {} more", names.size() - shown) : text;
}

Result<void> addTensor(std::map<std::string, AdapterTensor>& tensors, const std::string& name,
                       tensor::DType type, const std::vector<std::int64_t>& shape,
                       std::span<const std::byte> bytes, const fs::path& where)
{
    if (!tensor::isFloatType(type))
        return Error{
            ErrorCode::Unsupported,
            fmt::format("the tensor '{}' is stored as {}", quotable(name), tensor::nameOf(type)),
            where.filename().string(), "Save the adapter in float32, float16 or bfloat16"};
    AdapterTensor out{shape, std::vector<float>(bytes.size() / (tensor::bitsOf(type) / 8))};
    tensor::toFloats(type, bytes, out.values.data());
    tensors.emplace(name, std::move(out));
    return {};
}

/// All tensors of the adapter's file in float32; the whole adapter is small beside its base.
Result<std::map<std::string, AdapterTensor>> readTensors(const fs::path& folder)
{
    std::map<std::string, AdapterTensor> tensors;
    std::error_code ec;
    if (fs::exists(folder / "adapter_model.safetensors", ec)) {
        const auto file = tensor::SafetensorsFile::open(folder / "adapter_model.safetensors");
        if (!file)
            return file.error();
        for (const auto& each : file->tensors()) {
            if (auto added =
                    addTensor(tensors, each.name, each.dtype, each.shape, each.bytes, file->path());
                !added)
                return added.error();
        }
        return tensors;
    }
    if (!fs::exists(folder / "adapter_model.bin", ec))
        return Error{ErrorCode::NotFound,
                     "the adapter has no adapter_model.safetensors and no adapter_model.bin",
                     folder.string(), "Choose the folder that holds the adapter's weights"};
    const auto file = tensor::TorchFile::open(folder / "adapter_model.bin");
    if (!file)
        return file.error();
    for (const auto& each : file->tensors()) {
        std::vector<std::byte> bytes;
        auto read = tensor::TorchFile::read(
            each, [&](const void* data, std::uint64_t size) -> Result<void> {
                const auto* begin = static_cast<const std::byte*>(data);
                bytes.insert(bytes.end(), begin, begin + size);
                return {};
            });
        if (!read)
            return read.error();
        if (auto added = addTensor(tensors, each.name, each.dtype, each.shape, bytes, file->path());
            !added)
            return added.error();
    }
    return tensors;
}

/// One tensor's name taken apart: the module, and the part of an update it is ("A", "B",
/// "magnitude", "bias") or the base's own part ("weight", "bias") that it stands for.
struct TensorName
{
    std::string module, part;
    bool update = false, embedding = false;
};

/// Names may still have the adapter's own name in them: "lora_A.default.weight".
std::optional<TensorName> parsedName(const std::string& name)
{
    if (!name.starts_with(kPrefix))
        return std::nullopt;
    const std::string path = name.substr(std::strlen(kPrefix));
    struct Kind
    {
        const char* mark;
        const char* part;
        bool embedding;
    };
    static constexpr Kind kKinds[] = {{".lora_A", "A", false},
                                      {".lora_B", "B", false},
                                      {".lora_embedding_A", "A", true},
                                      {".lora_embedding_B", "B", true},
                                      {".lora_magnitude_vector", "magnitude", false}};
    for (const auto& kind : kKinds) {
        const auto at = path.find(kind.mark);
        const auto end = at == std::string::npos ? at : at + std::strlen(kind.mark);
        if (at == std::string::npos || (end < path.size() && path[end] != '.'))
            continue;
        const std::string rest = path.substr(end);
        const bool bias = rest == ".bias" || rest.ends_with(".bias");
        return TensorName{path.substr(0, at), bias ? "bias" : kind.part, true, kind.embedding};
    }
    const auto dot = path.rfind('.');
    if (dot == std::string::npos)
        return std::nullopt;
    TensorName out{path.substr(0, dot), path.substr(dot + 1), false, false};
    if (out.module.ends_with(".base_layer"))
        out.module.resize(out.module.size() - std::strlen(".base_layer"));
    // "lm_head.modules_to_save.default.weight" of files that kept the wrapper's name
    if (const auto wrapper = out.module.find(".modules_to_save"); wrapper != std::string::npos)
        out.module.resize(wrapper);
    return out;
}

/// Puts the tensors of a file to the modules of a base, and checks both sides.
class Fitting
{
public:
    Fitting(Adapter& adapter, const ModelFiles& base)
        : m_adapter(adapter)
        , m_base(base)
    {
        const auto& config = base.config();
        for (const auto& weight : expectedWeights(config))
            m_expected.emplace(weight.name, weight);
        const std::string head = config.names.head + ".weight";
        if (!m_expected.contains(head)) // tied: the table stands for it
            m_expected.emplace(head, WeightShape{head, {config.vocab, config.hidden}});
    }

    Result<void> run(std::map<std::string, AdapterTensor> tensors)
    {
        for (auto& [name, tensor] : tensors) {
            if (auto placed = place(name, std::move(tensor)); !placed)
                return placed;
        }
        if (!m_strangers.empty())
            return invalid(m_adapter.folder,
                           fmt::format("the base has no place for {} of the adapter: {}",
                                       m_strangers.size(),
                                       listed({m_strangers.begin(), m_strangers.end()})),
                           "Name the base that the adapter was made for with --base");
        for (auto& [module, update] : m_adapter.updates) {
            if (auto fits = check(module, update); !fits)
                return fits;
        }
        if (m_adapter.updates.empty() && m_adapter.whole.empty())
            return invalid(m_adapter.folder, "the adapter's file holds no weights of an adapter");
        return checkComplete();
    }

private:
    /// The module as the base names it: with or without the prefix of its family.
    std::optional<std::string> moduleInBase(const std::string& module,
                                            const std::string& part) const
    {
        const auto& prefix = m_base.config().names.prefix;
        for (const auto& candidate : {module, prefix + module, "model." + module}) {
            if (m_expected.contains(candidate + "." + part))
                return candidate;
        }
        return std::nullopt;
    }

    Result<void> place(const std::string& name, AdapterTensor tensor)
    {
        const auto parsed = parsedName(name);
        if (!parsed)
            return invalid(m_adapter.folder,
                           fmt::format("the tensor '{}' has a name that no adapter of PEFT has",
                                       quotable(name, 120)));
        if (!parsed->update)
            return placeWhole(*parsed, std::move(tensor));
        const auto module = moduleInBase(parsed->module, "weight");
        if (!module) {
            m_strangers.insert(quotable(parsed->module));
            return {};
        }
        if (!m_adapter.config.targets(parsed->module, isLinear(*module)))
            return invalid(
                m_adapter.folder,
                fmt::format("the file changes {}, which adapter_config.json does not name",
                            *module));
        auto& update = m_adapter.updates[*module];
        update.embedding = parsed->embedding;
        update.scale = m_adapter.config.scaleOf(parsed->module);
        m_ranks[*module] = m_adapter.config.rankOf(parsed->module);
        auto& target = parsed->part == "A"      ? update.a
                       : parsed->part == "B"    ? update.b
                       : parsed->part == "bias" ? update.bias
                                                : update.magnitude;
        if (!target.shape.empty())
            return invalid(m_adapter.folder,
                           fmt::format("the file has two tensors for one part of {}", *module));
        target = std::move(tensor);
        return {};
    }

    /// A weight that takes the place of the base's: modules_to_save, trained biases, saved tables.
    Result<void> placeWhole(const TensorName& name, AdapterTensor tensor)
    {
        const auto module = moduleInBase(name.module, name.part);
        if (!module) {
            m_strangers.insert(quotable(name.module + "." + name.part));
            return {};
        }
        const auto& names = m_base.config().names;
        const bool allowed = m_adapter.config.savesWhole(name.module) ||
                             (name.part == "bias" && m_adapter.config.savesBiases()) ||
                             *module == names.embedding || *module == names.head;
        const std::string weight = *module + "." + name.part;
        if (!allowed)
            return invalid(
                m_adapter.folder,
                fmt::format("the file replaces {}, which adapter_config.json does not name",
                            weight));
        const auto& expected = m_expected.at(weight);
        if (tensor.shape != expected.shape) {
            const bool resized = tensor.shape.size() == 2 && expected.shape.size() == 2 &&
                                 tensor.shape[1] == expected.shape[1];
            if (resized)
                return Error{
                    ErrorCode::Unsupported,
                    fmt::format("the adapter has a vocabulary of {} tokens, the base one of {}",
                                tensor.shape[0], expected.shape[0]),
                    m_adapter.folder.filename().string(),
                    "Resize the base first, or merge the adapter with the library that made it"};
            return wrongShape(weight, tensor.shape, expected.shape);
        }
        if (!m_adapter.whole.emplace(weight, std::move(tensor)).second)
            return invalid(m_adapter.folder,
                           fmt::format("the file has two tensors for {}", weight));
        return {};
    }

    Error wrongShape(const std::string& name, const std::vector<std::int64_t>& got,
                     const std::vector<std::int64_t>& wanted) const
    {
        return invalid(m_adapter.folder,
                       fmt::format("the tensor of {} has the shape {}, the base needs {}", name,
                                   tensor::shapeText(got), tensor::shapeText(wanted)));
    }

    /// A matrix that is neither table nor head, experts included: what "all-linear" means.
    bool isLinear(const std::string& module) const
    {
        const auto& names = m_base.config().names;
        return m_expected.at(module + ".weight").shape.size() == 2 && module != names.head &&
               module != names.embedding && module != names.positions;
    }

    Result<void> check(const std::string& module, const AdapterUpdate& update) const
    {
        if (update.a.shape.empty() || update.b.shape.empty())
            return invalid(m_adapter.folder,
                           fmt::format("{} has {} and no {}", module,
                                       update.a.shape.empty() ? "lora_B" : "lora_A",
                                       update.a.shape.empty() ? "lora_A" : "lora_B"));
        const auto& weight = m_expected.at(module + ".weight");
        const bool table =
            module == m_base.config().names.embedding || module == m_base.config().names.positions;
        if (update.embedding != table || weight.shape.size() != 2)
            return invalid(m_adapter.folder,
                           fmt::format("{} is {}, the adapter takes it for another thing", module,
                                       table ? "a table of embeddings" : "a matrix"));
        auto out = weight.shape[0], in = weight.shape[1];
        if (table || (weight.site && m_base.config().transposedWeights))
            std::swap(out, in);
        const auto rank = m_ranks.at(module);
        if (update.a.shape != std::vector<std::int64_t>{rank, in})
            return wrongShape(module + ".lora_A", update.a.shape, {rank, in});
        if (update.b.shape != std::vector<std::int64_t>{out, rank})
            return wrongShape(module + ".lora_B", update.b.shape, {out, rank});
        const bool dora = !update.magnitude.shape.empty();
        if (dora != m_adapter.config.usesDora() || (dora && update.embedding))
            return Error{
                dora && update.embedding ? ErrorCode::Unsupported : ErrorCode::InvalidInput,
                fmt::format("the magnitudes of {} and use_dora do not fit together", module),
                m_adapter.folder.filename().string(),
                "Merge the adapter with the library that made it"};
        if (dora && static_cast<std::int64_t>(update.magnitude.values.size()) != out)
            return wrongShape(module + ".lora_magnitude_vector", update.magnitude.shape, {out});
        if (update.bias.shape.empty())
            return {};
        if (!m_adapter.config.hasLoraBias() || update.bias.shape != std::vector<std::int64_t>{out})
            return wrongShape(module + ".lora_B.bias", update.bias.shape, {out});
        if (!m_expected.contains(module + ".bias"))
            return Error{ErrorCode::Unsupported,
                         fmt::format("the adapter adds a bias to {}, which has none", module),
                         m_adapter.folder.filename().string(),
                         "An adapter without lora_bias can be merged"};
        return {};
    }

    /// Places that the configuration names, and for which the file has nothing.
    Result<void> checkComplete() const
    {
        if (m_adapter.config.targetsUnknown())
            return {};
        std::vector<std::string> missing;
        for (const auto& [name, weight] : m_expected) {
            const auto module = name.substr(0, name.rfind('.'));
            if (weight.site && m_adapter.config.targets(module, true) &&
                !m_adapter.updates.contains(module))
                missing.push_back(module);
        }
        if (missing.empty())
            return {};
        return invalid(m_adapter.folder,
                       fmt::format("the file has no weights for {} places that adapter_config.json "
                                   "names: {}",
                                   missing.size(), listed(missing)));
    }

    Adapter& m_adapter;
    const ModelFiles& m_base;
    std::map<std::string, WeightShape> m_expected;
    std::map<std::string, std::int64_t> m_ranks;
    std::set<std::string> m_strangers;
};

} // namespace

bool isAdapter(const fs::path& folder)
{
    std::error_code ec;
    return !fs::exists(folder / "config.json", ec) && static_cast<bool>(adapterFolder(folder));
}

Result<fs::path> adapterFolder(const fs::path& folder)
{
    std::error_code ec;
    if (fs::exists(folder / "adapter_config.json", ec))
        return folder;
    std::vector<fs::path> inside;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code each;
        if (fs::exists(it->path() / "adapter_config.json", each))
            inside.push_back(it->path());
    }
    if (inside.size() == 1)
        return inside[0];
    if (inside.empty())
        return Error{ErrorCode::NotFound, "the folder has no adapter_config.json", folder.string(),
                     "Choose the folder of an adapter in PEFT form"};
    std::vector<std::string> names;
    for (const auto& each : inside)
        names.push_back(quotable(each.filename().string()));
    return Error{ErrorCode::InvalidInput,
                 fmt::format("the folder holds several adapters: {}", listed(names)),
                 folder.string(), "Name one of these folders"};
}

Result<Adapter> openAdapter(const fs::path& folder, const ModelFiles& base)
{
    const auto place = adapterFolder(folder);
    if (!place)
        return place.error();
    auto config = AdapterConfig::read(*place);
    if (!config)
        return config.error();
    auto tensors = readTensors(*place);
    if (!tensors)
        return tensors.error();
    Adapter adapter{*std::move(config), *place, {}, {}};
    if (auto fitted = Fitting(adapter, base).run(*std::move(tensors)); !fitted)
        return fitted.error();
    return adapter;
}

} // namespace fettle::model

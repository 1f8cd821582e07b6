#include "model/import/gguf_model.h"

#include "model/import/gguf_config.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace fettle::model {

using tensor::DType;
using tensor::TensorPlan;

namespace {

constexpr std::uint64_t kPartValues = 1u << 20;

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

/// From stored values back to published ones.
void restore(const GgufSlot& slot, std::vector<float>& values)
{
    if (slot.added == 0 && slot.factor == 1)
        return;
    for (float& value : values)
        value = value / slot.factor - slot.added;
}

/// Readers and writers of the format take leading dimensions of 1 as none.
std::vector<std::int64_t> withoutOnes(std::vector<std::int64_t> shape)
{
    while (shape.size() > 1 && shape.front() == 1)
        shape.erase(shape.begin());
    return shape;
}

/// Tensors that the configuration is made of.
bool isKnownExtra(const std::string& name)
{
    return name == "rope_freqs.weight" || name == "rope_factors_long.weight" ||
           name == "rope_factors_short.weight";
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
    const auto family = ggufFamilyOf(model.m_file);
    if (!family)
        return at(family.error(), path.string());
    auto config = configFromGguf(model.m_file, **family);
    if (!config)
        return at(config.error(), path.string());
    auto parsed = parseModelConfig(*config, Json(), path.string());
    if (!parsed)
        return parsed.error();
    model.m_config = std::move(*parsed);
    // The whole file lies in memory's reach: fewer tensors than weights means that some are
    // missing.
    model.m_slots = ggufSlots(model.m_config, **family);
    for (auto& slot : model.m_slots) {
        if (slot.name == kGgufScaledNorm)
            slot.factor = static_cast<float>(model.m_file.real(kGgufNormScale).value_or(1));
    }
    if (auto mapped = model.mapWeights(); !mapped)
        return mapped.error();
    return model;
}

Result<void> GgufModel::checkSlot(const GgufSlot& slot) const
{
    const auto& found = *m_file.tensor(slot.name);
    if (withoutOnes(found.shape()) != withoutOnes(slot.shape))
        return Error{ErrorCode::InvalidInput,
                     fmt::format("the weight '{}' has the shape {}, the file's keys ask for {}",
                                 slot.name, tensor::shapeText(found.shape()),
                                 tensor::shapeText(slot.shape)),
                     m_path.string(), "Fetch the file again from its source"};
    const auto* type = tensor::ggmlTypeInfo(found.type);
    if (!type->readable)
        return Error{
            ErrorCode::Unsupported,
            fmt::format("the weight '{}' is stored as {}, which this program does not read",
                        slot.name, type->name),
            m_path.string(), "Choose a file in Q8_0, Q4_1, Q4_K_M, F16 or F32"};
    if (slot.rows != GgufRows::InOrder && slot.columns() % type->values != 0)
        return Error{ErrorCode::Unsupported,
                     fmt::format("the bias '{}' is stored as {}", slot.name, type->name),
                     m_path.string(), "Choose a file whose biases are in F32"};
    return {};
}

Result<void> GgufModel::mapWeights()
{
    std::vector<std::string> missing;
    std::set<std::string> used;
    for (std::size_t i = 0; i < m_slots.size(); ++i) {
        const auto& slot = m_slots[i];
        if (!m_file.tensor(slot.name)) {
            missing.push_back(slot.name);
            continue;
        }
        if (auto fine = checkSlot(slot); !fine)
            return fine;
        for (std::size_t number = 0; number < slot.published.size(); ++number)
            m_sources[slot.published[number]] = {i, number};
        used.insert(slot.name);
    }
    if (!missing.empty())
        return missingWeights(m_path.string(), missing);
    std::set<std::string> kinds;
    std::size_t extra = 0;
    for (const auto& item : m_file.tensors()) {
        kinds.emplace(tensor::ggmlTypeInfo(item.type)->name);
        extra += used.contains(item.name) || isKnownExtra(item.name) ? 0 : 1;
    }
    const bool kept = std::ranges::any_of(
        m_sources, [this](const auto& each) { return keptType(each.second) != DType::F32; });
    m_notes.push_back(fmt::format("the weights were stored as {} and are now float32{}",
                                  fmt::join(kinds, ", "), kept ? " but for those of 16 bits" : ""));
    if (extra > 0)
        m_notes.push_back(fmt::format("{} tensors of the file are not used", extra));
    return {};
}

/// Rows of 16 bits that are published as they are stored, if in another order, stay in 16 bits.
tensor::DType GgufModel::keptType(const Source& source) const
{
    const auto& slot = m_slots[source.slot];
    if (slot.shape.size() < 2 || slot.rows == GgufRows::Transposed || slot.added != 0 ||
        slot.factor != 1)
        return DType::F32;
    switch (static_cast<tensor::GgmlType>(m_file.tensor(slot.name)->type)) {
    case tensor::GgmlType::BF16:
        return DType::BF16;
    case tensor::GgmlType::F16:
        return DType::F16;
    default:
        return DType::F32;
    }
}

std::vector<TensorPlan> GgufModel::plan() const
{
    std::vector<TensorPlan> plan;
    for (const auto& weight : expectedWeights(m_config))
        plan.push_back({weight.name, keptType(m_sources.at(weight.name)), weight.shape});
    return plan;
}

std::span<const std::byte> GgufModel::bytesOf(const Source& source) const
{
    const auto& slot = m_slots[source.slot];
    const auto& tensor = *m_file.tensor(slot.name);
    const std::uint64_t size = tensor.bytes.size() / slot.published.size();
    return tensor.bytes.subspan(source.number * size, size);
}

Result<void> GgufModel::readRows(const Source& source, const PartSink& sink) const
{
    const auto& slot = m_slots[source.slot];
    const std::uint32_t stored = m_file.tensor(slot.name)->type;
    const auto& type = *tensor::ggmlTypeInfo(stored);
    const auto bytes = bytesOf(source);
    // A vector in order is one row: its type may have blocks.
    const bool vector = slot.shape.size() < 2 && slot.rows == GgufRows::InOrder;
    const std::uint64_t rows = vector ? 1 : slot.rowCount();
    const std::uint64_t columns = vector ? slot.rowCount() : slot.columns();
    const std::uint64_t rowBytes = columns / type.values * type.bytes;
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / columns);
    std::vector<float> part;
    for (std::uint64_t first = 0; first < rows; first += step) {
        const std::uint64_t count = std::min(step, rows - first);
        part.resize(count * columns);
        const bool whole = slot.rows == GgufRows::InOrder;
        for (std::uint64_t i = 0; i < (whole ? 1 : count); ++i) {
            const std::uint64_t row = slot.storedRow(first + i), taken = whole ? count : 1;
            if (auto fine =
                    tensor::dequantise(stored, bytes.subspan(row * rowBytes, taken * rowBytes),
                                       part.data() + i * columns, taken * columns);
                !fine)
                return fine;
        }
        restore(slot, part);
        if (auto given = sink(part.data(), part.size() * sizeof(float)); !given)
            return given;
    }
    return {};
}

/// Rows of two bytes a value, in the published order.
Result<void> GgufModel::readHalves(const Source& source, const PartSink& sink) const
{
    const auto& slot = m_slots[source.slot];
    const auto bytes = bytesOf(source);
    const std::uint64_t rows = slot.rowCount(), rowBytes = slot.columns() * 2;
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / slot.columns());
    std::vector<std::byte> part;
    for (std::uint64_t first = 0; first < rows; first += step) {
        const std::uint64_t count = std::min(step, rows - first);
        part.clear();
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto row = bytes.subspan(slot.storedRow(first + i) * rowBytes, rowBytes);
            part.insert(part.end(), row.begin(), row.end());
        }
        if (auto given = sink(part.data(), part.size()); !given)
            return given;
    }
    return {};
}

Result<void> GgufModel::readTransposed(const Source& source, const PartSink& sink) const
{
    const auto& slot = m_slots[source.slot];
    const std::uint64_t out = slot.rowCount(), in = slot.columns();
    std::vector<float> stored(out * in), part;
    if (auto fine = tensor::dequantise(m_file.tensor(slot.name)->type, bytesOf(source),
                                       stored.data(), stored.size());
        !fine)
        return fine;
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / out);
    for (std::uint64_t first = 0; first < in; first += step) {
        const std::uint64_t count = std::min(step, in - first);
        part.resize(count * out);
        for (std::uint64_t i = 0; i < count; ++i) {
            for (std::uint64_t j = 0; j < out; ++j)
                part[i * out + j] = stored[j * in + first + i];
        }
        if (auto given = sink(part.data(), part.size() * sizeof(float)); !given)
            return given;
    }
    return {};
}

/// Zeros for the rows that the file leaves out.
Result<void> GgufModel::fillSkipped(const Source& source, const PartSink& sink) const
{
    const auto& slot = m_slots[source.slot];
    const std::vector<std::byte> zeros(slot.columns() *
                                       (keptType(source) == DType::F32 ? sizeof(float) : 2));
    for (std::uint64_t row = 0; row < slot.skipped; ++row) {
        if (auto given = sink(zeros.data(), zeros.size()); !given)
            return given;
    }
    return {};
}

Result<void> GgufModel::read(const TensorPlan& weight, const PartSink& sink) const
{
    const Source& source = m_sources.at(weight.name);
    if (auto filled = fillSkipped(source, sink); !filled)
        return at(filled.error(), weight.name);
    const auto given = keptType(source) != DType::F32 ? readHalves(source, sink)
                       : m_slots[source.slot].rows == GgufRows::Transposed
                           ? readTransposed(source, sink)
                           : readRows(source, sink);
    return given ? given : Result<void>(at(given.error(), weight.name));
}

} // namespace fettle::model

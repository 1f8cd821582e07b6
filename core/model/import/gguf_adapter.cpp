#include "model/import/gguf_adapter.h"

#include "model/import/gguf_slots.h"
#include "model/import/weight_writer.h"
#include "tensor/files/gguf_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <set>

namespace fettle::model {

namespace fs = std::filesystem;
using tensor::GgmlType;

namespace {

constexpr const char* kAlpha = "adapter.lora.alpha";

Error cannotSay(const std::string& what)
{
    return {ErrorCode::Unsupported, "GGUF add-ons cannot express " + what, "",
            "Write the add-on in PEFT form, or the whole model as GGUF"};
}

std::string moduleOf(const std::string& weight) { return weight.substr(0, weight.rfind('.')); }

std::int64_t rankOf(const AdapterUpdate& update) { return update.a.shape.front(); }

/// A tensor of the file with its values.
struct Planned
{
    tensor::GgufTensorPlan plan;
    std::vector<float> values;
};

class AdapterWriter
{
public:
    AdapterWriter(const Adapter& adapter, const ModelFiles& base)
        : m_adapter(adapter)
        , m_config(base.config())
    {
    }

    Result<std::string> run(const std::string& baseName, const fs::path& target)
    {
        std::vector<std::string> notes;
        const auto family = ggufFamilyFor(m_config, notes);
        if (!family)
            return family.error();
        if (auto fine = check(); !fine)
            return fine.error();
        m_alpha = commonAlpha();
        for (const auto& slot : ggufSlots(m_config, **family)) {
            if (auto added = add(slot); !added)
                return added.error();
        }
        for (const auto& [module, update] : m_adapter.updates) {
            if (!m_used.contains(module))
                return cannotSay("an update of " + module);
        }
        tensor::GgufKeys keys;
        keys.text("general.architecture", std::string((*family)->architecture));
        keys.text("general.type", "adapter");
        keys.text("general.name", target.stem().string());
        keys.u32("general.base_model.count", 1);
        keys.text("general.base_model.0.name", baseName);
        keys.text("adapter.type", "lora");
        keys.f32(kAlpha, m_alpha);
        return write(std::move(keys), target);
    }

private:
    Result<void> check() const
    {
        if (!m_adapter.whole.empty())
            return cannotSay("weights that replace those of the base");
        for (const auto& [module, update] : m_adapter.updates) {
            if (update.embedding)
                return cannotSay("updates of the embedding table");
            if (!update.magnitude.shape.empty() || !update.bias.shape.empty())
                return cannotSay("DoRA and biases (" + module + ")");
        }
        return {};
    }

    /// Readers multiply by alpha / rank, and by 1 where alpha is 0; one alpha serves all tensors.
    double commonAlpha() const
    {
        double alpha = 0;
        for (const auto& [module, update] : m_adapter.updates) {
            const double own = update.scale * static_cast<double>(rankOf(update));
            if (alpha != 0 && std::abs(own / alpha - 1) > 1e-12)
                return 0; // then the scales go into the values
            alpha = own;
        }
        return alpha;
    }

    /// The updates that belong to a tensor of the base: one, or one for each expert.
    Result<void> add(const GgufSlot& slot)
    {
        std::vector<const AdapterUpdate*> updates;
        for (const auto& weight : slot.published) {
            const auto found = m_adapter.updates.find(moduleOf(weight));
            if (found != m_adapter.updates.end() && weight.ends_with(".weight"))
                updates.push_back(&found->second);
        }
        if (updates.empty())
            return {};
        const auto sameRank = [&](const auto* each) {
            return rankOf(*each) == rankOf(*updates[0]);
        };
        if (updates.size() != slot.published.size() || !std::ranges::all_of(updates, sameRank))
            return cannotSay("updates of only some experts, or of different ranks");
        for (const auto& weight : slot.published)
            m_used.insert(moduleOf(weight));
        const auto rank = rankOf(*updates[0]);
        const auto rows = static_cast<std::int64_t>(slot.rowCount());
        std::vector<std::int64_t> ofA{rank, slot.shape.back()}, ofB{rows, rank};
        if (slot.shape.size() > 2) {
            ofA.insert(ofA.begin(), slot.shape.front());
            ofB.insert(ofB.begin(), slot.shape.front());
        }
        Planned a{{slot.name + ".lora_a", GgmlType::F32, ofA}, {}};
        Planned b{{slot.name + ".lora_b", GgmlType::F32, ofB}, {}};
        for (const auto* update : updates) {
            a.values.insert(a.values.end(), update->a.values.begin(), update->a.values.end());
            addRows(slot, *update, b.values);
        }
        m_tensors.push_back(std::move(a));
        m_tensors.push_back(std::move(b));
        return {};
    }

    /// Outputs lie as the rows of the base's tensor do.
    void addRows(const GgufSlot& slot, const AdapterUpdate& update, std::vector<float>& out) const
    {
        const auto rank = static_cast<std::size_t>(rankOf(update));
        const float factor = slot.factor * (m_alpha == 0 ? static_cast<float>(update.scale) : 1);
        for (std::size_t row = 0; row < slot.rowCount(); ++row) {
            const float* from = update.b.values.data() + slot.publishedRow(row) * rank;
            for (std::size_t i = 0; i < rank; ++i)
                out.push_back(from[i] * factor);
        }
    }

    Result<std::string> write(tensor::GgufKeys keys, const fs::path& target) const
    {
        std::vector<tensor::GgufTensorPlan> plan;
        for (const auto& each : m_tensors)
            plan.push_back(each.plan);
        tensor::GgufWriter writer(target, std::move(keys), std::move(plan));
        if (auto opened = writer.open(); !opened)
            return opened.error();
        if (auto room = checkRoom(target, writer.fileSize()); !room)
            return room.error();
        for (const auto& each : m_tensors) {
            const auto bytes = each.values.size() * sizeof(float);
            if (auto given = writer.write(each.values.data(), bytes); !given)
                return given.error();
        }
        return writer.commit();
    }

    const Adapter& m_adapter;
    const ModelConfig& m_config;
    double m_alpha = 0;
    std::vector<Planned> m_tensors;
    std::set<std::string> m_used;
};

Error notThisBase(const std::string& what, const fs::path& file)
{
    return {ErrorCode::InvalidInput, what, file.filename().string(),
            "Choose an add-on that was made for this model"};
}

/// One of the two matrices of a slot, checked against the shape that it must have; nullptr when the
/// file has none.
Result<const float*> matrixOf(const tensor::GgufFile& file, const std::string& name,
                              std::uint64_t values)
{
    const auto* found = file.tensor(name);
    if (!found)
        return nullptr;
    if (found->type != static_cast<std::uint32_t>(GgmlType::F32))
        return Error{ErrorCode::Unsupported, "the tensor " + name + " is not in F32",
                     file.path().filename().string(), "Write the add-on in F32"};
    if (found->values() != values)
        return notThisBase("the tensor " + name + " does not fit the model", file.path());
    return reinterpret_cast<const float*>(found->bytes.data());
}

} // namespace

Result<std::string> exportGgufAdapter(const Adapter& adapter, const ModelFiles& base,
                                      const std::string& baseName, const fs::path& target)
{
    return AdapterWriter(adapter, base).run(baseName, target);
}

Result<std::map<std::string, AdapterUpdate>> readGgufAdapter(const fs::path& path,
                                                             const ModelConfig& config)
{
    std::vector<std::string> notes;
    const auto family = ggufFamilyFor(config, notes);
    if (!family)
        return family.error();
    const auto file = tensor::GgufFile::open(path);
    if (!file)
        return file.error();
    if (file->text("general.type") != "adapter" || file->text("adapter.type") != "lora" ||
        file->text("general.architecture") != std::string((*family)->architecture))
        return notThisBase("the file is no LoRA of this kind of model", path);
    const double alpha = file->real(kAlpha).value_or(0);
    std::map<std::string, AdapterUpdate> updates;
    std::size_t read = 0;
    for (const auto& slot : ggufSlots(config, **family)) {
        const auto* first = file->tensor(slot.name + ".lora_a");
        if (!first || first->dims.size() < 2)
            continue;
        const auto rank = static_cast<std::uint64_t>(first->dims[1]);
        const auto count = slot.published.size(), rows = slot.rowCount();
        const auto columns = static_cast<std::uint64_t>(slot.shape.back());
        const auto a = matrixOf(*file, slot.name + ".lora_a", count * rank * columns);
        const auto b = matrixOf(*file, slot.name + ".lora_b", count * rank * rows);
        if (!a || !b)
            return !a ? a.error() : b.error();
        if (!*b)
            return notThisBase("the tensor " + slot.name + ".lora_b is missing", path);
        read += 2;
        for (std::size_t e = 0; e < count; ++e) {
            auto& update = updates[moduleOf(slot.published[e])];
            update.scale = alpha != 0 ? alpha / static_cast<double>(rank) : 1;
            const auto signedRank = static_cast<std::int64_t>(rank);
            update.a = {{signedRank, slot.shape.back()}, {}};
            update.a.values.assign(*a + e * rank * columns, *a + (e + 1) * rank * columns);
            update.b = {{static_cast<std::int64_t>(rows), signedRank}, {}};
            update.b.values.resize(rows * rank);
            for (std::uint64_t row = 0; row < rows; ++row) {
                const auto* from = *b + (e * rows + slot.storedRow(row)) * rank;
                for (std::uint64_t i = 0; i < rank; ++i)
                    update.b.values[row * rank + i] = from[i] / slot.factor;
            }
        }
    }
    if (read != file->tensors().size())
        return notThisBase("the file holds tensors that this model has not", path);
    return updates;
}

} // namespace fettle::model

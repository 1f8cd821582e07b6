#include "model/import/gguf_export.h"

#include "model/import/gguf_config.h"
#include "model/import/gguf_metadata.h"
#include "model/import/hf_folder.h"
#include "model/import/meter.h"
#include "tensor/files/convert.h"
#include "tensor/files/ggml_quantise.h"

#include <algorithm>
#include <fmt/format.h>
#include <new>

namespace fettle::model {

namespace fs = std::filesystem;
using tensor::GgmlType;

namespace {

constexpr std::uint64_t kPartValues = 1u << 20;

std::string_view nameOf(GgmlType type)
{
    return tensor::ggmlTypeInfo(static_cast<std::uint32_t>(type))->name;
}

/// Everything about a file before its weights.
struct Prepared
{
    ModelFiles files;
    tensor::GgufKeys keys;
    std::vector<GgufSlot> slots;
    std::vector<GgufComputed> computed;
    std::vector<tensor::GgufTensorPlan> plan; ///< the computed ones first
    GgufExport result;                        ///< with types and notes
};

void planTensors(GgufKind kind, Prepared& made)
{
    for (const auto& tensor : made.computed)
        made.plan.push_back(
            {tensor.name, GgmlType::F32, {static_cast<std::int64_t>(tensor.values.size())}});
    const auto types = ggufTypes(kind, made.slots, made.files.config());
    std::int64_t otherwise = 0;
    for (std::size_t i = 0; i < types.size(); ++i) {
        made.plan.push_back({made.slots[i].name, types[i], made.slots[i].shape});
        ++made.result.types[std::string(nameOf(types[i]))];
        const auto block =
            tensor::ggmlTypeInfo(static_cast<std::uint32_t>(infoOf(kind).type))->values;
        if (made.slots[i].shape.size() > 1 &&
            static_cast<std::uint64_t>(made.slots[i].shape.back()) % block != 0)
            ++otherwise;
    }
    if (otherwise > 0)
        made.result.notes.push_back(
            fmt::format("{} of {} tensors have rows that do not fill the blocks of {} and were "
                        "written in a larger type",
                        otherwise, types.size(), nameOf(infoOf(kind).type)));
}

Result<Prepared> prepare(const fs::path& folder, GgufKind kind)
{
    auto files = ModelFiles::open(folder);
    if (!files)
        return files.error();
    Prepared made{std::move(*files)};
    const auto& config = made.files.config();
    const auto family = ggufFamilyFor(config, made.result.notes);
    if (!family)
        return at(family.error(), folder.string());
    auto tokenizer = text::ggufTokenizerFrom(folder, config.vocab, config.eosIds);
    if (!tokenizer)
        return at(tokenizer.error(), folder.string());
    if (config.encoder.firstPosition > 0) // tells readers where the table of positions begins
        tokenizer->padId = config.encoder.firstPosition - 1;
    for (auto& note : tokenizer->notes)
        made.result.notes.push_back(std::move(note));
    metadataToGguf(folder, config, (*family)->architecture, *tokenizer, kind, made.keys);
    made.computed = configToGguf(config, **family, made.keys);
    tokenizerToGguf(*tokenizer, made.keys);
    made.slots = ggufSlots(config, **family);
    planTensors(kind, made);
    return made;
}

/// Turns values into the types of the file.
class Output
{
public:
    Output(tensor::GgufWriter& writer, const ImportProgress& progress, std::stop_token stop)
        : m_writer(writer)
        , m_meter(progress, std::move(stop), writer.fileSize())
    {
    }

    /// The next values of the tensor that is being written.
    Result<void> values(GgmlType type, const std::vector<float>& values)
    {
        m_bytes.resize(tensor::storedBytes(type, values.size()));
        if (auto fine = tensor::quantise(type, values.data(), values.size(), m_bytes.data()); !fine)
            return fine;
        if (auto counted = m_meter.add(m_bytes.size()); !counted)
            return counted;
        return m_writer.write(m_bytes.data(), m_bytes.size());
    }

private:
    tensor::GgufWriter& m_writer;
    Meter m_meter;
    std::vector<std::byte> m_bytes;
};

void adjust(const GgufSlot& slot, std::vector<float>& values)
{
    if (slot.added == 0 && slot.factor == 1)
        return;
    for (float& value : values)
        value = (value + slot.added) * slot.factor;
}

/// Rows as they are stored, gathered from the published ones.
Result<void> writeRows(const GgufSlot& slot, const tensor::TensorInfo& source, GgmlType type,
                       Output& out)
{
    const std::uint64_t rows = slot.rowCount(), columns = slot.columns();
    const std::uint64_t rowBytes = source.bytes.size() / (slot.skipped + rows);
    const auto stored = source.bytes.subspan(slot.skipped * rowBytes);
    const bool inOrder = slot.rows == GgufRows::InOrder;
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / columns);
    std::vector<float> part;
    for (std::uint64_t first = 0; first < rows; first += step) {
        const std::uint64_t count = std::min(step, rows - first);
        part.resize(count * columns);
        for (std::uint64_t i = 0; i < (inOrder ? 1 : count); ++i) {
            const std::uint64_t taken = inOrder ? count : 1;
            tensor::toFloats(
                source.dtype,
                stored.subspan(slot.publishedRow(first + i) * rowBytes, taken * rowBytes),
                part.data() + i * columns);
        }
        adjust(slot, part);
        if (auto given = out.values(type, part); !given)
            return given;
    }
    return {};
}

Result<void> writeTransposed(const GgufSlot& slot, const tensor::TensorInfo& source, GgmlType type,
                             Output& out)
{
    const std::uint64_t rows = slot.rowCount(), columns = slot.columns();
    std::vector<float> published(rows * columns), part;
    tensor::toFloats(source.dtype, source.bytes, published.data());
    const std::uint64_t step = std::max<std::uint64_t>(1, kPartValues / columns);
    for (std::uint64_t first = 0; first < rows; first += step) {
        const std::uint64_t count = std::min(step, rows - first);
        part.resize(count * columns);
        for (std::uint64_t i = 0; i < count; ++i) {
            for (std::uint64_t j = 0; j < columns; ++j)
                part[i * columns + j] = published[j * rows + first + i];
        }
        if (auto given = out.values(type, part); !given)
            return given;
    }
    return {};
}

Result<void> writeTensors(const Prepared& made, Output& out)
{
    for (const auto& tensor : made.computed) {
        if (auto given = out.values(GgmlType::F32, tensor.values); !given)
            return given;
    }
    for (std::size_t i = 0; i < made.slots.size(); ++i) {
        const auto& slot = made.slots[i];
        const GgmlType type = made.plan[made.computed.size() + i].type;
        for (const auto& name : slot.published) {
            const auto& source = *made.files.find(name); // ModelFiles has seen it
            const auto given = slot.rows == GgufRows::Transposed
                                   ? writeTransposed(slot, source, type, out)
                                   : writeRows(slot, source, type, out);
            if (!given)
                return at(given.error(), name);
        }
    }
    return {};
}

Result<GgufExport> written(Prepared made, const fs::path& target, const ImportProgress& progress,
                           std::stop_token stop)
{
    tensor::GgufWriter writer(target, std::move(made.keys), made.plan);
    if (auto opened = writer.open(); !opened)
        return opened.error();
    if (auto room = checkRoom(target, writer.fileSize()); !room)
        return room.error();
    Output out(writer, progress, std::move(stop));
    if (auto given = writeTensors(made, out); !given)
        return given.error();
    auto digest = writer.commit();
    if (!digest)
        return digest.error();
    made.result.bytes = writer.fileSize();
    made.result.sha256 = *std::move(digest);
    return std::move(made.result);
}

} // namespace

Result<GgufExport> exportGguf(const fs::path& folder, const fs::path& target, GgufKind kind,
                              const ImportProgress& progress, std::stop_token stop)
{
    std::error_code ec;
    if (fs::exists(target, ec))
        return Error{ErrorCode::InvalidInput, "there is something at this place already",
                     target.string(), "Choose a new file name"};
    try {
        auto made = prepare(folder, kind);
        if (!made)
            return made.error();
        return written(*std::move(made), target, progress, std::move(stop));
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::OutOfMemory, "there is not enough memory to write the model",
                     target.string(), "Close other programs and try again"};
    }
}

} // namespace fettle::model

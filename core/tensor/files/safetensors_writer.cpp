#include "base/checked.h"
#include "base/json.h"
#include "tensor/files/safetensors.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::tensor {

namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;

Error refused(const std::filesystem::path& path, std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), path.string(), ""};
}

/// The same form as the reference library: keys in a fixed order, no spaces, padded to 8 bytes.
std::string headerText(const std::vector<TensorPlan>& plan, const FileMetadata& metadata)
{
    std::string text = "{";
    if (!metadata.empty())
        text += "\"__metadata__\":" + Json(metadata).dump();
    std::uint64_t at = 0;
    for (const auto& tensor : plan) {
        const std::uint64_t end = at + *byteCount(tensor.dtype, tensor.shape);
        if (text.size() > 1)
            text += ',';
        text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                            Json(tensor.name).dump(), nameOf(tensor.dtype),
                            Json(tensor.shape).dump(), at, end);
        at = end;
    }
    text += '}';
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
}

} // namespace

FileMetadata defaultMetadata() { return {{"format", "pt"}}; }

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorPlan> plan,
                                     FileMetadata metadata)
    : m_path(path)
    , m_plan(std::move(plan))
    , m_metadata(std::move(metadata))
    , m_file(std::move(path))
{
    std::sort(m_plan.begin(), m_plan.end(), [](const TensorPlan& a, const TensorPlan& b) {
        return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
    });
}

Result<void> SafetensorsWriter::open()
{
    Checked total = 8;
    for (std::size_t i = 0; i < m_plan.size(); ++i) {
        const auto& tensor = m_plan[i];
        const auto size = byteCount(tensor.dtype, tensor.shape);
        if (!size)
            return refused(m_path, fmt::format("tensor '{}' has the impossible shape {}",
                                               tensor.name, shapeText(tensor.shape)));
        total += Checked(*size);
        if (tensor.name == "__metadata__")
            return refused(m_path, "a tensor must not be called '__metadata__'");
    }
    std::vector<std::string_view> names;
    for (const auto& tensor : m_plan)
        names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
        return refused(m_path, fmt::format("the tensor '{}' is there twice", *twice));
    const std::string header = headerText(m_plan, m_metadata);
    if (header.size() > kMaxHeader || !total.ok())
        return refused(m_path, "there are more tensors than one file can describe");
    m_fileSize = total.value() + header.size();
    if (auto opened = m_file.open(); !opened)
        return opened;
    const std::uint64_t size = header.size();
    if (auto written = m_file.write(&size, sizeof size); !written)
        return written;
    if (!m_plan.empty())
        m_left = *byteCount(m_plan[0].dtype, m_plan[0].shape);
    skipFinished();
    return m_file.write(header);
}

/// Moves on to the next tensor that has bytes, once the present one has all of its own.
void SafetensorsWriter::skipFinished()
{
    while (m_left == 0 && m_next < m_plan.size()) {
        if (++m_next < m_plan.size())
            m_left = *byteCount(m_plan[m_next].dtype, m_plan[m_next].shape);
    }
}

Result<void> SafetensorsWriter::write(const void* data, std::uint64_t size)
{
    if (size > m_left)
        return Error{ErrorCode::Internal,
                     fmt::format("{} bytes were given for tensor {}, which takes {} more", size,
                                 m_next + 1, m_left),
                     m_path.string(), ""};
    m_left -= size;
    skipFinished();
    return m_file.write(data, size);
}

Result<void> SafetensorsWriter::commit()
{
    if (m_next != m_plan.size())
        return Error{ErrorCode::Internal,
                     fmt::format("{} of {} tensors were written", m_next, m_plan.size()),
                     m_path.string(), ""};
    return m_file.commit();
}

Result<void> writeSafetensors(const std::filesystem::path& path,
                              const std::vector<TensorToWrite>& tensors,
                              const FileMetadata& metadata)
{
    std::vector<TensorPlan> plan;
    std::unordered_map<std::string, const TensorToWrite*> byName;
    for (const auto& tensor : tensors) {
        plan.push_back(tensor.plan);
        byName.emplace(tensor.plan.name, &tensor);
    }
    SafetensorsWriter writer(path, std::move(plan), metadata);
    if (auto opened = writer.open(); !opened)
        return opened;
    for (const auto& item : writer.order()) {
        const auto* tensor = byName.at(item.name);
        if (tensor->size != *byteCount(item.dtype, item.shape))
            return Error{ErrorCode::Internal,
                         fmt::format("tensor '{}' was given with {} bytes, its shape {} needs {}",
                                     item.name, tensor->size, shapeText(item.shape),
                                     *byteCount(item.dtype, item.shape)),
                         path.string(), ""};
        if (auto written = writer.write(tensor->data, tensor->size); !written)
            return written;
    }
    return writer.commit();
}

} // namespace fettle::tensor

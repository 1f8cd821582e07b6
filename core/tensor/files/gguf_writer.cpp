#include "tensor/files/gguf_writer.h"

#include "base/checked.h"
#include "base/text.h"
#include "tensor/files/dtype.h"

#include <fmt/format.h>
#include <unordered_set>

namespace fettle::tensor {

namespace {

// What the reference reader takes; GgufFile checks the same.
constexpr std::size_t kMaxKey = 65'535, kMaxName = 63, kMaxDims = 4, kMaxText = 1u << 30;
constexpr std::uint64_t kAlignment = 32;

Error refused(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "GGUF",
            "This model cannot be written as GGUF"};
}

std::uint64_t padding(std::uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

/// Bytes of a tensor, after every check that the reader will make.
Result<std::uint64_t> sizeOf(const GgufTensorPlan& tensor)
{
    if (tensor.name.empty() || tensor.name.size() > kMaxName || !isValidUtf8(tensor.name))
        return refused(fmt::format("the tensor name '{}' has no length from 1 to {} bytes",
                                   quotable(tensor.name, 80), kMaxName));
    const auto* type = ggmlTypeInfo(static_cast<std::uint32_t>(tensor.type));
    const auto impossible = [&] {
        return refused(fmt::format("the tensor '{}' has the shape {}, which {} cannot hold",
                                   tensor.name, shapeText(tensor.shape),
                                   type ? type->name : std::string_view("this type")));
    };
    if (!type || tensor.shape.empty() || tensor.shape.size() > kMaxDims)
        return impossible();
    Checked count = 1;
    for (const auto size : tensor.shape) {
        if (size < 1)
            return impossible();
        count *= Checked(static_cast<std::uint64_t>(size));
    }
    if (!count.ok() || static_cast<std::uint64_t>(tensor.shape.back()) % type->values != 0)
        return impossible();
    const Checked size = Checked(count.value() / type->values) * type->bytes;
    if (!size.within(std::uint64_t{1} << 62))
        return impossible();
    return size.value();
}

} // namespace

template<class T> void GgufKeys::put(T value)
{
    m_bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void GgufKeys::putText(const std::string& value)
{
    if (value.size() > kMaxText && m_problem.empty())
        m_problem = "a text is longer than a GiB";
    put<std::uint64_t>(value.size());
    m_bytes += value;
}

void GgufKeys::begin(const std::string& key, GgufType type)
{
    if (m_problem.empty() && (key.empty() || key.size() > kMaxKey || !m_names.insert(key).second))
        m_problem =
            fmt::format("the key '{}' is empty, too long, or given twice", quotable(key, 80));
    putText(key);
    put(static_cast<std::uint32_t>(type));
    ++m_count;
}

void GgufKeys::beginList(const std::string& key, GgufType element, std::uint64_t count)
{
    begin(key, GgufType::Array);
    put(static_cast<std::uint32_t>(element));
    put(count);
}

void GgufKeys::text(const std::string& key, const std::string& value)
{
    begin(key, GgufType::Text);
    putText(value);
}

void GgufKeys::u32(const std::string& key, std::uint64_t value)
{
    if (value > std::numeric_limits<std::uint32_t>::max() && m_problem.empty())
        m_problem = fmt::format("the value {} of '{}' needs more than 32 bits", value, key);
    begin(key, GgufType::U32);
    put(static_cast<std::uint32_t>(value));
}

void GgufKeys::f32(const std::string& key, double value)
{
    begin(key, GgufType::F32);
    put(static_cast<float>(value));
}

void GgufKeys::flag(const std::string& key, bool value)
{
    begin(key, GgufType::Bool);
    put<std::uint8_t>(value ? 1 : 0);
}

void GgufKeys::texts(const std::string& key, const std::vector<std::string>& values)
{
    beginList(key, GgufType::Text, values.size());
    for (const auto& value : values)
        putText(value);
}

void GgufKeys::i32s(const std::string& key, const std::vector<std::int32_t>& values)
{
    beginList(key, GgufType::I32, values.size());
    for (const auto value : values)
        put(value);
}

void GgufKeys::f32s(const std::string& key, const std::vector<float>& values)
{
    beginList(key, GgufType::F32, values.size());
    for (const auto value : values)
        put(value);
}

void GgufKeys::flags(const std::string& key, const std::vector<bool>& values)
{
    beginList(key, GgufType::Bool, values.size());
    for (const bool value : values)
        put<std::uint8_t>(value ? 1 : 0);
}

void GgufKeys::bytes(const std::string& key, const std::string& values)
{
    beginList(key, GgufType::U8, values.size());
    m_bytes += values;
}

GgufWriter::GgufWriter(std::filesystem::path path, GgufKeys keys, std::vector<GgufTensorPlan> plan)
    : m_path(std::move(path))
    , m_keys(std::move(keys))
    , m_plan(std::move(plan))
    , m_file(m_path)
{
}

Result<std::string> GgufWriter::tables()
{
    if (!m_keys.m_problem.empty())
        return refused(m_keys.m_problem);
    std::string out = "GGUF";
    const auto put = [&](auto value) {
        out.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    put(std::uint32_t{3});
    put(static_cast<std::uint64_t>(m_plan.size()));
    put(m_keys.m_count);
    out += m_keys.m_bytes;
    std::unordered_set<std::string_view> names;
    Checked offset = 0;
    for (const auto& tensor : m_plan) {
        const auto size = sizeOf(tensor);
        if (!size)
            return size.error();
        if (!names.insert(tensor.name).second)
            return refused(fmt::format("the tensor '{}' is given twice", tensor.name));
        put(static_cast<std::uint64_t>(tensor.name.size()));
        out += tensor.name;
        put(static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim)
            put(static_cast<std::uint64_t>(*dim));
        put(static_cast<std::uint32_t>(tensor.type));
        put(offset.value());
        m_sizes.push_back(*size);
        offset += Checked(*size) + Checked(padding(*size));
    }
    out.append(padding(out.size()), '\0');
    const Checked whole = offset + Checked(out.size());
    if (!whole.within(std::uint64_t{1} << 62))
        return refused("the tensors together are impossibly large");
    m_fileSize = whole.value();
    return out;
}

Result<void> GgufWriter::open()
{
    const auto front = tables();
    if (!front)
        return front.error();
    if (auto opened = m_file.open(); !opened)
        return opened;
    m_left = m_sizes.empty() ? 0 : m_sizes.front();
    return give(front->data(), front->size());
}

Result<void> GgufWriter::give(const void* data, std::uint64_t size)
{
    m_digest.update(data, size);
    return m_file.write(data, size);
}

Result<void> GgufWriter::write(const void* data, std::uint64_t size)
{
    if (m_next >= m_plan.size() || size > m_left)
        return Error{ErrorCode::Internal, "more data was given than the tensors have",
                     m_path.filename().string(), ""};
    if (auto given = give(data, size); !given)
        return given;
    m_left -= size;
    if (m_left > 0)
        return {};
    constexpr char kZeros[kAlignment] = {};
    const std::uint64_t pad = padding(m_sizes[m_next++]);
    if (m_next < m_plan.size())
        m_left = m_sizes[m_next];
    return give(kZeros, pad);
}

Result<std::string> GgufWriter::commit()
{
    if (m_next != m_plan.size())
        return Error{ErrorCode::Internal,
                     fmt::format("the tensor '{}' was not given to its end", m_plan[m_next].name),
                     m_path.filename().string(), ""};
    if (auto committed = m_file.commit(); !committed)
        return committed.error();
    return m_digest.finish();
}

} // namespace fettle::tensor

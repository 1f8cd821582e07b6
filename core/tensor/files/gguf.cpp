#include "tensor/files/gguf.h"

#include "base/checked.h"

#include <algorithm>

namespace fettle::tensor {

namespace {

std::optional<std::int64_t> readInteger(GgufType type, ByteReader& reader)
{
    switch (type) {
    case GgufType::U8:
        return reader.read<std::uint8_t>();
    case GgufType::I8:
        return reader.read<std::int8_t>();
    case GgufType::U16:
        return reader.read<std::uint16_t>();
    case GgufType::I16:
        return reader.read<std::int16_t>();
    case GgufType::U32:
        return reader.read<std::uint32_t>();
    case GgufType::I32:
        return reader.read<std::int32_t>();
    case GgufType::I64:
        return reader.read<std::int64_t>();
    case GgufType::U64: {
        const auto value = reader.read<std::uint64_t>();
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return std::nullopt;
        return static_cast<std::int64_t>(value);
    }
    default:
        return std::nullopt;
    }
}

std::optional<double> readReal(GgufType type, ByteReader& reader)
{
    if (type == GgufType::F32)
        return reader.read<float>();
    if (type == GgufType::F64)
        return reader.read<double>();
    return std::nullopt;
}

} // namespace

std::uint64_t fixedSize(GgufType type)
{
    switch (type) {
    case GgufType::U8:
    case GgufType::I8:
    case GgufType::Bool:
        return 1;
    case GgufType::U16:
    case GgufType::I16:
        return 2;
    case GgufType::U32:
    case GgufType::I32:
    case GgufType::F32:
        return 4;
    case GgufType::U64:
    case GgufType::I64:
    case GgufType::F64:
        return 8;
    default:
        return 0;
    }
}

std::uint64_t GgufTensor::values() const
{
    std::uint64_t product = 1;
    for (const auto size : dims)
        product *= static_cast<std::uint64_t>(size);
    return product;
}

std::vector<std::int64_t> GgufTensor::shape() const { return {dims.rbegin(), dims.rend()}; }

Result<GgufFile> GgufFile::open(const std::filesystem::path& path)
{
    auto mapping = MappedFile::open(path);
    if (!mapping)
        return mapping.error();
    auto file = parse((*mapping)->bytes(), path.string());
    if (!file)
        return file;
    file->m_path = path;
    file->m_mapping = *mapping;
    return file;
}

const GgufValue* GgufFile::find(const std::string& key) const
{
    const auto at = m_values.find(key);
    return at == m_values.end() ? nullptr : &at->second;
}

std::optional<std::string> GgufFile::text(const std::string& key) const
{
    const auto* value = find(key);
    if (!value || value->type != GgufType::Text)
        return std::nullopt;
    return std::string(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<std::int64_t> GgufFile::integer(const std::string& key) const
{
    const auto* value = find(key);
    if (!value)
        return std::nullopt;
    ByteReader reader(value->bytes);
    return readInteger(value->type, reader);
}

std::optional<double> GgufFile::real(const std::string& key) const
{
    const auto* value = find(key);
    if (!value)
        return std::nullopt;
    ByteReader reader(value->bytes);
    return readReal(value->type, reader);
}

std::optional<bool> GgufFile::flag(const std::string& key) const
{
    const auto* value = find(key);
    if (!value || value->type != GgufType::Bool)
        return std::nullopt;
    return value->bytes[0] != std::byte{0};
}

std::optional<std::vector<std::string>> GgufFile::texts(const std::string& key) const
{
    const auto* value = find(key);
    if (!value || value->type != GgufType::Array || value->element != GgufType::Text)
        return std::nullopt;
    std::vector<std::string> items;
    items.reserve(value->count); // the parser has seen that many
    ByteReader reader(value->bytes);
    for (std::uint64_t i = 0; i < value->count; ++i)
        items.emplace_back(reader.text(reader.read<std::uint64_t>()));
    return items;
}

std::optional<std::vector<std::int64_t>> GgufFile::integers(const std::string& key) const
{
    const auto* value = find(key);
    if (!value || value->type != GgufType::Array)
        return std::nullopt;
    std::vector<std::int64_t> items;
    ByteReader reader(value->bytes);
    for (std::uint64_t i = 0; i < value->count; ++i) {
        const auto item = readInteger(value->element, reader);
        if (!item)
            return std::nullopt;
        items.push_back(*item);
    }
    return items;
}

std::optional<std::vector<float>> GgufFile::reals(const std::string& key) const
{
    const auto* value = find(key);
    if (!value || value->type != GgufType::Array)
        return std::nullopt;
    std::vector<float> items;
    ByteReader reader(value->bytes);
    for (std::uint64_t i = 0; i < value->count; ++i) {
        const auto item = readReal(value->element, reader);
        if (!item)
            return std::nullopt;
        items.push_back(static_cast<float>(*item));
    }
    return items;
}

const GgufTensor* GgufFile::tensor(const std::string& name) const
{
    const auto at = m_index.find(name);
    return at == m_index.end() ? nullptr : &m_tensors[at->second];
}

} // namespace fettle::tensor

#include "tensor/files/safetensors.h"

#include "base/checked.h"
#include "base/text.h"
#include "tensor/files/safetensors_header.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::tensor {

namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000; // the format's own limit

Error invalid(const std::string& where, std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), where,
            "Fetch the file again from its source; it is damaged or incomplete"};
}

Result<std::uint64_t> headerSize(std::span<const std::byte> bytes, const std::string& where)
{
    if (bytes.size() < 8)
        return invalid(
            where,
            fmt::format("the file has {} bytes, a safetensors file has at least 8", bytes.size()));
    const auto size = ByteReader(bytes).read<std::uint64_t>();
    if (size > kMaxHeader)
        return invalid(where,
                       fmt::format("bytes 0 to 7 promise a header of {} bytes, at most {} are "
                                   "allowed; this is not a safetensors file",
                                   size, kMaxHeader));
    if (size > bytes.size() - 8)
        return invalid(where,
                       fmt::format("bytes 0 to 7 promise a header of {} bytes, the file has {} "
                                   "bytes behind them",
                                   size, bytes.size() - 8));
    return size;
}

/// The entry agrees with its own shape and begins exactly at `expected`.
Result<void> checkEntry(const HeaderEntry& entry, std::uint64_t expected, std::uint64_t dataStart,
                        std::uint64_t dataSize, const std::string& where)
{
    if (!isLoadable(entry.dtype))
        return Error{
            ErrorCode::Unsupported,
            fmt::format("tensor '{}' has the element type {}, which this program does not read",
                        quotable(entry.name), nameOf(entry.dtype)),
            where, "Choose a version of the model in F32, F16 or BF16"};
    if (entry.begin > entry.end || entry.begin != expected)
        return invalid(
            where,
            fmt::format("tensor '{}' begins at byte {}, expected is byte {}: tensors must "
                        "follow one another without gap or overlap",
                        quotable(entry.name), dataStart + entry.begin, dataStart + expected));
    const auto size = byteCount(entry.dtype, entry.shape);
    if (!size)
        return invalid(where, fmt::format("tensor '{}' has the impossible shape {}",
                                          quotable(entry.name), shapeText(entry.shape)));
    if (*size != entry.end - entry.begin)
        return invalid(where,
                       fmt::format("tensor '{}' of shape {} in {} needs {} bytes, the header gives "
                                   "it {}",
                                   quotable(entry.name), shapeText(entry.shape),
                                   nameOf(entry.dtype), *size, entry.end - entry.begin));
    if (entry.end > dataSize)
        return invalid(where, fmt::format("tensor '{}' ends at byte {}, the file has {} bytes",
                                          quotable(entry.name), dataStart + entry.end,
                                          dataStart + dataSize));
    return {};
}

} // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path)
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

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes,
                                               const std::string& where)
{
    const auto size = headerSize(bytes, where);
    if (!size)
        return size.error();
    auto header = parseHeader({reinterpret_cast<const char*>(bytes.data()) + 8, *size}, where);
    if (!header)
        return header.error();
    std::sort(header->entries.begin(), header->entries.end(), [](const auto& a, const auto& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });

    SafetensorsFile file;
    file.m_metadata = std::move(header->metadata);
    const std::uint64_t dataStart = 8 + *size;
    const auto data = bytes.subspan(dataStart);
    std::uint64_t expected = 0;
    for (auto& entry : header->entries) {
        if (auto fine = checkEntry(entry, expected, dataStart, data.size(), where); !fine)
            return fine.error();
        expected = entry.end;
        file.m_index.emplace(entry.name, file.m_tensors.size());
        file.m_tensors.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                                  data.subspan(entry.begin, entry.end - entry.begin)});
    }
    if (expected != data.size())
        return invalid(where, fmt::format("the last tensor ends at byte {}, the file has {} bytes",
                                          dataStart + expected, bytes.size()));
    return file;
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const
{
    const auto at = m_index.find(name);
    return at == m_index.end() ? nullptr : &m_tensors[at->second];
}

} // namespace fettle::tensor

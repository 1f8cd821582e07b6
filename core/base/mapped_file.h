#pragma once

#include "base/result.h"

#include <filesystem>
#include <memory>
#include <span>

namespace fettle {

/// A whole file mapped read-only into memory; pages are shared between processes. Safe to keep
/// while files are replaced by rename, which is the only way this program replaces files.
class MappedFile
{
public:
    static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return m_bytes; }
    const std::filesystem::path& path() const { return m_path; }
    /// Gives the memory of the pages inside `part` back to the system, for bytes that are read once:
    /// reading them again reads the file again.
    void forget(std::span<const std::byte> part) const;

private:
    MappedFile(std::filesystem::path path, std::span<const std::byte> bytes)
        : m_path(std::move(path)), m_bytes(bytes)
    {
    }

    std::filesystem::path m_path;
    std::span<const std::byte> m_bytes;
};

} // namespace fettle

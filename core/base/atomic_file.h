#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace fettle {

/// A file that appears whole or not at all: written beside its target, synced, renamed, and the
/// folder synced. Without commit() the target is untouched and the temporary file is removed.
/// Errors: DiskFull with the bytes that were missing, Io.
class AtomicFile
{
public:
    explicit AtomicFile(std::filesystem::path target);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    Result<void> open();
    Result<void> write(const void* data, std::uint64_t size);
    Result<void> write(std::string_view text) { return write(text.data(), text.size()); }
    Result<void> commit();

private:
    Error failure(const char* action) const;

    std::filesystem::path m_target;
    std::filesystem::path m_temporary;
    std::uint64_t m_written = 0;
    int m_fd = -1;
};

/// Writes a whole file atomically.
Result<void> writeFileAtomically(const std::filesystem::path& path, std::string_view text);

/// Makes a finished folder visible under its final name: syncs it, renames it, syncs the parent.
/// Errors: Io when the target exists.
Result<void> publishFolder(const std::filesystem::path& from, const std::filesystem::path& to);

/// As publishFolder, but a folder of that name gives way: the two change places in one step, so that
/// one of them is there at any moment, and the old one is deleted once the change is on the disk.
Result<void> replaceFolder(const std::filesystem::path& from, const std::filesystem::path& to);

/// Puts the names in a folder on the disk: files and folders that were made, renamed or removed there.
Result<void> syncFolder(const std::filesystem::path& folder);

/// Free bytes of the file system that holds `path` (or its nearest existing parent).
std::uint64_t freeBytes(const std::filesystem::path& path);

} // namespace fettle

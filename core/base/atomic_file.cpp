#include "base/atomic_file.h"

#include "base/text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fettle {

namespace fs = std::filesystem;

namespace {

Error ioError(const fs::path& path, const char* action, std::uint64_t wanted)
{
    const int reason = errno;
    if (reason == ENOSPC || reason == EDQUOT)
        return {ErrorCode::DiskFull,
                wanted > 0 ? fmt::format("the disk is full: {} more are needed, {} are free",
                                         humanBytes(wanted), humanBytes(freeBytes(path)))
                           : fmt::format("the disk is full: {} are free", humanBytes(freeBytes(path))),
                path.string(), "Free some space and try again; nothing was changed"};
    return {ErrorCode::Io, fmt::format("{} failed ({})", action, std::strerror(reason)), path.string(),
            "Check the folder's permissions and the disk"};
}

} // namespace

Result<void> syncFolder(const fs::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ioError(folder, "opening the folder", 0);
    const int reason = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (reason == 0 || reason == EINVAL)
        return {};
    errno = reason;
    return ioError(folder, "syncing the folder", 0);
}

AtomicFile::AtomicFile(fs::path target) : m_target(std::move(target))
{
    m_temporary = m_target;
    m_temporary += fmt::format(".{}.tmp", ::getpid());
}

AtomicFile::~AtomicFile()
{
    if (m_fd >= 0) {
        ::close(m_fd);
        ::unlink(m_temporary.c_str());
    }
}

Error AtomicFile::failure(const char* action) const { return ioError(m_target, action, m_written); }

Result<void> AtomicFile::open()
{
    m_fd = ::open(m_temporary.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (m_fd < 0)
        return failure("creating the file");
    return {};
}

Result<void> AtomicFile::write(const void* data, std::uint64_t size)
{
    const char* at = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t done = ::write(m_fd, at, size);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            m_written = size;
            return failure("writing");
        }
        at += done;
        size -= static_cast<std::uint64_t>(done);
    }
    return {};
}

Result<void> AtomicFile::commit()
{
    if (::fsync(m_fd) != 0)
        return failure("syncing");
    if (::close(m_fd) != 0) {
        m_fd = -1;
        ::unlink(m_temporary.c_str());
        return failure("closing");
    }
    m_fd = -1;
    if (::rename(m_temporary.c_str(), m_target.c_str()) != 0) {
        const Error error = failure("renaming");
        ::unlink(m_temporary.c_str());
        return error;
    }
    return syncFolder(m_target.has_parent_path() ? m_target.parent_path() : fs::path("."));
}

Result<void> writeFileAtomically(const fs::path& path, std::string_view text)
{
    AtomicFile file(path);
    if (auto opened = file.open(); !opened)
        return opened;
    if (auto written = file.write(text); !written)
        return written;
    return file.commit();
}

Result<void> publishFolder(const fs::path& from, const fs::path& to)
{
    if (auto synced = syncFolder(from); !synced)
        return synced;
    std::error_code ec;
    if (fs::exists(to, ec))
        return Error{ErrorCode::Io, "the folder exists already", to.string(), "Choose another name"};
    if (::rename(from.c_str(), to.c_str()) != 0)
        return ioError(to, "renaming the folder", 0);
    return syncFolder(to.parent_path());
}

namespace {

/// Lets two folders change places. False where the file system cannot.
bool exchange(const fs::path& one, const fs::path& other)
{
    return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

} // namespace

Result<void> replaceFolder(const fs::path& from, const fs::path& to)
{
    std::error_code ec;
    if (!fs::exists(to, ec))
        return publishFolder(from, to);
    if (auto synced = syncFolder(from); !synced)
        return synced;
    fs::path old = from;
    if (!exchange(from, to)) {
        old = to;
        old += ".old";
        fs::remove_all(old, ec);
        if (::rename(to.c_str(), old.c_str()) != 0)
            return ioError(to, "renaming the folder", 0);
        if (::rename(from.c_str(), to.c_str()) != 0) {
            const auto error = ioError(to, "renaming the folder", 0);
            fs::rename(old, to, ec);
            return error;
        }
    }
    if (auto synced = syncFolder(to.parent_path()); !synced)
        return synced;
    fs::remove_all(old, ec);
    return {};
}

std::uint64_t freeBytes(const fs::path& path)
{
    std::error_code ec;
    fs::path at = fs::absolute(path, ec);
    while (!at.empty() && !fs::exists(at, ec) && at != at.root_path())
        at = at.parent_path();
    const auto space = fs::space(at, ec);
    return ec ? 0 : space.available;
}

} // namespace fettle

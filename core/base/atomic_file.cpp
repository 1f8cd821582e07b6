#include "base/atomic_file.h"

#include <cerrno>
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
                fmt::format("the disk is full: {} bytes more are needed, {} are free", wanted,
                            freeBytes(path)),
                path.string(), "Free some space and try again; nothing was changed"};
    return {ErrorCode::Io, fmt::format("{} failed ({})", action, std::strerror(reason)), path.string(),
            "Check the folder's permissions and the disk"};
}

Result<void> syncFolder(const fs::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ioError(folder, "opening the folder", 0);
    const int status = ::fsync(fd);
    ::close(fd);
    if (status != 0 && errno != EINVAL)
        return ioError(folder, "syncing the folder", 0);
    return {};
}

} // namespace

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

std::uint64_t freeBytes(const fs::path& path)
{
    std::error_code ec;
    fs::path at = fs::absolute(path, ec);
    while (!at.empty() && !fs::exists(at, ec) && at != at.root_path())
        at = at.parent_path();
    const auto space = fs::space(at, ec);
    return ec ? 0 : space.available;
}

Result<void> appendLine(const fs::path& path, std::string_view line)
{
    const int fd = ::open(path.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return ioError(path, "opening", line.size());
    std::string text(line);
    text += '\n';
    const ssize_t done = ::write(fd, text.data(), text.size());
    const Error error = ioError(path, "writing", text.size());
    ::close(fd);
    if (done != static_cast<ssize_t>(text.size()))
        return error;
    return {};
}

} // namespace fettle

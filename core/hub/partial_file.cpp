#include "hub/partial_file.h"

#include "base/atomic_file.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/text.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace fettle::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kReadPart = 1u << 20;

/// git hashes a file behind its kind and length.
std::string blobHead(std::uint64_t size) { return fmt::format("blob {}", size) + '\0'; }

/// "bytes 100-199/200" -> 100 and 200.
bool readRange(const std::string& text, std::uint64_t& first, std::optional<std::uint64_t>& total)
{
    unsigned long long from = 0, to = 0, all = 0;
    const int count = std::sscanf(text.c_str(), "bytes %llu-%llu/%llu", &from, &to, &all);
    if (count < 2)
        return false;
    first = from;
    if (count == 3)
        total = all;
    return true;
}

} // namespace

PartialFile::PartialFile(const fs::path& folder, HubFile expected)
    : m_target(folder / expected.name)
    , m_part(folder / (expected.name + ".part"))
    , m_etagFile(folder / (expected.name + ".part.etag"))
    , m_expected(std::move(expected))
{
}

PartialFile::~PartialFile()
{
    if (m_fd >= 0)
        ::close(m_fd);
}

Error PartialFile::wrong(std::string what) const
{
    return {ErrorCode::InvalidInput, std::move(what), m_expected.name,
            "Try again; when it stays so, do not trust this source"};
}

Result<void> PartialFile::open()
{
    m_fd = ::open(m_part.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m_fd < 0)
        return Error{ErrorCode::Io,
                     fmt::format("the file cannot be opened ({})", std::strerror(errno)),
                     m_part.string(), "Check the permissions of the workspace"};
    const auto size = ::lseek(m_fd, 0, SEEK_END);
    m_have = size > 0 ? static_cast<std::uint64_t>(size) : 0;
    std::error_code ec;
    if (fs::exists(m_etagFile, ec)) {
        if (auto text = readFile(m_etagFile, 4096))
            m_etag = trimmed(*text);
    }
    const bool tooLong = m_expected.size && m_have > *m_expected.size;
    // Without the content's name only a digest can tell whether the rest fits.
    const bool unknown = m_etag.empty() && m_expected.sha256.empty() && m_expected.blob.empty();
    if (m_have > 0 && (tooLong || unknown))
        return restart();
    return {};
}

Result<void> PartialFile::restart()
{
    m_have = 0;
    m_etag.clear();
    m_sha256 = {};
    m_sha1 = {};
    m_hashed = false;
    if (::ftruncate(m_fd, 0) != 0 || ::lseek(m_fd, 0, SEEK_SET) != 0)
        return Error{ErrorCode::Io, "the file cannot be emptied", m_part.string(),
                     "Check the disk"};
    std::error_code ec;
    fs::remove(m_etagFile, ec);
    return {};
}

std::vector<std::string> PartialFile::headers() const
{
    // A weak name ("W/...") does not promise equal bytes.
    if (m_have == 0 || m_etag.empty() || m_etag.starts_with("W/"))
        return {};
    return {fmt::format("Range: bytes={}-", m_have), "If-Range: " + m_etag};
}

void PartialFile::hash(const char* data, std::size_t size)
{
    if (!m_expected.sha256.empty())
        m_sha256.update(data, size);
    if (!m_expected.blob.empty())
        m_sha1.update(data, size);
}

/// The digests take in what earlier attempts have written.
Result<void> PartialFile::readPrefix()
{
    if (m_hashed)
        return {};
    m_hashed = true;
    const std::string head = blobHead(m_expected.size.value_or(0));
    m_sha1.update(head.data(), head.size());
    std::vector<char> buffer(kReadPart);
    for (std::uint64_t done = 0; done < m_have;) {
        const auto wanted = std::min<std::uint64_t>(buffer.size(), m_have - done);
        const auto got = ::pread(m_fd, buffer.data(), wanted, static_cast<off_t>(done));
        if (got <= 0)
            return Error{ErrorCode::Io, "the part that is there cannot be read", m_part.string(),
                         "Check the disk"};
        hash(buffer.data(), static_cast<std::size_t>(got));
        done += static_cast<std::uint64_t>(got);
    }
    ::lseek(m_fd, static_cast<off_t>(m_have), SEEK_SET);
    return {};
}

Result<void> PartialFile::begin(const HttpAnswer& answer)
{
    std::optional<std::uint64_t> total;
    if (answer.status == 206) {
        std::uint64_t first = 0;
        if (!readRange(answer.header("content-range"), first, total) || first != m_have)
            return wrong("the server sends another part of the file than it was asked for");
    } else {
        // The whole file: the content has changed, or the server knows no parts.
        if (m_have > 0) {
            if (auto again = restart(); !again)
                return again;
        }
        total = answer.length;
    }
    const auto large = lowerAscii(answer.header("x-linked-etag"));
    if (m_expected.sha256.empty() && m_expected.blob.empty() && large.size() == 66)
        m_expected.sha256 = large.substr(1, 64);
    if (m_expected.size && total && *total != *m_expected.size)
        return wrong(fmt::format("the server sends {} bytes, the list of the model says {}", *total,
                                 *m_expected.size));
    if (!m_expected.size)
        m_expected.size = total;
    if (!m_expected.size)
        return wrong("neither the list of the model nor the server says how large the file is");
    m_etag = answer.header("etag");
    if (m_etag.empty())
        return {};
    return writeFileAtomically(m_etagFile, m_etag);
}

Result<void> PartialFile::write(const char* data, std::size_t size)
{
    if (m_have + size > m_expected.size.value_or(0))
        return wrong("the server sends more bytes than the list of the model says");
    if (auto read = readPrefix(); !read)
        return read;
    hash(data, size);
    while (size > 0) {
        const auto done = ::write(m_fd, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            const int reason = errno;
            m_hashed = false; // the digests are ahead of the file
            m_sha256 = {};
            m_sha1 = {};
            return Error{
                reason == ENOSPC || reason == EDQUOT ? ErrorCode::DiskFull : ErrorCode::Io,
                fmt::format("writing failed ({})", std::strerror(reason)), m_part.string(),
                "Make room on the disk and start the download again; it goes on where it ended"};
        }
        m_have += static_cast<std::uint64_t>(done);
        data += done;
        size -= static_cast<std::size_t>(done);
    }
    return {};
}

Result<void> PartialFile::finish()
{
    if (auto read = readPrefix(); !read)
        return read;
    if (!complete())
        return wrong(fmt::format("{} bytes came, the list of the model says {}", m_have,
                                 m_expected.size.value_or(0)));
    const bool rightLarge = m_expected.sha256.empty() || m_sha256.finish() == m_expected.sha256;
    const bool rightSmall = m_expected.blob.empty() || m_sha1.finish() == m_expected.blob;
    if (!rightLarge || !rightSmall) {
        if (auto thrown = restart(); !thrown)
            return thrown;
        return wrong("what came is not the file that the list of the model names: its digest is "
                     "another one");
    }
    if (::fsync(m_fd) != 0)
        return Error{ErrorCode::Io, "the file could not be made safe on the disk", m_part.string(),
                     "Check the disk"};
    std::error_code ec;
    fs::rename(m_part, m_target, ec);
    if (ec)
        return Error{ErrorCode::Io, fmt::format("the file cannot be renamed ({})", ec.message()),
                     m_part.string(), "Check the permissions of the workspace"};
    fs::remove(m_etagFile, ec);
    return {};
}

Result<bool> isComplete(const fs::path& path, const HubFile& expected)
{
    std::error_code ec;
    const auto size = fs::file_size(path, ec);
    if (ec || (expected.size && size != *expected.size))
        return false;
    if (!expected.sha256.empty()) {
        const auto digest = sha256OfFile(path);
        if (!digest)
            return digest.error();
        return *digest == expected.sha256;
    }
    const auto file = MappedFile::open(path);
    if (!file)
        return file.error();
    Sha1 sha1;
    const std::string head = blobHead(size);
    sha1.update(head.data(), head.size());
    sha1.update((*file)->bytes().data(), size);
    return expected.blob.empty() ? expected.size.has_value() : sha1.finish() == expected.blob;
}

} // namespace fettle::hub

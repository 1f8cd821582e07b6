#include "store/places.h"

#include "base/atomic_file.h"
#include "base/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace fettle::store {

namespace fs = std::filesystem;

bool isNetworkFileSystem(long type)
{
    // NFS, SMB, CIFS, SMB2, AFS, Coda, NCP, Ceph, Lustre, GPFS, BeeGFS (statfs(2) and their
    // headers)
    constexpr std::array<unsigned long, 11> kTypes = {
        0x6969, 0x517B,     0xFF534D42, 0xFE534D42, 0x5346414F, 0x73757245,
        0x564C, 0x00C36400, 0x0BD00BD0, 0x47504653, 0x19830326};
    const auto wanted = static_cast<unsigned long>(type) & 0xFFFFFFFFul;
    return std::find(kTypes.begin(), kTypes.end(), wanted) != kTypes.end();
}

Result<void> refuseNetworkFolder(const fs::path& folder)
{
    std::error_code ec;
    fs::path at = fs::absolute(folder, ec);
    while (!fs::exists(at, ec) && at != at.root_path())
        at = at.parent_path();
    struct statfs status
    {
    };
    if (::statfs(at.c_str(), &status) == 0 && isNetworkFileSystem(status.f_type))
        return Error{ErrorCode::InvalidInput,
                     "this folder lies on a network drive, where a database can be damaged",
                     folder.string(), "Choose a folder on a disk of this computer"};
    return {};
}

bool wasLeftOpen(const fs::path& database)
{
    fs::path log = database;
    log += "-wal";
    std::error_code ec;
    const auto size = fs::file_size(log, ec);
    return !ec && size > 0;
}

Result<void> makePrivateFolder(const fs::path& folder)
{
    std::error_code ec;
    if (fs::is_directory(folder, ec))
        return {};
    if (folder.has_parent_path() && !fs::exists(folder.parent_path(), ec)) {
        if (auto made = makePrivateFolder(folder.parent_path()); !made)
            return made;
    }
    if (::mkdir(folder.c_str(), 0700) == 0)
        return folder.has_parent_path() ? syncFolder(folder.parent_path()) : Result<void>();
    if (errno == EEXIST && fs::is_directory(folder, ec))
        return {};
    const int reason = errno;
    if (reason == ENOSPC || reason == EDQUOT)
        return Error{ErrorCode::DiskFull, "the disk is full, the folder cannot be made",
                     folder.string(), "Free some space and try again; what was saved before is safe"};
    return Error{ErrorCode::Io,
                 fmt::format("the folder cannot be made ({})", std::strerror(reason)),
                 folder.string(), "Check the permissions and the disk"};
}

Result<void> checkName(const std::string& name, const std::string& what)
{
    const bool control = std::any_of(name.begin(), name.end(),
                                     [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    if (name.empty() || trimmed(name) != name || name.size() > 100 || control ||
        name.front() == '.' || name.find_first_of("/\\:") != std::string::npos ||
        !isValidUtf8(name))
        return Error{
            ErrorCode::InvalidInput, fmt::format("this cannot be the name of a {}", what), what,
            "Use up to 100 letters, digits, blanks and dashes, without / \\ : and no dot in front"};
    return {};
}

std::string slugOf(const std::string& name)
{
    std::string slug;
    for (const char c : lowerAscii(name)) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            slug += c;
        else if (!slug.empty() && slug.back() != '-')
            slug += '-';
    }
    slug.resize(std::min<std::size_t>(slug.size(), 40));
    while (!slug.empty() && slug.back() == '-')
        slug.pop_back();
    return slug.empty() ? "run" : slug;
}

} // namespace fettle::store

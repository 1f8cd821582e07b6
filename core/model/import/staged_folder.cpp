#include "model/import/staged_folder.h"

#include "base/atomic_file.h"

#include <fmt/format.h>
#include <unistd.h>

namespace fettle::model {

namespace fs = std::filesystem;

StagedFolder::StagedFolder(fs::path target)
{
    std::error_code ec;
    m_target = fs::absolute(target, ec).lexically_normal();
    if (!m_target.has_filename()) // "models/new/"
        m_target = m_target.parent_path();
    m_temporary = m_target.parent_path() /
                  fmt::format(".{}.{}.partial", m_target.filename().string(), ::getpid());
}

StagedFolder::~StagedFolder()
{
    std::error_code ec;
    if (m_created)
        fs::remove_all(m_temporary, ec);
}

Result<void> StagedFolder::create()
{
    std::error_code ec;
    if (fs::exists(fs::symlink_status(m_target, ec)))
        return Error{ErrorCode::InvalidInput, "something of this name exists already",
                     m_target.string(), "Choose another name"};
    fs::remove_all(m_temporary, ec); // left by a killed process of the same number
    fs::create_directories(m_temporary, ec);
    if (ec)
        return Error{ErrorCode::Io, fmt::format("the folder could not be made ({})", ec.message()),
                     m_temporary.string(), "Check the permissions of the folder above it"};
    m_created = true;
    return {};
}

Result<void> StagedFolder::publish()
{
    auto published = publishFolder(m_temporary, m_target);
    if (published)
        m_created = false;
    return published;
}

} // namespace fettle::model

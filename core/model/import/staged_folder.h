#pragma once

#include "base/result.h"

#include <filesystem>

namespace fettle::model {

/// A folder that appears under its final name whole or not at all: files are put into a temporary
/// folder beside it. Without publish() the temporary folder is removed again.
class StagedFolder
{
public:
    explicit StagedFolder(std::filesystem::path target);
    ~StagedFolder();
    StagedFolder(const StagedFolder&) = delete;
    StagedFolder& operator=(const StagedFolder&) = delete;

    /// Errors: InvalidInput when the target exists; Io.
    Result<void> create();
    /// Where files are put before publish().
    const std::filesystem::path& path() const { return m_temporary; }
    Result<void> publish();

private:
    std::filesystem::path m_target, m_temporary;
    bool m_created = false;
};

} // namespace fettle::model

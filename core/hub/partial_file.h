#pragma once

#include "base/sha256.h"
#include "hub/http.h"
#include "hub/listing.h"
#include "hub/sha1.h"

#include <filesystem>

namespace fettle::hub {

/// A file that is fetched in as many attempts as it takes: NAME.part grows, NAME.part.etag says of
/// which content it is a part, and NAME appears when size and digest are those of the listing.
class PartialFile
{
public:
    PartialFile(const std::filesystem::path& folder, HubFile expected);
    ~PartialFile();
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    /// Opens what is there already. Errors: Io.
    Result<void> open();
    std::uint64_t have() const { return m_have; }
    /// True when every byte is there.
    bool complete() const { return m_expected.size && m_have == *m_expected.size; }
    /// Range and If-Range for the rest; nothing when it begins at the start.
    std::vector<std::string> headers() const;
    /// Errors: InvalidInput when the answer is not what the listing promised.
    Result<void> begin(const HttpAnswer& answer);
    Result<void> write(const char* data, std::size_t size);
    /// Checks and gives the file its name. Errors: InvalidInput for a wrong size or digest (the
    /// part is then thrown away); Io.
    Result<void> finish();
    /// Throws away what is there, so that the next attempt begins at the start.
    Result<void> restart();

private:
    Result<void> readPrefix();
    void hash(const char* data, std::size_t size);
    Error wrong(std::string what) const;

    std::filesystem::path m_target, m_part, m_etagFile;
    HubFile m_expected;
    std::string m_etag; ///< of the content that the part belongs to
    std::uint64_t m_have = 0;
    int m_fd = -1;
    Sha256 m_sha256;
    Sha1 m_sha1;
    bool m_hashed = false; ///< the digests have seen all m_have bytes
};

/// Whether a finished file is the one of the listing. Reads every byte.
Result<bool> isComplete(const std::filesystem::path& path, const HubFile& expected);

} // namespace fettle::hub

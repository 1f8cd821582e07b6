#pragma once

#include "hub/hub_access.h"
#include "hub/listing.h"

#include <functional>
#include <stop_token>

namespace fettle::hub {

/// Bytes that are there, of all bytes; and the file that comes now.
using DownloadProgress =
    std::function<void(std::uint64_t done, std::uint64_t total, const std::string& file)>;

/// A model as it lies in its folder of downloads, every file checked.
struct Downloaded
{
    std::filesystem::path folder;
    std::string id, revision, commit;
    std::uint64_t bytes = 0;
    bool adapter = false; ///< adapter_config.json and its weights, no model
    bool pickles = false; ///< the weights are PyTorch files
};

/// The files of a model at the commit that `revision` means now.
/// Errors: NotFound (no such model, no such revision); InvalidInput when the hub asks for a token
/// or the publisher has not let this account in; Io; Cancelled.
Result<HubListing> listFiles(const HubAccess& access, const HubName& name,
                             const std::stop_token& stop = {});

/// Fetches a model into a folder below `downloads`, one for each commit. What an earlier attempt
/// has fetched is kept and gone on with, for thirty days. Small files come first, so that a model
/// that this program does not open is refused before its weights are fetched. Errors: as
/// listFiles(); those of chooseFiles(); DiskFull before anything large is fetched (room for the
/// import is counted in); Busy when another process fetches the same.
Result<Downloaded> download(const HubAccess& access, const HubName& name,
                            const std::filesystem::path& downloads,
                            const DownloadProgress& progress = {},
                            const std::stop_token& stop = {});

} // namespace fettle::hub

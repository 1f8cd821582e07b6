#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fettle::hub {

/// A file of a model on the hub, with what is known of it before it is fetched.
struct HubFile
{
    std::string name;
    std::optional<std::uint64_t> size;
    std::string sha256; ///< 64 hexadecimal digits of large files; else empty
    std::string blob;   ///< git's name of the content (SHA-1) for small ones; else empty
};

/// A model on the hub at one commit.
struct HubListing
{
    std::string id, commit;
    std::vector<HubFile> files;

    const HubFile* find(const std::string& name) const;
};

/// "owner/name", or one name alone for the hub's oldest models. Errors: InvalidInput.
Result<void> checkModelId(const std::string& id);
/// A branch, a tag or a commit. Errors: InvalidInput.
Result<void> checkRevision(const std::string& revision);
/// "owner/name@revision" taken apart; no revision gives "main".
struct HubName
{
    std::string id, revision = "main";
};
Result<HubName> parseHubName(const std::string& name);

/// The hub's answer on a model. Errors: InvalidInput when it is none.
Result<HubListing> parseListing(const Json& json, const std::string& id);

/// What is fetched of a model, in this order.
struct FileChoice
{
    std::vector<HubFile> small;   ///< configuration, tokenizer, card, licence
    std::vector<HubFile> weights; ///< empty while `index` is to be read first
    std::optional<HubFile> index; ///< names the weight files
    bool adapter = false;         ///< an adapter, not a model
    bool pickles = false;         ///< there are only PyTorch files
};
/// Files that this program opens, in the top folder; never code. safetensors before PyTorch files.
/// Errors: InvalidInput, naming what the repository holds instead of a model.
Result<FileChoice> chooseFiles(const HubListing& listing);
/// The weight files that an index names. Errors: InvalidInput for a name outside the folder or one
/// that the listing has not.
Result<std::vector<HubFile>> filesOfIndex(const HubListing& listing, const Json& index);

} // namespace fettle::hub

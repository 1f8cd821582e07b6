#pragma once

#include "base/json.h"

#include <filesystem>
#include <string>
#include <vector>

namespace fettle::deploy {

inline constexpr const char* kProofFile = "fettle-proof.json";
inline constexpr const char* kProofText = "PROOF.md";

/// Texts on which every written model is compared with the one in memory. They are the program's
/// own, so that a card can name them without telling what somebody's rows say.
const std::vector<std::string>& proofPrompts();

struct FileDigest
{
    std::string name; ///< inside the folder, parts joined by "/"
    std::uint64_t bytes = 0;
    std::string sha256;
};

/// Every file below the folder as it lies on the disk, by name, without hidden files and the card.
/// Errors: Io; InvalidInput for something that is neither file nor folder.
Result<std::vector<FileDigest>> digestsOf(const std::filesystem::path& folder);

/// Completes the facts ("form", "type", "from", "proof" ...) with the digests of the folder's
/// files, the program's version and the time, and writes the card twice: fettle-proof.json for
/// programs and PROOF.md for people. Gives what was written.
Result<Json> writeProofCard(const std::filesystem::path& folder, Json facts);

/// What a folder has become since its card was written.
struct Verification
{
    Json card;
    std::string cardDigest;                           ///< SHA-256 of the card itself
    std::vector<std::string> changed, missing, added; ///< names of files
    std::size_t files = 0;                            ///< that the card names
    bool intact() const { return changed.empty() && missing.empty() && added.empty(); }
};

/// Compares the files of a folder with its card. Reads every byte.
/// Errors: NotFound without a card; InvalidInput for a damaged one; Io.
Result<Verification> verifyExport(const std::filesystem::path& folder);

} // namespace fettle::deploy

#pragma once

#include "base/result.h"

#include <filesystem>
#include <string>

namespace fettle::store {

/// True for the f_type numbers of statfs that belong to network file systems.
bool isNetworkFileSystem(long type);
/// Errors: InvalidInput with advice when the folder (or its nearest existing parent) lies on a
/// network file system, where several programs cannot share a database safely.
Result<void> refuseNetworkFolder(const std::filesystem::path& folder);

/// True when a program that had the database open did not close it (or has it open now).
bool wasLeftOpen(const std::filesystem::path& database);

/// Makes a folder that only its owner may enter; one that exists stays as it is.
Result<void> makePrivateFolder(const std::filesystem::path& folder);

/// Errors: InvalidInput when the name cannot be the name of a folder. `what` is the noun for the
/// error.
Result<void> checkName(const std::string& name, const std::string& what);

/// "Package descriptions, LoRA" -> "package-descriptions-lora"; never empty.
std::string slugOf(const std::string& name);

} // namespace fettle::store

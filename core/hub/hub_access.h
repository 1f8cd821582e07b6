#pragma once

#include "base/param_spec.h"
#include "store/workspace.h"

#include <chrono>
#include <filesystem>
#include <string>

namespace fettle::hub {

/// How the program may reach a hub. Made by accessFrom(), which refuses while the network is off.
struct HubAccess
{
    std::string address;                ///< "https://hub.example.org", without a slash at its end
    std::string token;                  ///< goes to this address alone; never written anywhere
    std::filesystem::path certificates; ///< authorities to trust, PEM; empty: those of the system
    int attempts = 5; ///< for each request, when the hub is busy or the line breaks
    std::chrono::milliseconds pause{
        500};                         ///< before the second attempt; doubled for each further one
    std::chrono::seconds silence{60}; ///< without a byte, then the line counts as broken
};

/// Settings of a workspace: "network", "hub.address", "hub.certificates".
const ParamList& settings();
ParamValues settingsOf(const store::Workspace& workspace);
/// Sets one from text; flags also take on and off, and "" gives the default back.
/// Errors: InvalidInput for an unknown key or a value that cannot be.
Result<void> setSetting(store::Workspace& workspace, const std::string& key,
                        const std::string& text);

/// From the setting, else HF_ENDPOINT, else the usual hub.
std::string addressFrom(const store::Workspace& workspace);
/// Certificates from the setting, else SSL_CERT_FILE; token from HF_TOKEN, else the older
/// HUGGING_FACE_HUB_TOKEN, else the keychain (keptToken(), which may wait for a person).
/// Errors: InvalidInput while the setting "network" is off, or for an address that is not https.
Result<HubAccess> accessFrom(const store::Workspace& workspace);

/// https, or http to this computer. Errors: InvalidInput, without the address's user or password.
Result<void> checkAddress(const std::string& url, const std::string& where);
/// "https://hub.example.org:8443" of an address: who is asked. Empty when it cannot be read.
std::string originOf(const std::string& url);
bool isThisComputer(const std::string& url);

} // namespace fettle::hub

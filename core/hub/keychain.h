#pragma once

#include "base/result.h"

#include <string>

/// Access tokens of hubs in the keychain of the computer (Secret Service, through libsecret). The
/// keychain may ask the person to unlock it, so the functions can take long: not for the window's
/// thread.
namespace fettle::hub {

/// The token kept for the hub at an address; empty when there is none, or no keychain.
std::string keptToken(const std::string& address);
/// Keeps a token in the place of an earlier one. Errors: InvalidInput for a token with spaces or
/// control characters, or none; Unsupported when the computer has no keychain that opens.
Result<void> keepToken(const std::string& address, const std::string& token);
/// Errors: Unsupported as above; no error when there was none.
Result<void> forgetToken(const std::string& address);

} // namespace fettle::hub

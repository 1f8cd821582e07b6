#include "hub/keychain.h"

#include "hub/hub_access.h"

#include <algorithm>
#include <fmt/format.h>
#include <libsecret/secret.h>
#include <memory>

namespace fettle::hub {

namespace {

const SecretSchema kSchema = {"org.fettle.hub",
                              SECRET_SCHEMA_NONE,
                              {{"address", SECRET_SCHEMA_ATTRIBUTE_STRING}},
                              0,
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr};

using Problem = std::unique_ptr<GError, decltype(&g_error_free)>;

Error noKeychain(GError* problem)
{
    const Problem own(problem, g_error_free);
    return Error{ErrorCode::Unsupported, fmt::format("the keychain did not open: {}", own->message),
                 "keychain",
                 "Unlock or install one (such as gnome-keyring), or set HF_TOKEN instead"};
}

} // namespace

std::string keptToken(const std::string& address)
{
    GError* problem = nullptr;
    const std::unique_ptr<char, decltype(&secret_password_free)> found(
        secret_password_lookup_sync(&kSchema, nullptr, &problem, "address",
                                    originOf(address).c_str(), nullptr),
        secret_password_free);
    if (problem)
        g_error_free(problem);
    return found ? std::string(found.get()) : std::string();
}

Result<void> keepToken(const std::string& address, const std::string& token)
{
    const auto odd = [](char c) { return c <= ' ' || c > '~'; };
    if (token.empty() || token.size() > 4096 || std::ranges::any_of(token, odd))
        return Error{ErrorCode::InvalidInput, "this is no access token", "token",
                     "Copy it once more from the hub's page, without spaces"};
    GError* problem = nullptr;
    const auto hub = originOf(address);
    secret_password_store_sync(&kSchema, SECRET_COLLECTION_DEFAULT,
                               fmt::format("Fettle: access token of {}", hub).c_str(),
                               token.c_str(), nullptr, &problem, "address", hub.c_str(), nullptr);
    if (problem)
        return noKeychain(problem);
    return {};
}

Result<void> forgetToken(const std::string& address)
{
    GError* problem = nullptr;
    secret_password_clear_sync(&kSchema, nullptr, &problem, "address", originOf(address).c_str(),
                               nullptr);
    if (problem)
        return noKeychain(problem);
    return {};
}

} // namespace fettle::hub

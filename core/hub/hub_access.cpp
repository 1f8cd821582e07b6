#include "hub/hub_access.h"

#include "base/text.h"
#include "hub/keychain.h"

#include <cstdlib>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>

namespace fettle::hub {

namespace {

/// The only address of a server in the program.
constexpr const char* kUsualHub = "https://huggingface.co";

constexpr const char* kPreference = "settings";

struct UrlParts
{
    std::string scheme, host, port;
    bool hasUser = false;
};

std::optional<UrlParts> parsed(const std::string& url)
{
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> handle(curl_url(), curl_url_cleanup);
    if (!handle || curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
        return std::nullopt;
    const auto part = [&](CURLUPart which, unsigned flags = 0) {
        char* text = nullptr;
        std::string out;
        if (curl_url_get(handle.get(), which, &text, flags) == CURLUE_OK && text)
            out = text;
        curl_free(text);
        return out;
    };
    UrlParts parts;
    parts.scheme = lowerAscii(part(CURLUPART_SCHEME));
    parts.host = lowerAscii(part(CURLUPART_HOST));
    parts.port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
    parts.hasUser = !part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty();
    return parts;
}

/// 127.0.0.0/8 as four numbers, ::1, or the name localhost.
bool isLoopback(const std::string& host)
{
    if (host == "localhost" || host == "[::1]" || host == "::1")
        return true;
    const auto numbers = splitOn(host, '.');
    if (numbers.size() != 4 || numbers[0] != "127")
        return false;
    for (const auto& number : numbers) {
        if (number.empty() || number.size() > 3 ||
            number.find_first_not_of("0123456789") != std::string::npos)
            return false;
    }
    return true;
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value ? trimmed(value) : "";
}

std::string withoutSlash(std::string address)
{
    while (address.ends_with('/'))
        address.pop_back();
    return address;
}

} // namespace

std::string originOf(const std::string& url)
{
    const auto parts = parsed(url);
    return parts ? fmt::format("{}://{}:{}", parts->scheme, parts->host, parts->port) : "";
}

bool isThisComputer(const std::string& url)
{
    const auto parts = parsed(url);
    return parts && isLoopback(parts->host);
}

Result<void> checkAddress(const std::string& url, const std::string& where)
{
    const auto parts = parsed(url);
    if (!parts || parts->host.empty())
        return Error{ErrorCode::InvalidInput, "this is no address of a server", where,
                     "Write it as https://NAME"};
    if (parts->hasUser)
        return Error{ErrorCode::InvalidInput, "the address holds a user name or password", where,
                     "Leave it out and keep a token (Settings > Privacy)"};
    if (parts->scheme == "https" || (parts->scheme == "http" && isLoopback(parts->host)))
        return {};
    return Error{ErrorCode::InvalidInput,
                 fmt::format("{}://{} is not encrypted", parts->scheme, parts->host), where,
                 "Use an address that begins with https"};
}

const ParamList& settings()
{
    static const ParamList list = [] {
        ParamSpec network{"network",
                          "Network",
                          "network",
                          "Lets this program fetch models from a hub.",
                          "Off: nothing leaves this computer and nothing is fetched.",
                          ParamKind::Flag,
                          false};
        ParamSpec address{
            "hub.address",
            "Address of the hub",
            "endpoint",
            "Where models are fetched from; a mirror of your organisation, for example.",
            "Empty: HF_ENDPOINT, else the usual hub.",
            ParamKind::Text,
            ""};
        ParamSpec certificates{
            "hub.certificates",
            "Certificates",
            "certificate authorities",
            "File with the authorities to trust (PEM), where the hub has a certificate of its own.",
            "Empty: SSL_CERT_FILE, else those of the system.",
            ParamKind::Text,
            ""};
        return ParamList{network, address, certificates};
    }();
    return list;
}

ParamValues settingsOf(const store::Workspace& workspace)
{
    ParamValues values(settings());
    const Json stored = workspace.preference(kPreference);
    for (const auto& spec : settings()) {
        if (stored.is_object() && stored.contains(spec.key) &&
            !values.set(spec.key, stored[spec.key]))
            values.reset(spec.key); // written by another version: the default is the safe choice
    }
    return values;
}

Result<void> setSetting(store::Workspace& workspace, const std::string& key,
                        const std::string& text)
{
    ParamValues values = settingsOf(workspace);
    const std::string lower = lowerAscii(trimmed(text));
    const auto* spec = values.spec(key);
    const bool flag = spec && spec->kind == ParamKind::Flag;
    std::string value = flag && lower == "on"    ? "true"
                        : flag && lower == "off" ? "false"
                                                 : trimmed(text);
    if (key == "hub.address" && !value.empty()) {
        value = withoutSlash(value);
        if (auto fine = checkAddress(value, "setting hub.address"); !fine)
            return fine;
    }
    if (flag && value.empty())
        values.reset(key);
    else if (auto set = values.setText(key, value); !set)
        return set;
    Json stored = workspace.preference(kPreference);
    if (!stored.is_object())
        stored = Json::object();
    stored[key] = values.value(key);
    workspace.setPreference(kPreference, stored);
    return {};
}

std::string addressFrom(const store::Workspace& workspace)
{
    auto address = settingsOf(workspace).text("hub.address");
    if (address.empty())
        address = environment("HF_ENDPOINT");
    return withoutSlash(address.empty() ? kUsualHub : address);
}

Result<HubAccess> accessFrom(const store::Workspace& workspace)
{
    const auto values = settingsOf(workspace);
    if (!values.flag("network"))
        return Error{ErrorCode::InvalidInput, "the network is switched off, so nothing is fetched",
                     "setting network", "Switch it on with: fettle-cli settings set network on"};
    HubAccess access;
    access.address = addressFrom(workspace);
    if (auto fine = checkAddress(access.address, "setting hub.address or HF_ENDPOINT"); !fine)
        return fine.error();
    access.certificates = values.text("hub.certificates");
    if (access.certificates.empty())
        access.certificates = environment("SSL_CERT_FILE");
    for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
        if (access.token.empty())
            access.token = environment(name);
    }
    if (access.token.empty())
        access.token = keptToken(access.address);
    return access;
}

} // namespace fettle::hub

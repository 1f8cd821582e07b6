#pragma once

#include "hub/hub_access.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <vector>

namespace fettle::hub {

/// What a server said, all but the body.
struct HttpAnswer
{
    long status = 0;                            ///< 0: there was no answer, see `failure`
    std::map<std::string, std::string> headers; ///< names in lower case; of redirects on the way
                                                ///< too, where the last answer does not repeat them
    std::optional<std::uint64_t> length;        ///< of the body, when it was said
    std::optional<Error> failure; ///< the line broke, the sink refused, or a person stopped it
    bool passing = false;         ///< another attempt may help

    std::string header(const std::string& name) const
    {
        const auto found = headers.find(name);
        return found == headers.end() ? "" : found->second;
    }
};

struct HttpRequest
{
    std::string url;
    std::vector<std::string> headers; ///< "Range: bytes=100-"
    /// Sees the answer before its body; an error ends the transfer.
    std::function<Result<void>(const HttpAnswer&)> begin;
    /// Takes the body of an answer of success (2xx); other bodies are passed over.
    std::function<Result<void>(const char* data, std::size_t size)> body;
};

/// Gets one thing from a server over https, with its certificate checked. Follows redirects to
/// https only; the token goes to access.address alone. Stops within a second when asked to.
HttpAnswer httpGet(const HubAccess& access, const HttpRequest& request,
                   const std::stop_token& stop);

/// As httpGet(), tried again after a pause when the hub is busy (429, 5xx) or the line breaks.
/// `request` makes the request of each attempt, so that it can go on where the last one ended.
HttpAnswer httpGetPatiently(const HubAccess& access, const std::function<HttpRequest()>& request,
                            const std::stop_token& stop);

/// One segment of a path or a value of a query, as it stands in an address.
std::string urlEscaped(const std::string& text);

} // namespace fettle::hub

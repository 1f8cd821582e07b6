#include "hub/http.h"

#include "base/text.h"

#include <algorithm>
#include <condition_variable>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>
#include <mutex>

namespace fettle::hub {

namespace {

constexpr int kMaxRedirects = 5;
constexpr std::size_t kMaxHeaders = 256;
constexpr std::chrono::seconds kLongestPause{60};

/// libcurl wants to be set up once, before the first use.
bool curlReady()
{
    static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return ready;
}

/// One request and its answer, while libcurl works on it.
struct Transfer
{
    const HttpRequest& request;
    const std::stop_token& stop;
    const std::map<std::string, std::string>& earlier; ///< headers of the redirects that led here
    HttpAnswer answer;
    bool begun = false;

    bool good() const { return answer.status >= 200 && answer.status < 300; }
    /// True while the transfer may go on.
    bool begin()
    {
        if (begun)
            return !answer.failure;
        begun = true;
        answer.headers.insert(earlier.begin(), earlier.end());
        if (good() && request.begin) {
            if (auto fine = request.begin(answer); !fine)
                answer.failure = fine.error();
        }
        return !answer.failure;
    }
};

std::size_t onHeader(char* data, std::size_t, std::size_t size, void* user)
{
    auto& answer = static_cast<Transfer*>(user)->answer;
    const std::string line = trimmed({data, size});
    if (line.starts_with("HTTP/")) { // a new answer begins (after 100 Continue, for example)
        const auto blank = line.find(' ');
        answer.status = blank == std::string::npos ? 0 : std::atol(line.c_str() + blank + 1);
        answer.headers.clear();
        answer.length.reset();
        return size;
    }
    const auto colon = line.find(':');
    if (colon == std::string::npos || answer.headers.size() >= kMaxHeaders)
        return size;
    const auto name = lowerAscii(line.substr(0, colon));
    const auto value = trimmed(std::string_view(line).substr(colon + 1));
    answer.headers[name] = value;
    if (name == "content-length" && !value.empty() && value.size() < 20 &&
        value.find_first_not_of("0123456789") == std::string::npos)
        answer.length = std::stoull(value);
    return size;
}

std::size_t onBody(char* data, std::size_t, std::size_t size, void* user)
{
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.begin())
        return 0;
    if (!transfer.good() || !transfer.request.body)
        return size;
    if (auto taken = transfer.request.body(data, size); !taken) {
        transfer.answer.failure = taken.error();
        return 0;
    }
    return size;
}

int onProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
    return static_cast<Transfer*>(user)->stop.stop_requested() ? 1 : 0;
}

Error stopped()
{
    return {ErrorCode::Cancelled, "the download was stopped; what is there is kept", "", ""};
}

/// libcurl's reason as a sentence. `passing`: the same request may succeed later.
Error failureOf(CURLcode code, const std::string& origin, bool& passing)
{
    passing = true;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return {ErrorCode::Io, "the server's name is not known", origin,
                "Check the connection to the network and the address"};
    case CURLE_COULDNT_CONNECT:
        return {
            ErrorCode::Io, "the server cannot be reached", origin,
            "Check the connection to the network and, behind a proxy, the variable https_proxy"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        passing = false;
        return {
            ErrorCode::Io, "the server's certificate is not one that this computer trusts", origin,
            "If it is your organisation's server, name its authority with: fettle-cli settings set "
            "hub.certificates FILE"};
    case CURLE_SSL_CACERT_BADFILE:
        passing = false;
        return {ErrorCode::InvalidInput, "the file of certificates cannot be read",
                "setting hub.certificates", "Name a PEM file"};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        passing = false;
        return {ErrorCode::InvalidInput, "the server's address cannot be used", origin,
                "Use an https address"};
    default:
        return {ErrorCode::Io,
                fmt::format("the connection broke off ({})", curl_easy_strerror(code)), origin,
                "Try again; what was fetched is kept"};
    }
}

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

HeaderList headersFor(const HubAccess& access, const HttpRequest& request, const std::string& url)
{
    curl_slist* list = nullptr;
    for (const auto& header : request.headers)
        list = curl_slist_append(list, header.c_str());
    if (!access.token.empty() && originOf(url) == originOf(access.address))
        list = curl_slist_append(list, ("Authorization: Bearer " + access.token).c_str());
    return {list, curl_slist_free_all};
}

void setUp(CURL* curl, const HubAccess& access, const std::string& url, curl_slist* headers,
           Transfer& transfer)
{
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); // each step is looked at
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "Fettle/" FETTLE_VERSION);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!access.certificates.empty())
        curl_easy_setopt(curl, CURLOPT_CAINFO, access.certificates.c_str());
    if (isThisComputer(url))
        curl_easy_setopt(curl, CURLOPT_PROXY, ""); // a proxy knows another "this computer"
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(access.silence.count()));
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, onProgress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, onHeader);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, onBody);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
}

/// One request without redirects; `next` is where the server sends us, if it does.
HttpAnswer getOnce(const HubAccess& access, const HttpRequest& request, const std::string& url,
                   const std::map<std::string, std::string>& earlier, const std::stop_token& stop,
                   std::string& next)
{
    Transfer transfer{request, stop, earlier, {}, false};
    const Handle curl(curl_easy_init(), curl_easy_cleanup);
    if (!curlReady() || !curl) {
        transfer.answer.failure =
            Error{ErrorCode::Internal, "the network library could not be started", "", ""};
        return transfer.answer;
    }
    const auto headers = headersFor(access, request, url);
    setUp(curl.get(), access, url, headers.get(), transfer);
    const CURLcode code = curl_easy_perform(curl.get());
    auto& answer = transfer.answer;
    if (code == CURLE_OK)
        transfer.begin(); // an empty body
    if (stop.stop_requested())
        answer.failure = stopped();
    else if (code != CURLE_OK && !answer.failure)
        answer.failure = failureOf(code, originOf(url), answer.passing);
    char* where = nullptr;
    if (answer.status >= 300 && answer.status < 400 &&
        curl_easy_getinfo(curl.get(), CURLINFO_REDIRECT_URL, &where) == CURLE_OK && where)
        next = where;
    return std::move(transfer.answer);
}

/// Whether a server may send us from one place to another.
Result<void> checkRedirect(const std::string& from, const std::string& to)
{
    if (auto fine = checkAddress(to, "redirect"); !fine)
        return fine;
    if (isThisComputer(to) && !isThisComputer(from))
        return Error{ErrorCode::InvalidInput, "the server points at this computer itself",
                     originOf(from), "Check the address of the hub"};
    return {};
}

/// Waits; false when stopped meanwhile.
bool waited(std::chrono::milliseconds pause, const std::stop_token& stop)
{
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, pause, [] { return false; });
    return !stop.stop_requested();
}

/// What the server asks for ("Retry-After: 12"), if it is a number.
std::optional<std::chrono::seconds> askedPause(const HttpAnswer& answer)
{
    const auto text = answer.header("retry-after");
    if (text.empty() || text.size() > 6 ||
        text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    return std::min(std::chrono::seconds(std::stol(text)), kLongestPause);
}

} // namespace

HttpAnswer httpGet(const HubAccess& access, const HttpRequest& request, const std::stop_token& stop)
{
    std::string url = request.url;
    std::map<std::string, std::string> earlier;
    for (int step = 0; step <= kMaxRedirects; ++step) {
        std::string next;
        auto answer = getOnce(access, request, url, earlier, stop, next);
        if (next.empty() || answer.failure)
            return answer;
        if (auto fine = checkRedirect(url, next); !fine) {
            answer.failure = fine.error();
            return answer;
        }
        answer.headers.erase("content-length");
        answer.headers.erase("etag"); // of the redirect, not of the file
        earlier = std::move(answer.headers);
        url = next;
    }
    HttpAnswer answer;
    answer.failure =
        Error{ErrorCode::Io, "the server sends us from one place to the next without end",
              originOf(request.url), "Check the address of the hub"};
    return answer;
}

HttpAnswer httpGetPatiently(const HubAccess& access, const std::function<HttpRequest()>& request,
                            const std::stop_token& stop)
{
    auto pause = access.pause;
    for (int attempt = 1;; ++attempt) {
        auto answer = httpGet(access, request(), stop);
        const bool busy = !answer.failure && (answer.status == 429 || answer.status >= 500);
        const bool broken = answer.failure && answer.passing;
        if ((!busy && !broken) || attempt >= access.attempts)
            return answer;
        const auto asked = askedPause(answer);
        if (!waited(asked ? std::max<std::chrono::milliseconds>(*asked, pause) : pause, stop)) {
            answer.failure = stopped();
            return answer;
        }
        pause *= 2;
    }
}

std::string urlEscaped(const std::string& text)
{
    char* escaped = curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size()));
    std::string out = escaped ? escaped : "";
    curl_free(escaped);
    return out;
}

} // namespace fettle::hub

#include "hub/hub_server.h"

#include "base/sha256.h"
#include "base/text.h"
#include "hub/sha1.h"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace fettle::testing {

HttpServer::HttpServer(std::function<Reply(const Request&)> answer)
    : m_answer(std::move(answer))
{
    m_listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(m_listener, generic, size) != 0 || ::listen(m_listener, 16) != 0 ||
        ::getsockname(m_listener, generic, &size) != 0)
        throw std::runtime_error("the test's server cannot listen");
    m_port = ntohs(address.sin_port);
    m_thread = std::jthread([this] { accept(); });
}

HttpServer::~HttpServer()
{
    m_ending = true;
    ::shutdown(m_listener, SHUT_RDWR);
    ::close(m_listener);
}

std::vector<Request> HttpServer::requests() const
{
    const std::lock_guard lock(m_mutex);
    return m_requests;
}

void HttpServer::forgetRequests()
{
    const std::lock_guard lock(m_mutex);
    m_requests.clear();
}

void HttpServer::accept()
{
    while (!m_ending) {
        const int socket = ::accept4(m_listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0)
            return;
        m_served.emplace_back([this, socket] { serve(socket); });
    }
}

void HttpServer::send(int socket, const std::string& bytes, int perSecond) const
{
    const std::size_t part = perSecond > 0 ? std::max(1, perSecond / 50) : bytes.size();
    for (std::size_t at = 0; at < bytes.size() && !m_ending;) {
        const auto done =
            ::send(socket, bytes.data() + at, std::min(part, bytes.size() - at), MSG_NOSIGNAL);
        if (done <= 0)
            return;
        at += static_cast<std::size_t>(done);
        if (perSecond > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void HttpServer::serve(int socket)
{
    std::string text;
    char buffer[4096];
    while (text.find("\r\n\r\n") == std::string::npos && text.size() < 65536) {
        const auto got = ::recv(socket, buffer, sizeof buffer, 0);
        if (got <= 0)
            break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    Request request;
    const auto lines = splitOn(text.substr(0, text.find("\r\n\r\n")), '\n');
    const auto words = splitOn(lines[0], ' ');
    const std::string target = words.size() > 1 ? words[1] : "";
    request.path = target.substr(0, target.find('?'));
    request.query =
        target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto colon = lines[i].find(':');
        if (colon != std::string::npos)
            request.headers[lowerAscii(lines[i].substr(0, colon))] =
                trimmed(lines[i].substr(colon + 1));
    }
    {
        const std::lock_guard lock(m_mutex);
        m_requests.push_back(request);
    }
    const Reply reply = m_answer(request);
    std::string head = fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n",
                                   reply.status, reply.statedLength.value_or(reply.body.size()));
    for (const auto& [name, value] : reply.headers)
        head += name + ": " + value + "\r\n";
    send(socket, head + "\r\n", 0);
    send(socket, reply.body.substr(0, reply.cutAfter.value_or(reply.body.size())),
         reply.bytesPerSecond);
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
}

std::string etagOf(const std::string& content)
{
    return "\"" + sha256(content).substr(0, 32) + "\"";
}

FakeHub::FakeHub()
    : m_store([this](const Request& request) { return fromStore(request); })
    , m_hub([this](const Request& request) { return answer(request); })
{
}

void FakeHub::forgetRequests()
{
    m_hub.forgetRequests();
    m_store.forgetRequests();
}

void FakeHub::addFolder(const std::string& folder)
{
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.is_regular_file())
            files[entry.path().filename().string()] = readFile(entry.path()).value();
    }
}

bool FakeHub::isLarge(const std::string& name) const
{
    return std::ranges::find(large, name) != large.end();
}

Json FakeHub::listing() const
{
    Json siblings = Json::array();
    for (const auto& [name, content] : files) {
        Json file = {{"rfilename", name}, {"size", content.size()}};
        if (isLarge(name)) {
            file["lfs"] = {
                {"sha256", sha256(content)}, {"size", content.size()}, {"pointerSize", 134}};
        } else {
            hub::Sha1 blob;
            const std::string head = fmt::format("blob {}", content.size()) + '\0';
            blob.update(head.data(), head.size());
            blob.update(content.data(), content.size());
            file["blobId"] = blob.finish();
        }
        siblings.push_back(file);
    }
    return {{"id", "somebody/tiny"},
            {"sha", commit},
            {"private", false},
            {"gated", false},
            {"siblings", siblings}};
}

Reply FakeHub::content(const Request& request, const std::string& name) const
{
    const auto found = files.find(name);
    if (found == files.end())
        return {404, {{"X-Error-Code", "EntryNotFound"}}, "no"};
    const auto& whole = found->second;
    Reply reply{200, {{"ETag", etagOf(whole)}, {"Accept-Ranges", "bytes"}}, whole};
    const auto range = request.headers.find("range");
    const auto condition = request.headers.find("if-range");
    if (range == request.headers.end() ||
        (condition != request.headers.end() && condition->second != etagOf(whole)))
        return reply;
    const auto first = std::stoull(range->second.substr(6));
    if (first >= whole.size())
        return {416, {}, ""};
    reply.status = 206;
    reply.headers.push_back(
        {"Content-Range", fmt::format("bytes {}-{}/{}", first, whole.size() - 1, whole.size())});
    reply.body = whole.substr(first);
    return reply;
}

Reply FakeHub::fromStore(const Request& request)
{
    Reply reply = content(request, request.path.substr(request.path.rfind('/') + 1));
    if (after)
        after(request, reply);
    return reply;
}

Reply FakeHub::answer(const Request& request)
{
    if (before) {
        if (auto instead = before(request))
            return *instead;
    }
    Reply reply{404, {{"X-Error-Code", "RepoNotFound"}}, "no"};
    const std::string resolve = "/somebody/tiny/resolve/" + commit + "/";
    if (request.path.starts_with("/api/models/somebody/tiny/revision/")) {
        const auto revision = request.path.substr(request.path.rfind('/') + 1);
        if (revision == "main" || revision == commit)
            reply = {200, {{"Content-Type", "application/json"}}, listing().dump()};
        else
            reply = {404, {{"X-Error-Code", "RevisionNotFound"}}, "no"};
    } else if (request.path.starts_with(resolve)) {
        const auto name = request.path.substr(resolve.size());
        reply = content(request, name);
        if (isLarge(name) && reply.status != 404)
            reply = {302,
                     {{"Location", m_store.address() + "/store/" + name},
                      {"X-Linked-Etag", "\"" + sha256(files[name]) + "\""},
                      {"ETag", "\"of-the-pointer\""}},
                     ""};
        reply.headers.push_back({"X-Repo-Commit", commit});
    }
    if (after)
        after(request, reply);
    return reply;
}

} // namespace fettle::testing

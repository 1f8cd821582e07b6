#pragma once

#include "base/json.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

/// A hub of models on this computer, for tests: speaks the part of the API that downloads use.
namespace fettle::testing {

struct Request
{
    std::string path, query;
    std::map<std::string, std::string> headers; ///< names in lower case
};

struct Reply
{
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::optional<std::size_t> cutAfter;     ///< bytes of the body, then the line breaks
    std::optional<std::size_t> statedLength; ///< a lie
    int bytesPerSecond = 0;                  ///< 0: as fast as it goes
};

/// Answers each connection once and closes it.
class HttpServer
{
public:
    explicit HttpServer(std::function<Reply(const Request&)> answer);
    ~HttpServer();

    std::string address() const { return "http://127.0.0.1:" + std::to_string(m_port); }
    std::vector<Request> requests() const;
    void forgetRequests();

private:
    void accept();
    void serve(int socket);
    void send(int socket, const std::string& bytes, int perSecond) const;

    std::function<Reply(const Request&)> m_answer;
    int m_listener = -1, m_port = 0;
    std::atomic<bool> m_ending{false};
    mutable std::mutex m_mutex;
    std::vector<Request> m_requests;    // guarded by m_mutex
    std::vector<std::jthread> m_served; // accepting thread only, until it has ended
    std::jthread m_thread;
};

/// A hub with one model, "somebody/tiny", whose files lie in memory.
class FakeHub
{
public:
    FakeHub();

    /// Set before downloads begin, or while none runs.
    std::map<std::string, std::string> files;
    std::vector<std::string> large{
        "model.safetensors"}; ///< listed by SHA-256, fetched from the store
    std::string commit = std::string(40, 'c');
    /// May answer in place of the hub.
    std::function<std::optional<Reply>(const Request&)> before;
    /// May change what the hub answers.
    std::function<void(const Request&, Reply&)> after;

    std::string address() const { return m_hub.address(); }
    const HttpServer& hub() const { return m_hub; }
    const HttpServer& store() const { return m_store; } ///< where large files are sent from
    void forgetRequests();
    Json listing() const;
    /// Files of the folder, by name.
    void addFolder(const std::string& folder);
    bool isLarge(const std::string& name) const;

private:
    Reply answer(const Request& request);
    Reply fromStore(const Request& request);
    Reply content(const Request& request, const std::string& name) const;

    HttpServer m_store, m_hub; // last: they call into this object
};

std::string etagOf(const std::string& content);

} // namespace fettle::testing

#include "hub/download.h"
#include "hub/hub_server.h"
#include "hub/partial_file.h"
#include "hub/sha1.h"
#include "sanitized.h"

#include <QElapsedTimer>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>
#include <fmt/format.h>

using namespace fettle;
using namespace fettle::hub;
using namespace fettle::testing;
namespace fs = std::filesystem;

/// What downloads do when all goes well, or well in the end.
class TestHub : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init();
    void gitNames();
    void fetchesAModelAndNothingElse();
    void sendsTheTokenToTheHubAlone();
    void goesOnWhereTheLineBroke();
    void goesOnInAnotherCall();
    void beginsAnewWhenTheContentChanged();
    void fetchesTheShardsOfTheIndex();
    void fetchesPickledWeightsOnlyWithoutOthers();
    void fetchesAnAdapter();
    void worksWithoutSizesInTheList();
    void keepsCommitsApart();
    void stopsAtOnceAndKeepsThePart();
    void takesOnlyKnownCertificates();
    void usesTheProxyOfTheEnvironment();

private:
    fs::path downloads() const { return fs::path(m_folder->path().toStdString()) / "downloads"; }
    HubAccess access() const
    {
        HubAccess access;
        access.address = m_hub->address();
        access.pause = std::chrono::milliseconds(5);
        return access;
    }
    HubName name() const { return {"somebody/tiny", "main"}; }
    /// Names of the files that were asked for, without the list itself.
    QStringList asked() const
    {
        QStringList names;
        for (const auto& request : m_hub->hub().requests()) {
            if (request.path.find("/resolve/") != std::string::npos)
                names << QString::fromStdString(request.path.substr(request.path.rfind('/') + 1));
        }
        names.sort();
        return names;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<FakeHub> m_hub;
};

/// A proxy that does not work: this computer must be reached without it.
void TestHub::initTestCase()
{
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy"})
        qputenv(name, "http://127.0.0.1:1");
    for (const char* name : {"no_proxy", "NO_PROXY"})
        qunsetenv(name);
}

void TestHub::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    m_hub = std::make_unique<FakeHub>();
    m_hub->addFolder(std::string(FETTLE_SOURCE_DIR) + "/tests/fixtures/tiny_llama");
    QVERIFY(m_hub->files.contains("model.safetensors"));
}

void TestHub::gitNames()
{
    const auto digest = [](const std::string& text) {
        Sha1 sha1;
        sha1.update(text.data(), text.size());
        return sha1.finish();
    };
    QCOMPARE(digest(""), std::string("da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    QCOMPARE(digest("abc"), std::string("a9993e364706816aba3e25717850c26c9cd0d89d"));
    QCOMPARE(digest(std::string(1000000, 'a')),
             std::string("34aa973cd4c4daa4f61eeb2bdbad27316534016f"));
    // git hash-object of a file with "hello\n"
    QCOMPARE(digest(std::string("blob 6\0hello\n", 13)),
             std::string("ce013625030ba8dba906f756967f9e9ca394464a"));
}

void TestHub::fetchesAModelAndNothingElse()
{
    m_hub->files["modeling_tiny.py"] = "import os";
    m_hub->files["pytorch_model.bin"] = "pickle";
    m_hub->files["consolidated.safetensors"] = "twice the same";
    m_hub->files["onnx/model.onnx"] = "another form";
    m_hub->files["README.md"] = "---\nlicense: mit\n---\n";
    std::uint64_t last = 0, total = 0;
    const auto done = download(access(), name(), downloads(), [&](auto now, auto all, const auto&) {
        last = now;
        total = all;
    });
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QCOMPARE(done->commit, m_hub->commit);
    QVERIFY(!done->adapter && !done->pickles);
    QStringList wanted;
    for (const auto& [file, content] : m_hub->files) {
        const bool taken = file != "modeling_tiny.py" && file != "pytorch_model.bin" &&
                           file != "consolidated.safetensors" && file != "onnx/model.onnx";
        QCOMPARE(fs::exists(done->folder / file), taken);
        if (taken) {
            QCOMPARE(readFile(done->folder / file).value(), content);
            wanted << QString::fromStdString(file);
        }
    }
    QCOMPARE(asked(), wanted);
    QCOMPARE(last, done->bytes);
    QCOMPARE(total, done->bytes);
    QVERIFY(fs::status(done->folder).permissions() == fs::perms::owner_all);
    // A second time nothing is fetched again.
    m_hub->forgetRequests();
    QVERIFY(download(access(), name(), downloads()));
    QCOMPARE(asked(), QStringList());
    // A file that was damaged meanwhile is.
    fs::resize_file(done->folder / "config.json", 3);
    QVERIFY(download(access(), name(), downloads()));
    QCOMPARE(asked(), QStringList{"config.json"});
}

void TestHub::sendsTheTokenToTheHubAlone()
{
    auto with = access();
    with.token = "hf_secret";
    QVERIFY(download(with, name(), downloads()));
    for (const auto& request : m_hub->hub().requests())
        QCOMPARE(request.headers.at("authorization"), std::string("Bearer hf_secret"));
    QCOMPARE(m_hub->store().requests().size(), std::size_t(1));
    QVERIFY(!m_hub->store().requests()[0].headers.contains("authorization"));
    for (const auto& entry : fs::recursive_directory_iterator(downloads())) {
        if (entry.is_regular_file())
            QVERIFY(readFile(entry.path()).value().find("hf_secret") == std::string::npos);
    }
}

void TestHub::goesOnWhereTheLineBroke()
{
    std::atomic<int> sent = 0;
    m_hub->after = [&](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/") && sent++ < 3)
            reply.cutAfter = 10'000;
    };
    const auto done = download(access(), name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QCOMPARE(readFile(done->folder / "model.safetensors").value(),
             m_hub->files["model.safetensors"]);
    const auto requests = m_hub->store().requests();
    QCOMPARE(requests.size(), std::size_t(4));
    QVERIFY(!requests[0].headers.contains("range"));
    for (std::size_t i = 1; i < 4; ++i) {
        QCOMPARE(requests[i].headers.at("range"), fmt::format("bytes={}-", 10'000 * i));
        QCOMPARE(requests[i].headers.at("if-range"), etagOf(m_hub->files["model.safetensors"]));
    }
}

void TestHub::goesOnInAnotherCall()
{
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply = request.headers.contains("range") ? Reply{503, {}, ""} : reply,
            reply.cutAfter = 20'000;
    };
    auto once = access();
    once.attempts = 1;
    const auto broken = download(once, name(), downloads());
    QVERIFY(!broken);
    QVERIFY(broken.error().code == ErrorCode::Io);
    m_hub->after = {};
    m_hub->forgetRequests();
    const auto done = download(once, name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QCOMPARE(readFile(done->folder / "model.safetensors").value(),
             m_hub->files["model.safetensors"]);
    QCOMPARE(asked(), QStringList{"model.safetensors"});
    QCOMPARE(m_hub->store().requests()[0].headers.at("range"), std::string("bytes=20000-"));
}

/// The part belongs to other bytes than the server has now: it must not be built upon.
void TestHub::beginsAnewWhenTheContentChanged()
{
    const auto right = m_hub->files["model.safetensors"];
    const Json list = m_hub->listing();
    m_hub->files["model.safetensors"] = std::string(right.size(), 'x');
    m_hub->before = [&](const Request& request) -> std::optional<Reply> {
        if (request.path.starts_with("/api/"))
            return Reply{200, {}, list.dump()};
        return std::nullopt;
    };
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.cutAfter = 20'000;
    };
    auto once = access();
    once.attempts = 1;
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply = request.headers.contains("range") ? Reply{503, {}, ""} : reply,
            reply.cutAfter = 20'000;
    };
    QVERIFY(!download(once, name(), downloads()));
    m_hub->after = {};
    m_hub->files["model.safetensors"] = right;
    m_hub->forgetRequests();
    const auto done = download(once, name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QCOMPARE(m_hub->store().requests()[0].headers.at("range"), std::string("bytes=20000-"));
    QCOMPARE(readFile(done->folder / "model.safetensors").value(), right);
}

void TestHub::fetchesTheShardsOfTheIndex()
{
    m_hub->files.erase("model.safetensors");
    m_hub->files["model-00001-of-00002.safetensors"] = std::string(1000, 'a');
    m_hub->files["model-00002-of-00002.safetensors"] = std::string(2000, 'b');
    m_hub->files["other.safetensors"] = "not in the index";
    m_hub->files["model.safetensors.index.json"] =
        R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})";
    m_hub->large = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
    const auto done = download(access(), name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QVERIFY(fs::exists(done->folder / "model-00002-of-00002.safetensors"));
    QVERIFY(fs::exists(done->folder / "model.safetensors.index.json"));
    QVERIFY(!fs::exists(done->folder / "other.safetensors"));
}

void TestHub::fetchesPickledWeightsOnlyWithoutOthers()
{
    m_hub->files.erase("model.safetensors");
    m_hub->files["pytorch_model.bin"] = "pickle";
    m_hub->files["training_args.bin"] = "pickle with code";
    const auto done = download(access(), name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QVERIFY(done->pickles && fs::exists(done->folder / "pytorch_model.bin"));
    QVERIFY(!fs::exists(done->folder / "training_args.bin"));
}

void TestHub::fetchesAnAdapter()
{
    m_hub->files = {{"adapter_config.json", "{}"},
                    {"adapter_model.safetensors", "weights"},
                    {"README.md", "text"}};
    const auto done = download(access(), name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QVERIFY(done->adapter && fs::exists(done->folder / "adapter_config.json") &&
            fs::exists(done->folder / "adapter_model.safetensors"));
}

/// A mirror may list names alone; the store's own headers then say what to check.
void TestHub::worksWithoutSizesInTheList()
{
    m_hub->before = [this](const Request& request) -> std::optional<Reply> {
        if (!request.path.starts_with("/api/"))
            return std::nullopt;
        Json list = m_hub->listing();
        for (auto& file : list["siblings"])
            file = {{"rfilename", file["rfilename"]}};
        return Reply{200, {}, list.dump()};
    };
    const auto done = download(access(), name(), downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    QCOMPARE(readFile(done->folder / "model.safetensors").value(),
             m_hub->files["model.safetensors"]);
    // The digest in X-Linked-Etag counts.
    fs::remove_all(downloads());
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.body[100] ^= 1;
    };
    const auto wrong = download(access(), name(), downloads());
    QVERIFY(!wrong && wrong.error().what.find("digest") != std::string::npos);
}

void TestHub::keepsCommitsApart()
{
    const auto first = download(access(), name(), downloads()).value();
    m_hub->commit = std::string(40, 'd');
    m_hub->files["config.json"] += "\n";
    const auto second = download(access(), name(), downloads()).value();
    QVERIFY(first.folder != second.folder);
    QCOMPARE(second.commit, m_hub->commit);
    QVERIFY(readFile(first.folder / "config.json").value() !=
            readFile(second.folder / "config.json").value());
    // What nobody goes on with does not stay for ever.
    fs::last_write_time(first.folder,
                        fs::file_time_type::clock::now() - std::chrono::hours(24 * 31));
    QVERIFY(download(access(), name(), downloads()));
    QVERIFY(!fs::exists(first.folder) && fs::exists(second.folder));
}

void TestHub::stopsAtOnceAndKeepsThePart()
{
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.bytesPerSecond = 20'000;
    };
    std::stop_source stop;
    std::atomic<bool> begun = false;
    QElapsedTimer timer;
    const auto progress = [&](std::uint64_t, std::uint64_t, const std::string& file) {
        if (file == "model.safetensors" && !begun.exchange(true)) {
            timer.start();
            stop.request_stop();
        }
    };
    const auto stopped = download(access(), name(), downloads(), progress, stop.get_token());
    QVERIFY(begun && !stopped);
    QVERIFY(stopped.error().code == ErrorCode::Cancelled);
    QVERIFY2(timer.elapsed() < fettle::tests::patient(2000), qPrintable(QString::number(timer.elapsed())));
    bool part = false;
    for (const auto& entry : fs::recursive_directory_iterator(downloads()))
        part =
            part || (entry.path().filename() == "model.safetensors.part" && entry.file_size() > 0);
    QVERIFY(part);
    m_hub->after = {};
    QVERIFY(download(access(), name(), downloads()));
}

/// A server of ours with a certificate of ours: refused until its authority is named.
void TestHub::takesOnlyKnownCertificates()
{
    const auto at = [this](const char* file) { return m_folder->filePath(file); };
    QProcess make;
    make.start("openssl", {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                           "/CN=test hub", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                           at("key.pem"), "-out", at("cert.pem")});
    if (!make.waitForStarted())
        QSKIP("the program openssl is not installed");
    QVERIFY(make.waitForFinished(60'000) && make.exitCode() == 0);
    const QString folder = at("served/api/models/somebody/tiny/revision");
    QVERIFY(QDir().mkpath(folder));
    QFile list(folder + "/main?blobs=true");
    QVERIFY(list.open(QIODevice::WriteOnly));
    list.write(QByteArray::fromStdString(m_hub->listing().dump()));
    list.close();
    QProcess server;
    server.setWorkingDirectory(at("served"));
    int port = 0;
    {
        const HttpServer free([](const Request&) { return Reply{}; });
        port = QString::fromStdString(free.address()).section(':', -1).toInt();
    }
    server.start("openssl", {"s_server", "-accept", "127.0.0.1:" + QString::number(port), "-key",
                             at("key.pem"), "-cert", at("cert.pem"), "-WWW"});
    QVERIFY(server.waitForStarted());
    auto tls = access();
    tls.address = fmt::format("https://127.0.0.1:{}", port);
    tls.attempts = 1;
    Result<HubListing> unknown = Error{};
    const auto heard = [&] {
        unknown = listFiles(tls, name());
        return unknown || unknown.error().what.find("reached") == std::string::npos;
    };
    QTRY_VERIFY_WITH_TIMEOUT(heard(), 20'000);
    QVERIFY(!unknown);
    QVERIFY2(unknown.error().what.find("certificate") != std::string::npos,
             unknown.error().sentence().c_str());
    tls.certificates = at("cert.pem").toStdString();
    const auto known = listFiles(tls, name());
    QVERIFY2(known, known ? "" : known.error().sentence().c_str());
    QCOMPARE(known->commit, m_hub->commit);
    // The certificate is for the number, not for the name.
    tls.address = fmt::format("https://localhost:{}", port);
    const auto otherName = listFiles(tls, name());
    QVERIFY(!otherName);
    QVERIFY2(otherName.error().what.find("certificate") != std::string::npos,
             otherName.error().sentence().c_str());
    tls.certificates = at("key.pem").toStdString();
    QVERIFY(!listFiles(tls, name()));
    server.kill();
    server.waitForFinished();
}

void TestHub::usesTheProxyOfTheEnvironment()
{
    const HttpServer proxy([](const Request&) { return Reply{403, {}, ""}; });
    qputenv("https_proxy", QByteArray::fromStdString(proxy.address()));
    auto far = access();
    far.address = "https://hub.example";
    far.token = "hf_secret";
    far.attempts = 1;
    QVERIFY(!listFiles(far, name()));
    QCOMPARE(proxy.requests().size(), std::size_t(1));
    QCOMPARE(proxy.requests()[0].path, std::string("hub.example:443"));
    QVERIFY(
        !proxy.requests()[0].headers.contains("authorization")); // it sees no more than the name
}

QTEST_GUILESS_MAIN(TestHub)
#include "test_hub.moc"

#include "hub/download.h"
#include "hub/hub_server.h"
#include "sanitized.h"

#include <QTemporaryDir>
#include <QtTest>
#include <fmt/format.h>

using namespace fettle;
using namespace fettle::hub;
using namespace fettle::testing;
namespace fs = std::filesystem;

/// What downloads refuse, and the sentence with which they do.
class TestHubRefusals : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void nothingWhileTheNetworkIsOff();
    void settingsAreChecked();
    void namesAreChecked_data();
    void namesAreChecked();
    void answersOfTheHub_data();
    void answersOfTheHub();
    void triesAgainWhenTheHubIsBusy();
    void wrongDigests_data();
    void wrongDigests();
    void moreBytesThanPromised();
    void moreThanTheDiskHolds();
    void redirects_data();
    void redirects();
    void placesOutsideTheFolder();
    void unknownFamiliesBeforeTheirWeights();
    void repositoriesWithoutAModel();
    void answersThatAreNone();
    void twoAtOnce();

private:
    fs::path downloads() const { return fs::path(m_folder->path().toStdString()) / "downloads"; }
    HubAccess access() const
    {
        HubAccess access;
        access.address = m_hub->address();
        access.pause = std::chrono::milliseconds(1);
        return access;
    }
    Error failure(const HubAccess& with) const
    {
        const auto done = download(with, {"somebody/tiny", "main"}, downloads());
        return done ? Error{ErrorCode::Internal, "it did not fail", "", ""} : done.error();
    }
    std::size_t filesNamed(const std::string& name) const
    {
        std::size_t count = 0;
        for (const auto& entry : fs::recursive_directory_iterator(downloads()))
            count += entry.path().filename() == name;
        return count;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<FakeHub> m_hub;
};

void TestHubRefusals::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    m_hub = std::make_unique<FakeHub>();
    m_hub->addFolder(std::string(FETTLE_SOURCE_DIR) + "/tests/fixtures/tiny_llama");
}

void TestHubRefusals::nothingWhileTheNetworkIsOff()
{
    const auto workspace = store::Workspace::open(m_folder->path().toStdString() + "/w").value();
    qunsetenv("HF_ENDPOINT");
    const auto off = accessFrom(*workspace);
    QVERIFY(!off && off.error().where == "setting network");
    setSetting(*workspace, "network", "on").value();
    QVERIFY(accessFrom(*workspace).value().address.starts_with("https://"));
    qputenv("HF_ENDPOINT", "https://mirror.example/");
    QCOMPARE(accessFrom(*workspace).value().address, std::string("https://mirror.example"));
    setSetting(*workspace, "hub.address", "https://own.example").value();
    QCOMPARE(accessFrom(*workspace).value().address, std::string("https://own.example"));
    setSetting(*workspace, "hub.address", "").value();
    QCOMPARE(accessFrom(*workspace).value().address, std::string("https://mirror.example"));
    qputenv("HF_ENDPOINT", "http://mirror.example");
    QVERIFY(!accessFrom(*workspace));
    qunsetenv("HF_ENDPOINT");
    setSetting(*workspace, "network", "off").value();
    QVERIFY(!accessFrom(*workspace));
}

void TestHubRefusals::settingsAreChecked()
{
    const auto workspace = store::Workspace::open(m_folder->path().toStdString() + "/w").value();
    QVERIFY(!setSetting(*workspace, "network", "perhaps"));
    QVERIFY(!setSetting(*workspace, "networks", "on"));
    QVERIFY(!setSetting(*workspace, "hub.address", "ftp://own.example"));
    QVERIFY(!setSetting(*workspace, "hub.address", "http://own.example"));
    QVERIFY(!setSetting(*workspace, "hub.address", "https://me:secret@own.example"));
    QVERIFY(!setSetting(*workspace, "hub.address", "http://127.0.0.1.own.example"));
    QVERIFY(setSetting(*workspace, "hub.address", "http://127.0.0.1:8080"));
    QVERIFY(setSetting(*workspace, "hub.address", "http://localhost:8080"));
    QVERIFY(!settingsOf(*workspace).flag("network"));
}

void TestHubRefusals::namesAreChecked_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("good");
    const auto row = [](const char* name, bool good) {
        QTest::newRow(name) << QString(name) << good;
    };
    row("owner/name", true);
    row("gpt2", true);
    row("owner/name@v1.0", true);
    row("owner/name@refs/pr/3", true);
    row("owner/name-1.5B_x", true);
    row("", false);
    row("/name", false);
    row("owner/", false);
    row("a/b/c", false);
    row("../secret", false);
    row("owner/..", false);
    row("owner/na me", false);
    row("owner/name?x=1", false);
    row("owner/name#x", false);
    row("owner/name@", false);
    row("owner/name@../../x", false);
    row("owner/name@-x", false);
    row("owner/n%2e%2e", false);
}

void TestHubRefusals::namesAreChecked()
{
    QFETCH(QString, name);
    QFETCH(bool, good);
    QCOMPARE(bool(parseHubName(name.toStdString())), good);
}

void TestHubRefusals::answersOfTheHub_data()
{
    QTest::addColumn<int>("status");
    QTest::addColumn<QString>("code");
    QTest::addColumn<QString>("token");
    QTest::addColumn<QString>("words");
    QTest::addColumn<QString>("remedy");
    const auto row = [](const char* title, int status, const char* code, const char* token,
                        const char* words, const char* remedy) {
        QTest::newRow(title) << status << code << token << words << remedy;
    };
    row("private or absent", 401, "RepoNotFound", "", "no such model, or", "HF_TOKEN");
    row("wrong token", 401, "", "hf_x", "does not take the token", "HF_TOKEN");
    row("gated without token", 401, "GatedRepo", "", "one by one", "make a token");
    row("gated with token", 403, "GatedRepo", "hf_x", "one by one", "accept its conditions");
    row("forbidden", 403, "", "hf_x", "one by one", "accept");
    row("no such model", 404, "RepoNotFound", "", "no such model", "Check the name");
    row("no such revision", 404, "RevisionNotFound", "", "no revision \"main\"", "branch");
    row("too many requests", 429, "", "", "too many requests", "minutes");
    row("trouble", 503, "", "", "trouble itself (answer 503)", "later");
    row("odd", 418, "", "", "unexpected answer 418", "address");
}

void TestHubRefusals::answersOfTheHub()
{
    QFETCH(int, status);
    QFETCH(QString, code);
    QFETCH(QString, token);
    QFETCH(QString, words);
    QFETCH(QString, remedy);
    m_hub->before = [&](const Request&) {
        return Reply{
            status, {{"X-Error-Code", code.toStdString()}}, "{\"error\": \"text of the server\"}"};
    };
    auto with = access();
    with.token = token.toStdString();
    const auto error = failure(with);
    QVERIFY2(error.what.find(words.toStdString()) != std::string::npos, error.what.c_str());
    QVERIFY2(error.remedy.find(remedy.toStdString()) != std::string::npos, error.remedy.c_str());
    QCOMPARE(error.where, std::string("somebody/tiny"));
    const bool again = status == 429 || status >= 500;
    QCOMPARE(m_hub->hub().requests().size(), std::size_t(again ? 5 : 1));
}

void TestHubRefusals::triesAgainWhenTheHubIsBusy()
{
    std::atomic<int> count = 0;
    m_hub->before = [&](const Request&) -> std::optional<Reply> {
        switch (count++ % 3) {
        case 0:
            return Reply{429, {{"Retry-After", "0"}}, ""};
        case 1:
            return Reply{500, {}, "oops"};
        default:
            return std::nullopt;
        }
    };
    const auto done = download(access(), {"somebody/tiny", "main"}, downloads());
    QVERIFY2(done, done ? "" : done.error().sentence().c_str());
    // A stop ends the waiting.
    m_hub->before = [](const Request&) { return Reply{503, {{"Retry-After", "60"}}, ""}; };
    std::stop_source stop;
    const std::jthread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        stop.request_stop();
    });
    QElapsedTimer timer;
    timer.start();
    const auto stopped = listFiles(access(), {"somebody/tiny", "main"}, stop.get_token());
    QVERIFY(!stopped && stopped.error().code == ErrorCode::Cancelled);
    QVERIFY(timer.elapsed() < fettle::tests::patient(5000));
}

void TestHubRefusals::wrongDigests_data()
{
    QTest::addColumn<QString>("file");
    QTest::newRow("a weight file, by SHA-256") << "model.safetensors";
    QTest::newRow("a small file, by git's name") << "tokenizer.json";
}

void TestHubRefusals::wrongDigests()
{
    QFETCH(QString, file);
    std::atomic<int> bad = 0;
    m_hub->after = [&](const Request& request, Reply& reply) {
        if (request.path.ends_with("/" + file.toStdString()) && reply.status == 200) {
            reply.body[reply.body.size() / 2] ^= 0x20;
            ++bad;
        }
    };
    const auto error = failure(access());
    QVERIFY(error.code == ErrorCode::InvalidInput);
    QVERIFY2(error.what.find("digest") != std::string::npos, error.what.c_str());
    QCOMPARE(error.where, file.toStdString());
    QCOMPARE(filesNamed(file.toStdString()), std::size_t(0));
    QCOMPARE(bad.load(), 1);
    m_hub->after = {}; // what was wrong is not built upon
    QVERIFY(download(access(), {"somebody/tiny", "main"}, downloads()));
}

void TestHubRefusals::moreBytesThanPromised()
{
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.statedLength = std::size_t(1) << 40;
    };
    auto error = failure(access());
    QVERIFY2(error.what.find("1099511627776 bytes") != std::string::npos, error.what.c_str());
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/")) {
            reply.status = 206;
            reply.headers.push_back({"Content-Range", "bytes 500-600/601"});
        }
    };
    error = failure(access());
    QVERIFY2(error.what.find("another part") != std::string::npos, error.what.c_str());
}

void TestHubRefusals::moreThanTheDiskHolds()
{
    for (const std::uint64_t size : {std::uint64_t(1) << 60, ~std::uint64_t(0)}) {
        m_hub->before = [this, size](const Request& request) -> std::optional<Reply> {
            if (!request.path.starts_with("/api/"))
                return std::nullopt;
            Json list = m_hub->listing();
            for (auto& file : list["siblings"]) {
                if (file["rfilename"] == "model.safetensors")
                    file["lfs"]["size"] = size;
            }
            return Reply{200, {}, list.dump()};
        };
        const auto error = failure(access());
        QVERIFY2(error.code == ErrorCode::DiskFull, error.sentence().c_str());
        QVERIFY(m_hub->store().requests().empty());
    }
}

void TestHubRefusals::redirects_data()
{
    QTest::addColumn<QString>("target");
    QTest::newRow("not encrypted") << "http://cdn.example/file";
    QTest::newRow("a file") << "file:///etc/passwd";
    QTest::newRow("another protocol") << "ftp://cdn.example/file";
    QTest::newRow("like this computer") << "http://127.0.0.1.cdn.example/file";
    QTest::newRow("with a password") << "https://a:b@cdn.example/file";
}

void TestHubRefusals::redirects()
{
    QFETCH(QString, target);
    m_hub->after = [&](const Request& request, Reply& reply) {
        if (request.path.ends_with("/model.safetensors") && reply.status == 302)
            reply.headers[0].second = target.toStdString();
    };
    const auto error = failure(access());
    QCOMPARE(error.where, std::string("redirect"));
    QVERIFY(m_hub->store().requests().empty());
}

void TestHubRefusals::placesOutsideTheFolder()
{
    m_hub->files.erase("model.safetensors");
    for (const char* name : {"../../evil.safetensors", "/tmp/evil.safetensors", "a\\b.safetensors",
                             "evil.py", "config.json"}) {
        m_hub->files["model.safetensors.index.json"] = Json{{"weight_map", {{"a", name}}}}.dump();
        m_hub->files[name] = m_hub->files.contains(name) ? m_hub->files[name] : "evil";
        const auto error = failure(access());
        QVERIFY2(error.what.starts_with("the index names"), error.what.c_str());
    }
    for (const auto& entry : fs::recursive_directory_iterator(m_folder->path().toStdString()))
        QVERIFY(entry.path().filename().string().find("evil") == std::string::npos);
    // A name like that in the list itself is never asked for.
    m_hub->files.erase("model.safetensors.index.json");
    m_hub->files["../config.json"] = "evil";
    m_hub->files["sub/model.safetensors"] = "evil";
    QVERIFY(failure(access()).what.find("no model") != std::string::npos);
}

void TestHubRefusals::unknownFamiliesBeforeTheirWeights()
{
    m_hub->files["config.json"] = R"({"model_type": "llamb"})";
    const auto error = failure(access());
    QVERIFY(error.code == ErrorCode::Unsupported);
    QVERIFY2(error.what.find("'llama'") != std::string::npos, error.what.c_str());
    QVERIFY(m_hub->store().requests().empty());
}

void TestHubRefusals::repositoriesWithoutAModel()
{
    m_hub->files = {{"model-Q4_0.gguf", "GGUF"}};
    auto error = failure(access());
    QVERIFY(error.code == ErrorCode::Unsupported && error.what.find("GGUF") != std::string::npos);
    m_hub->files = {{"data.csv", "a,b"}};
    error = failure(access());
    QVERIFY(error.what.find("no model") != std::string::npos);
}

void TestHubRefusals::answersThatAreNone()
{
    for (const char* text :
         {"<html>", "[]", "{}", "{\"sha\": \"main\"}", "{\"sha\": 3, \"siblings\": []}",
          "{\"sha\": \"cccccccccccccccccccccccccccccccccccccccc\"}"}) {
        m_hub->before = [&](const Request&) { return Reply{200, {}, text}; };
        const auto error = failure(access());
        QVERIFY2(error.remedy.find("address") != std::string::npos, text);
    }
    m_hub->before = [](const Request&) {
        return Reply{302, {{"Location", "/api/models/somebody/tiny/revision/main"}}, ""};
    };
    QVERIFY(failure(access()).what.find("without end") != std::string::npos);
    auto nowhere = access();
    nowhere.address = "http://127.0.0.1:1";
    nowhere.attempts = 1;
    QVERIFY(failure(nowhere).what.find("cannot be reached") != std::string::npos);
}

void TestHubRefusals::twoAtOnce()
{
    m_hub->after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.bytesPerSecond = 100'000;
    };
    std::atomic<bool> begun = false;
    Result<Downloaded> first = Error{};
    std::jthread one([&] {
        first = download(access(), {"somebody/tiny", "main"}, downloads(),
                         [&](auto, auto, const std::string& file) {
                             begun = begun || file == "model.safetensors";
                         });
    });
    QTRY_VERIFY(begun);
    QVERIFY(failure(access()).code == ErrorCode::Busy);
    one.join();
    QVERIFY(first);
}

QTEST_GUILESS_MAIN(TestHubRefusals)
#include "test_hub_refusals.moc"

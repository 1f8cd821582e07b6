#include "cli/cli_fixture.h"
#include "hub/hub_server.h"
#include "model/adapter_help.h"

#include <QDir>
#include <QRegularExpression>
#include <QtTest>
#include <csignal>

using namespace fettle;
using namespace fettle::testing;

/// Models from a hub, with adapters, and in the forms in which they leave.
class TestCliModels : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void exportsAModel();
    void exportsAreVerified();
    void wrongExports_data();
    void wrongExports();
    void mergesAnAdapter();
    void fetchesFromAHub();
    void takesTheTokenOfTheKeychain();
    void goesOnAfterAnInterrupt();

private:
    CliFixture m_cli;
};

void TestCliModels::initTestCase() { QCOMPARE(m_cli.importTinyModel(), QString()); }

void TestCliModels::exportsAModel()
{
    const auto out = m_cli.path("half");
    const auto done = m_cli.run({"export", "model:tiny", "--as", "merged", "--dtype", "bf16",
                                 "--shard-size", "60 kB", "--to", out, "--json"});
    QVERIFY2(done.code == 0, done.words().constData());
    const auto card = done.json();
    QCOMPARE(card["type"], Json("bfloat16"));
    QCOMPARE(card["from"]["model"], Json("tiny"));
    QVERIFY(card["proof"]["passed"].get<bool>() && card["proof"]["weights"].get<int>() > 10);
    QVERIFY(QFile::exists(out + "/model.safetensors.index.json") &&
            QFile::exists(out + "/PROOF.md") && QFile::exists(out + "/fettle-proof.json"));
    QDONE(m_cli.run({"model", "import", out, "--as", "half"}));
    // Out again in the same form: the same bytes.
    QDONE(m_cli.run({"export", "half", "--as", "merged", "--dtype", "bfloat16", "--shard-size",
                     "60kB", "--to", m_cli.path("again")}));
    for (const auto& file :
         QDir(out).entryList({"*.safetensors", "config.json", "tokenizer.json"}, QDir::Files)) {
        QFile first(out + "/" + file), second(m_cli.path("again") + "/" + file);
        QVERIFY(first.open(QIODevice::ReadOnly) && second.open(QIODevice::ReadOnly));
        QVERIFY2(first.readAll() == second.readAll(), qPrintable(file));
    }
}

void TestCliModels::exportsAreVerified()
{
    const auto out = m_cli.path("whole");
    QDONE(m_cli.run({"export", "tiny", "--as", "merged", "--to", out}));
    const auto good = m_cli.run({"export", "verify", out});
    QVERIFY2(good.code == 0 && good.out.contains("Its proof passed"), good.words().constData());
    QFile weights(out + "/model.safetensors");
    QVERIFY(weights.open(QIODevice::ReadWrite) && weights.seek(20'000));
    weights.write("x");
    weights.close();
    auto bad = m_cli.run({"export", "verify", out});
    QVERIFY2(
        problemWith(bad, 4, {"changed: model.safetensors", "export the model again"}).isEmpty(),
        bad.words().constData());
    QVERIFY(QFile::remove(out + "/tokenizer.json"));
    bad = m_cli.run({"export", "verify", out, "--json"});
    QCOMPARE(bad.code, 4);
    QCOMPARE(bad.json()["missing"], Json::array({"tokenizer.json"}));
    QVERIFY(problemWith(m_cli.run({"export", "verify", m_cli.path("nothing")}), 3, {"proof card"})
                .isEmpty());
}

void TestCliModels::wrongExports_data()
{
    QTest::addColumn<QStringList>("more");
    QTest::addColumn<QStringList>("words");
    QTest::newRow("unknown type") << QStringList{"--as", "merged", "--dtype", "int3"}
                                  << QStringList{"int3", "bfloat16"};
    QTest::newRow("size without unit") << QStringList{"--as", "merged", "--shard-size", "5 apples"}
                                       << QStringList{"5 apples", "GB"};
    QTest::newRow("add-on of a model") << QStringList{"--as", "peft"} << QStringList{"peft", "run"};
    QTest::newRow("no form") << QStringList{} << QStringList{"--as is required"};
}

void TestCliModels::wrongExports()
{
    QFETCH(QStringList, more);
    QFETCH(QStringList, words);
    const auto run =
        m_cli.run(QStringList{"export", "model:tiny", "--to", m_cli.path("wrong")} + more);
    QVERIFY2(problemWith(run, 2, words).isEmpty(), qPrintable(problemWith(run, 2, words)));
    QVERIFY(!QFile::exists(m_cli.path("wrong")));
}

void TestCliModels::mergesAnAdapter()
{
    const auto base =
        QString::fromStdString(makeBase(m_cli.path("").toStdString(), "llama").string());
    const auto adapter = CliFixture::source("tests/fixtures/adapters/llama_all_linear");
    QDONE(m_cli.run({"model", "import", base, "--as", "base"}));
    const auto alone = m_cli.run({"model", "import", adapter});
    QVERIFY2(problemWith(alone, 2, {"an adapter, not a model", "--base"}).isEmpty(),
             alone.words().constData());
    const auto wrong = m_cli.run({"model", "import", adapter, "--base", "tiny", "--as", "wrong"});
    QVERIFY2(problemWith(wrong, 2, {"llama_all_linear"}).isEmpty(), wrong.words().constData());
    const auto done =
        m_cli.run({"model", "import", adapter, "--base", "base", "--as", "merged", "--json"});
    QVERIFY2(done.code == 0, done.words().constData());
    QCOMPARE(done.json()["info"]["base"]["model"], Json("base"));
    QCOMPARE(done.json()["info"]["base"]["calledByTheAdapter"], Json("example/llama"));
    QVERIFY(m_cli.run({"model", "show", "merged"}).out.contains("an adapter merged into base"));
    QDONE(m_cli.run({"generate", "merged", "--prompt", "w1 w2", "--max-new", "2"}));
}

void TestCliModels::fetchesFromAHub()
{
    FakeHub hub;
    hub.addFolder((fixtures() / "tiny_llama").string());
    qputenv("HF_ENDPOINT", QByteArray::fromStdString(hub.address()));
    qputenv("HF_TOKEN", "hf_secret");
    const QStringList download{"model", "download", "somebody/tiny", "--as", "fetched"};
    const auto off = m_cli.run(download);
    QVERIFY2(problemWith(off, 2, {"network is switched off", "settings set network on"}).isEmpty(),
             off.words().constData());
    QVERIFY(hub.hub().requests().empty());
    QDONE(m_cli.run({"settings", "set", "network", "on"}));
    QCOMPARE(m_cli.run({"settings", "get", "network"}).out, QByteArray("on\n"));
    QVERIFY(m_cli.run({"settings", "list"}).out.contains("hub.certificates"));
    QVERIFY(problemWith(m_cli.run({"settings", "get", "colour"}), 3, {"colour"}).isEmpty());
    QVERIFY(problemWith(m_cli.run({"settings", "set", "hub.address", "http://far.example"}), 2,
                        {"hub.address", "https"})
                .isEmpty());
    const auto done = m_cli.run(download + QStringList{"--json"});
    QVERIFY2(done.code == 0, done.words().constData());
    QCOMPARE(done.json()["info"]["hub"]["commit"].get<std::string>(), hub.commit);
    QCOMPARE(hub.hub().requests()[0].headers.at("authorization"), std::string("Bearer hf_secret"));
    const auto shown = m_cli.run({"model", "show", "fetched"}).out;
    QVERIFY2(shown.contains(QByteArray::fromStdString("commit " + hub.commit)), shown.constData());
    QVERIFY(QDir(m_cli.workspace() + "/downloads").isEmpty());
    QVERIFY(problemWith(m_cli.run(download), 2, {"of this name already"}).isEmpty());
    QVERIFY(problemWith(
                m_cli.run({"model", "download", "somebody/tiny", "--revision", "v9", "--as", "x"}),
                3, {"no revision \"v9\""})
                .isEmpty());
    QVERIFY(problemWith(m_cli.run({"model", "download", "../x"}), 2, {"owner/name"}).isEmpty());
    const auto grep = m_cli.shell("grep -rl hf_secret \"$FETTLE_WORKSPACE\"");
    QCOMPARE(grep.out, QByteArray());
    QDONE(m_cli.run({"settings", "set", "network", "off"}));
    qunsetenv("HF_TOKEN");
    qunsetenv("HF_ENDPOINT");
}

void TestCliModels::takesTheTokenOfTheKeychain()
{
    FakeHub hub;
    hub.addFolder((fixtures() / "tiny_llama").string());
    qputenv("HF_ENDPOINT", QByteArray::fromStdString(hub.address()));
    qputenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    QDONE(m_cli.run({"settings", "set", "network", "on"}));
    const QString keep = "printf 'hf_kept\\n' | \"$CLI\" settings token keep";
    QVERIFY(problemWith(m_cli.shell(keep), 2, {"keychain did not open", "HF_TOKEN"}).isEmpty());
    // libsecret's keychain in a file, as its own tests use it.
    qputenv("SECRET_BACKEND", "file");
    qputenv("SECRET_FILE_TEST_PATH", QFile::encodeName(m_cli.path("keys")));
    qputenv("SECRET_FILE_TEST_PASSWORD", "open sesame");
    QVERIFY(problemWith(m_cli.shell("printf 'two words' | \"$CLI\" settings token keep"), 2,
                        {"no access token"})
                .isEmpty());
    QDONE(m_cli.shell(keep));
    const auto authorization = [&](const QString& name) {
        hub.forgetRequests();
        m_cli.run({"model", "download", "somebody/tiny", "--as", name});
        const auto headers = hub.hub().requests().at(0).headers;
        return headers.contains("authorization") ? headers.at("authorization") : std::string();
    };
    QCOMPARE(authorization("kept"), std::string("Bearer hf_kept"));
    QCOMPARE(m_cli.shell("grep -rl hf_kept \"$FETTLE_WORKSPACE\" \"$HOME/keys\"").out,
             QByteArray());
    qputenv("HF_ENDPOINT", "http://localhost:1"); // the token is that of one hub
    QVERIFY(problemWith(m_cli.run({"model", "download", "somebody/tiny", "--as", "far"}), 4, {})
                .isEmpty());
    qputenv("HF_ENDPOINT", QByteArray::fromStdString(hub.address()));
    QDONE(m_cli.run({"settings", "token", "forget"}));
    QCOMPARE(authorization("forgotten"), std::string());
    QDONE(m_cli.run({"settings", "set", "network", "off"}));
    for (const char* name : {"HF_ENDPOINT", "DBUS_SESSION_BUS_ADDRESS", "SECRET_BACKEND",
                             "SECRET_FILE_TEST_PATH", "SECRET_FILE_TEST_PASSWORD"})
        qunsetenv(name);
}

void TestCliModels::goesOnAfterAnInterrupt()
{
    FakeHub hub;
    hub.addFolder((fixtures() / "tiny_llama").string());
    hub.after = [](const Request& request, Reply& reply) {
        if (request.path.starts_with("/store/"))
            reply.bytesPerSecond = 30'000;
    };
    QDONE(m_cli.run({"settings", "set", "network", "on"}));
    QDONE(m_cli.run({"settings", "set", "hub.address", QString::fromStdString(hub.address())}));
    const auto process = m_cli.start({"model", "download", "somebody/tiny", "--as", "slow"});
    QVERIFY(process->waitForStarted());
    QTRY_VERIFY_WITH_TIMEOUT(!hub.store().requests().empty(), 20'000);
    QTest::qWait(500); // some bytes have come
    ::kill(static_cast<pid_t>(process->processId()), SIGINT);
    QVERIFY(process->waitForFinished(10'000));
    QCOMPARE(process->exitCode(), 130);
    QVERIFY(m_cli.run({"model", "show", "slow"}).code == 3);
    hub.after = {};
    hub.forgetRequests();
    QDONE(m_cli.run({"model", "download", "somebody/tiny", "--as", "slow"}));
    QVERIFY(hub.store().requests()[0].headers.contains("range"));
    QDONE(m_cli.run({"settings", "set", "hub.address", ""}));
}

QTEST_GUILESS_MAIN(TestCliModels)
#include "test_cli_models.moc"

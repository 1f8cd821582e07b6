#include "cli/cli_fixture.h"

#include <QRegularExpression>
#include <QtTest>
#include <set>

using fettle::Json;

class TestCli : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void helpNamesEverything();
    void usage_data();
    void usage();
    void doctorSaysWhatIsThere();
    void modelsAreListed();
    void dataIsListedAndShown();
    void dataGoesOutAndIn();
    void spreadsheetsRunNoFormula();
    void guessedEncodingMustBeConfirmed();
    void tokensOfABareFolder();
    void tokensOfAConversation();
    void scoreAddsUp();
    void answersAreScored();
    void recipesAreExplained();
    void callsAndToolsGoOutWhole();
    void fullOutputIsNoticed();

private:
    CliFixture m_cli;
};

void TestCli::initTestCase()
{
    const auto noModel = m_cli.importTinyModel(), noRows = m_cli.importRows();
    QVERIFY2(noModel.isEmpty(), qPrintable(noModel));
    QVERIFY2(noRows.isEmpty(), qPrintable(noRows));
}

void TestCli::helpNamesEverything()
{
    const auto help = m_cli.run({"--help"});
    QCOMPARE(help.code, 0);
    for (const char* command : {"doctor", "model", "data", "tokens", "score", "train", "resume",
                                "runs", "plot", "generate", "evaluate", "export", "recipe"}) {
        QVERIFY2(help.out.contains(command), command);
        const auto own = m_cli.run({command, "--help"});
        QCOMPARE(own.code, 0);
        QVERIFY(own.out.size() > 50);
    }
    QVERIFY(m_cli.run({"--version"}).out.startsWith("fettle-cli "));
}

void TestCli::usage_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("word");
    QTest::newRow("no command") << QStringList() << "command";
    QTest::newRow("unknown command") << QStringList{"frobnicate"} << "frobnicate";
    QTest::newRow("unknown option") << QStringList{"doctor", "--frob"} << "--frob";
    QTest::newRow("group without command") << QStringList{"model"} << "command";
    QTest::newRow("unknown part of a group") << QStringList{"data", "frob"} << "frob";
    QTest::newRow("missing option") << QStringList{"train", "--model", "tiny"} << "--data";
    QTest::newRow("missing argument") << QStringList{"score", "--text", "a"} << "model";
    QTest::newRow("two sources") << QStringList{"tokens", "tiny", "--text", "a", "--file", "b"}
                                 << "tokens";
    QTest::newRow("wrong number") << QStringList{"generate", "tiny",      "--prompt",
                                                 "a",        "--max-new", "many"}
                                  << "--max-new";
    QTest::newRow("out of range") << QStringList{"generate", "tiny",    "--prompt",
                                                 "a",        "--top-p", "2"}
                                  << "--top-p";
    QTest::newRow("contradiction")
        << QStringList{"generate", "tiny", "--prompt", "a", "--greedy", "--temperature", "1"}
        << "--temperature";
}

void TestCli::usage()
{
    QFETCH(QStringList, arguments);
    QFETCH(QString, word);
    const auto plain = m_cli.run(arguments);
    const QString problem = problemWith(plain, 2, {word, "--help"});
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    QVERIFY(plain.out.isEmpty());
    const auto json = m_cli.run(arguments + QStringList{"--json"}).json();
    QVERIFY(json.is_object() && json.contains("error"));
    QCOMPARE(json["error"]["code"].get<std::string>(), std::string("invalid_input"));
}

void TestCli::doctorSaysWhatIsThere()
{
    const auto json = m_cli.run({"doctor", "--json"}).json();
    QVERIFY(json.contains("workspace") && json["workspace"]["exists"].get<bool>());
    QVERIFY(m_cli.run({"doctor"}).out.contains("LibTorch"));
    const auto elsewhere =
        m_cli.run({"--workspace", m_cli.path("not made"), "doctor", "--json"}).json();
    QVERIFY(!elsewhere["workspace"]["exists"].get<bool>());
    QVERIFY(!QFile::exists(m_cli.path("not made")));
}

void TestCli::modelsAreListed()
{
    QVERIFY(m_cli.run({"model", "list"}).out.contains("tiny"));
    const auto list = m_cli.run({"--json", "model", "list"}).json();
    QCOMPARE(list["models"].size(), std::size_t(1));
    const auto one = m_cli.run({"model", "show", "tiny", "--json"}).json();
    QCOMPARE(one["family"].get<std::string>(), std::string("llama"));
    QCOMPARE(one["contextLength"].get<int>(), 512);
    QVERIFY(m_cli.run({"model", "show", "tiny"}).out.contains("fingerprint"));
    const auto twice = m_cli.run(
        {"model", "import", CliFixture::source("tests/fixtures/tiny_llama"), "--as", "tiny"});
    QVERIFY2(problemWith(twice, 2, {"tiny"}).isEmpty(), twice.words().constData());
}

void TestCli::dataIsListedAndShown()
{
    QVERIFY(m_cli.run({"data", "list"}).out.contains("rows"));
    const auto list = m_cli.run({"data", "list", "--json"}).json();
    QCOMPARE(list["datasets"][0]["counts"]["rows"].get<int>(), 60);
    const auto shown = m_cli.run({"data", "show", "rows", "--rows", "2", "--json"}).json();
    QCOMPARE(shown["rows"].size(), std::size_t(2));
    const auto& counts = shown["counts"];
    QCOMPARE(counts["train"].get<int>() + counts["validation"].get<int>() +
                 counts["test"].get<int>(),
             60);
    QVERIFY(m_cli.run({"data", "show", "rows"}).out.contains("question:"));
}

void TestCli::callsAndToolsGoOutWhole()
{
    const QByteArray messages =
        R"([{"role":"user","content":"Weather?"},{"role":"assistant","content":null,)"
        R"("tool_calls":[{"type":"function","function":{"name":"f","arguments":{"z":1,"a":2}}}]}])";
    const QByteArray tools = R"([{"type":"function","function":{"name":"f","b":1,"a":2}}])";
    const auto file =
        m_cli.write("calls.jsonl", "{\"messages\":" + messages + ",\"tools\":" + tools + "}\n");
    QDONE(m_cli.run({"data", "import", file, "--as", "calls"}));
    const auto out = [&](const char* name) {
        QFile written(m_cli.path(name));
        return m_cli.run({"data", "export", "calls", "--to", written.fileName()}).code == 0 &&
                       written.open(QIODevice::ReadOnly)
                   ? written.readAll()
                   : QByteArray();
    };
    const auto lines = out("calls out.jsonl");
    QVERIFY2(lines.contains(messages) && lines.contains(tools), lines.constData());
    const auto table = out("calls out.csv").replace("\"\"", "\"");
    QVERIFY2(table.contains(messages) && table.contains(tools), table.constData());
}

void TestCli::dataGoesOutAndIn()
{
    for (const char* name : {"out.jsonl", "out.csv"}) {
        const auto file = m_cli.path(name), copy = QString("copy of ") + QFileInfo(name).suffix();
        QDONE(m_cli.run({"data", "export", "rows", "--to", file}));
        QDONE(m_cli.run({"data", "import", file, "--as", copy}));
        const auto before = m_cli.run({"data", "show", "rows", "--rows", "60", "--json"}).json();
        const auto after = m_cli.run({"data", "show", copy, "--rows", "60", "--json"}).json();
        QCOMPARE(after["rows"].size(), before["rows"].size());
        for (std::size_t i = 0; i < before["rows"].size(); ++i) {
            QCOMPARE(after["rows"][i]["split"], before["rows"][i]["split"]);
            QCOMPARE(after["rows"][i]["example"]["messages"],
                     before["rows"][i]["example"]["messages"]);
        }
    }
    const auto only = m_cli.run(
        {"data", "export", "rows", "--split", "test", "--to", m_cli.path("t.jsonl"), "--json"});
    QCOMPARE(
        only.json()["rows"].get<int>(),
        m_cli.run({"data", "list", "--json"}).json()["datasets"][0]["counts"]["test"].get<int>());
}

void TestCli::spreadsheetsRunNoFormula()
{
    const auto file = m_cli.write(
        "formula.csv", "question,answer\n=1+1,-3.5\n\" +cmd\",\"@x, y\"\n\"plain\"\"q\",z\n");
    QDONE(m_cli.run({"data", "import", file, "--as", "formulas", "--split", "100/0/0"}));
    const auto out = m_cli.path("safe.csv");
    QDONE(m_cli.run({"data", "export", "formulas", "--to", out, "--for-spreadsheet"}));
    QFile safe(out);
    QVERIFY(safe.open(QIODevice::ReadOnly));
    const auto bytes = safe.readAll();
    QVERIFY(bytes.startsWith("\xef\xbb\xbf"));
    QVERIFY2(bytes.contains("'=1+1,-3.5") && bytes.contains("' +cmd") &&
                 bytes.contains("\"'@x, y\""),
             bytes.constData());
    QVERIFY(bytes.contains("\"plain\"\"q\",z"));
}

void TestCli::guessedEncodingMustBeConfirmed()
{
    QByteArray latin = "question,answer\n";
    for (int i = 0; i < 30; ++i)
        latin += "Wie hei\xdft die Stra\xdf"
                 "e Nummer " +
                 QByteArray::number(i) +
                 "?,M\xfcllerstra\xdf"
                 "e\n";
    const auto file = m_cli.write("latin.csv", latin);
    const auto refused = m_cli.run({"data", "import", file, "--as", "latin"});
    const auto problem = problemWith(refused, 2, {"latin.csv", "--encoding"});
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    QDONE(m_cli.run({"data", "import", file, "--as", "latin", "--encoding", "ISO-8859-1"}));
    QVERIFY(m_cli.run({"data", "show", "latin"}).out.contains("Müllerstraße"));
}

void TestCli::tokensOfABareFolder()
{
    QDir().mkpath(m_cli.path("bare"));
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
        QFile::copy(CliFixture::source(QString("tests/fixtures/tiny_llama/") + name),
                    m_cli.path(QString("bare/") + name));
    const QByteArray text = "two  spaces\r\nand \xc3\xbc\n";
    const auto file = m_cli.write("bytes.txt", text);
    const auto bare = m_cli.run({"tokens", m_cli.path("bare"), "--file", file, "--json"});
    const auto json = bare.json();
    QVERIFY2(json.is_object() && json["ids"].size() > 3, bare.words().constData());
    QCOMPARE(json["trained"].size(), json["ids"].size());
    QCOMPARE(m_cli.run({"tokens", "tiny", "--file", file, "--json"}).json(), json);
    QCOMPARE(m_cli.run({"tokens", "tiny", "--text", QString::fromUtf8(text), "--json"}).json(),
             json);
    const auto table = m_cli.run({"tokens", "tiny", "--text", "ab"});
    QVERIFY(table.code == 0 && table.out.contains("piece"));
}

void TestCli::tokensOfAConversation()
{
    const auto file = m_cli.write("talk.json", R"([{"role": "user", "content": "Hi"},
                                                   {"role": "assistant", "content": "Hello there"}])");
    const auto answers = m_cli.run({"tokens", "tiny", "--messages", file, "--json"}).json();
    const auto all =
        m_cli.run({"tokens", "tiny", "--messages", file, "--loss-on", "all", "--json"}).json();
    const auto sum = [](const Json& flags) {
        int total = 0;
        for (const auto& flag : flags)
            total += flag.get<int>();
        return total;
    };
    QCOMPARE(answers["ids"], all["ids"]);
    QVERIFY(sum(answers["trained"]) > 0);
    QVERIFY(sum(answers["trained"]) < sum(all["trained"]));
    const auto bad = m_cli.run(
        {"tokens", "tiny", "--messages", m_cli.write("bad.json", "[{\"content\": \"x\"}]")});
    QVERIFY2(problemWith(bad, 2, {"bad.json, message 1"}).isEmpty(), bad.words().constData());
}

void TestCli::scoreAddsUp()
{
    const auto run = m_cli.run({"score", "tiny", "--text", "the quick brown fox", "--json"});
    const auto json = run.json();
    QVERIFY2(json.is_object() && json["tokens"].size() > 1, run.words().constData());
    double sum = 0;
    for (const auto& value : json["tokens"]) {
        QVERIFY(value.get<double>() < 0);
        sum += value.get<double>();
    }
    QVERIFY(std::abs(sum - json["sum"].get<double>()) < 1e-4);
    QVERIFY(std::abs(sum / static_cast<double>(json["tokens"].size()) -
                     json["mean"].get<double>()) < 1e-5);
    const auto ids =
        m_cli.run({"tokens", "tiny", "--text", "the quick brown fox", "--json"}).json()["ids"];
    QCOMPARE(json["tokens"].size(), ids.size() - 1);
}

void TestCli::answersAreScored()
{
    const auto scored = [this](const QString& answers) {
        return m_cli
            .run({"score", "tiny", "--question", "the quick brown fox?", "--candidates",
                  m_cli.write("answers.txt", answers.toUtf8()), "--json"})
            .json();
    };
    const auto together = scored("a fox\nthe dog\r\n\na lazy brown dog jumps\n");
    QVERIFY(together.is_object());
    const auto& candidates = together["candidates"];
    QCOMPARE(candidates.size(), std::size_t{3});
    QCOMPARE(candidates[1]["text"].get<std::string>(), std::string("the dog"));
    double shares = 0;
    std::set<int> ranks;
    for (const auto& each : candidates) {
        double sum = 0;
        for (const auto& value : each["logProbabilities"])
            sum += value.get<double>();
        const double all = each["logProbability"].get<double>(), mean = each["mean"].get<double>();
        QVERIFY(std::abs(sum - all) < 1e-9);
        QVERIFY(std::abs(mean * each["tokens"].get<double>() - all) < 1e-9);
        shares += each["share"].get<double>();
        ranks.insert(each["rank"].get<int>());
        const auto alone =
            scored(QString::fromStdString(each["text"].get<std::string>()))["candidates"][0];
        QVERIFY(std::abs(alone["logProbability"].get<double>() - all) < 1e-4);
    }
    QVERIFY(std::abs(shares - 1) < 1e-9);
    QCOMPARE(ranks, (std::set<int>{1, 2, 3}));
    const auto bad = [this](const QStringList& arguments) {
        return problemWith(m_cli.run(QStringList{"score", "tiny"} + arguments), 2, {"--candidates"});
    };
    QVERIFY2(bad({"--question", "a"}).isEmpty(), qPrintable(bad({"--question", "a"})));
    const auto empty = m_cli.run({"score", "tiny", "--question", "a", "--candidates",
                                  m_cli.write("none.txt", "\n\n")});
    QVERIFY2(problemWith(empty, 2, {"none.txt", "one answer a line"}).isEmpty(),
             empty.words().constData());
}

void TestCli::recipesAreExplained()
{
    const auto schema = m_cli.run({"recipe", "schema", "--json"}).json();
    std::set<std::string> keys;
    for (const auto& setting : schema["settings"]) {
        QVERIFY(!setting["help"].get<std::string>().empty());
        keys.insert(setting["key"].get<std::string>());
    }
    QVERIFY(keys.contains("training.learningRate") && keys.contains("lora.rank"));
    QVERIFY(m_cli.run({"recipe", "schema"}).out.contains("training.batchSize"));
    const auto list = m_cli.run({"recipe", "list", "--json"}).json();
    QVERIFY(!list["recipes"].empty());
    const auto id = QString::fromStdString(list["recipes"][0]["id"].get<std::string>());
    const auto shown = m_cli.run({"recipe", "show", id});
    QCOMPARE(shown.code, 0);
    const auto file = m_cli.write("own recipe.json", shown.out);
    const auto forecast =
        m_cli.run(trainArguments("unused", {"--recipe", file, "--forecast", "--json"}));
    QVERIFY2(forecast.json().is_object() && forecast.json()["steps"].get<int>() == 9,
             forecast.words().constData());
}

void TestCli::fullOutputIsNoticed()
{
    if (!QFile::exists("/dev/full"))
        QSKIP("this system has no /dev/full");
    const auto run = m_cli.shell("\"$CLI\" recipe schema --json > /dev/full");
    QVERIFY2(problemWith(run, 4, {"standard output"}).isEmpty(), run.words().constData());
}

QTEST_GUILESS_MAIN(TestCli)
#include "test_cli.moc"

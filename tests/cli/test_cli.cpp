#include "cli/cli_fixture.h"

#include <QRegularExpression>
#include <QtTest>
#include <csignal>
#include <set>

using fettle::Json;

#define QDONE(call)                                                                                \
    do {                                                                                           \
        const CliRun doneRun = (call);                                                             \
        QVERIFY2(doneRun.code == 0, doneRun.words().constData());                                  \
    } while (false)

namespace {

/// A short run of the tiny model: 9 steps, checks at 3, 6 and 9.
QStringList trainArguments(const QString& name, const QStringList& more = {})
{
    QStringList arguments = {"train", "--model", "tiny", "--data", "rows", "--name", name};
    for (const char* setting :
         {"training.maxSteps=9", "training.passes=10", "training.batchSize=4",
          "training.maxLength=512", "checks.everySteps=3", "checks.answerLength=4"})
        arguments << "--set" << setting;
    return arguments + more;
}

/// Step -> loss as curves --csv prints them.
QMap<int, QByteArray> lossesOf(const CliRun& curves)
{
    QMap<int, QByteArray> losses;
    for (const auto& line : curves.out.split('\n')) {
        const auto cells = line.split(',');
        if (cells.size() > 3 && cells[0] != "step" && !cells[3].isEmpty())
            losses[cells[0].toInt()] = cells[3];
    }
    return losses;
}

} // namespace

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
    void recipesAreExplained();
    void trainShowsItself();
    void eventsAreLines();
    void interruptKeepsAndResumeGoesOn();
    void generateIsRepeatable();
    void evaluateGivesRanges();
    void exportsAreFolders();
    void fullOutputIsNoticed();

private:
    CliFixture m_cli;
};

void TestCli::initTestCase()
{
    QVERIFY2(m_cli.importTinyModel().isEmpty(), qPrintable(m_cli.importTinyModel()));
    QVERIFY2(m_cli.importRows().isEmpty(), "rows were not imported");
    QDONE(m_cli.run(trainArguments("first"), 120));
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

void TestCli::trainShowsItself()
{
    const auto list = m_cli.run({"runs", "list", "--json"}).json();
    QCOMPARE(list["runs"].back()["name"].get<std::string>(), std::string("first"));
    QVERIFY(m_cli.run({"runs", "list"}).out.contains("first"));
    const auto run = m_cli.run({"runs", "show", "first", "--json"}).json();
    QCOMPARE(run["step"].get<int>(), 9);
    QVERIFY(!run["checkpoints"].empty());
    QVERIFY(m_cli.run({"runs", "show", "first"}).out.contains("save point"));
    const auto curves = m_cli.run({"runs", "curves", "first", "--csv"});
    QCOMPARE(lossesOf(curves).size(), 9);
    QVERIFY(curves.out.startsWith("step,tokens,seconds,loss,"));
    QVERIFY(m_cli.run({"runs", "curves", "first", "--json"}).json()["checks"].size() >= 3);
    QVERIFY(m_cli.run({"runs", "curves", "first"}).out.contains("95 % range"));
    const auto picture = m_cli.path("curve.png");
    QDONE(m_cli.run({"plot", "first", "--to", picture}));
    QVERIFY(QFileInfo(picture).size() > 20'000);
    const auto again = m_cli.run(trainArguments("first again"), 120); // not a terminal: plain lines
    QVERIFY2(again.err.contains("step 9 of 9 · loss ") && again.err.contains("tokens/s"),
             again.err.constData());
    QVERIFY(!again.err.contains('\r'));
    QCOMPARE(lossesOf(m_cli.run({"runs", "curves", "first again", "--csv"})), lossesOf(curves));
}

void TestCli::eventsAreLines()
{
    const auto run = m_cli.run(trainArguments("events", {"--events"}), 120);
    QCOMPARE(run.code, 0);
    int steps = 0, ends = 0;
    const auto lines = run.out.trimmed().split('\n');
    for (const auto& line : lines) {
        const auto event = Json::parse(line.toStdString(), nullptr, false);
        QVERIFY2(event.is_object() && event.contains("event"), line.constData());
        steps += event["event"] == "step";
        ends += event["event"] == "finished";
    }
    QCOMPARE(steps, 9);
    QCOMPARE(ends, 1);
    QVERIFY(lines.last().contains("\"finished\""));
}

void TestCli::interruptKeepsAndResumeGoesOn()
{
    const QStringList longer = {"--set", "training.maxSteps=24", "--set", "training.passes=100",
                                "--set", "checks.everySteps=8"};
    QDONE(m_cli.run(trainArguments("unbroken", longer), 200));
    const auto process = m_cli.start(trainArguments("broken", longer + QStringList{"--events"}));
    QByteArray seen;
    while (!seen.contains("\"step\":4,") && process->waitForReadyRead(60'000))
        seen += process->readAllStandardOutput();
    QVERIFY2(seen.contains("\"event\":\"step\""), seen.right(500).constData());
    ::kill(static_cast<pid_t>(process->processId()), SIGINT);
    QVERIFY(process->waitForFinished(60'000));
    QVERIFY(process->exitStatus() == QProcess::NormalExit);
    QCOMPARE(process->exitCode(), 130);
    const auto stopped = m_cli.run({"runs", "show", "broken", "--json"}).json();
    const int step = stopped["step"].get<int>();
    QVERIFY2(step >= 4 && step < 24, qPrintable(QString::number(step)));

    QDONE(m_cli.run({"resume", "broken"}, 200));
    QCOMPARE(m_cli.run({"runs", "show", "broken", "--json"}).json()["step"].get<int>(), 24);
    QCOMPARE(lossesOf(m_cli.run({"runs", "curves", "broken", "--csv"})),
             lossesOf(m_cli.run({"runs", "curves", "unbroken", "--csv"})));
    const auto done = m_cli.run({"resume", "broken"});
    QVERIFY2(problemWith(done, 2, {"broken"}).isEmpty(), done.words().constData());
}

void TestCli::generateIsRepeatable()
{
    const QStringList how = {"--prompt", "the quick", "--max-new", "8"};
    const auto one =
        m_cli.run(QStringList{"generate", "tiny"} + how + QStringList{"--greedy", "--json"});
    const auto json = one.json();
    QVERIFY2(json.is_object() && json["answers"].size() == 1, one.words().constData());
    QVERIFY(json["answers"][0]["tokens"].get<int>() <= 8);
    auto again = m_cli.run(QStringList{"generate", "tiny"} + how + QStringList{"--json"}).json();
    QCOMPARE(again["answers"][0]["text"], json["answers"][0]["text"]);
    const auto two = m_cli.run(QStringList{"generate", "tiny", "first"} + how);
    QVERIFY2(two.code == 0 && two.out.contains("── tiny") && two.out.contains("── first"),
             two.words().constData());
    const auto answer =
        m_cli.run({"generate", "first", "--question", "Hi", "--max-new", "4", "--json"}).json();
    QVERIFY(answer["answers"][0].contains("fingerprint"));
    const auto warm = [&](const char* seed) {
        return m_cli
            .run(QStringList{"generate", "tiny", "--temperature", "1.5", "--seed", seed, "--json"} +
                 how)
            .json();
    };
    QCOMPARE(warm("3")["answers"][0]["text"], warm("3")["answers"][0]["text"]);
    QVERIFY(warm("3")["answers"][0]["text"] != warm("4")["answers"][0]["text"]);
}

void TestCli::evaluateGivesRanges()
{
    const auto run =
        m_cli.run({"evaluate", "tiny", "first", "--data", "rows", "--max-new", "6", "--json"}, 120);
    const auto json = run.json();
    QVERIFY2(json.is_object() && json["evaluations"].size() == 2, run.words().constData());
    std::set<std::string> ids;
    for (const auto& score : json["evaluations"][0]["scores"]) {
        ids.insert(score["id"].get<std::string>());
        QVERIFY(score["low"].get<double>() <= score["value"].get<double>());
        QVERIFY(score["value"].get<double>() <= score["high"].get<double>());
        QVERIFY(!score["method"].get<std::string>().empty());
    }
    QVERIFY(ids.contains("perplexity") && ids.contains("exactMatch") && ids.contains("rougeL"));
    QCOMPARE(json["comparisons"].size(), json["evaluations"][1]["scores"].size());
    QVERIFY(json["comparisons"][0].contains("verdict"));
    const auto table =
        m_cli.run({"evaluate", "first", "--data", "rows", "--split", "validation", "--loss-only"});
    QVERIFY2(table.code == 0 && table.out.contains("95 % range") && table.out.contains("bootstrap"),
             table.words().constData());
}

void TestCli::exportsAreFolders()
{
    const auto adapter = m_cli.path("adapter"), merged = m_cli.path("merged");
    QDONE(m_cli.run({"export", "first", "--as", "peft", "--to", adapter}));
    QVERIFY(QFile::exists(adapter + "/adapter_config.json") &&
            QFile::exists(adapter + "/adapter_model.safetensors"));
    QDONE(m_cli.run({"export", "run:1", "--as", "merged", "--to", merged, "--json"}));
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
        QVERIFY2(QFile::exists(merged + "/" + name), name);
    QDONE(m_cli.run({"model", "import", merged, "--as", "merged"}));
    const auto again = m_cli.run({"export", "first", "--as", "merged", "--to", merged});
    QVERIFY2(problemWith(again, 2, {"merged"}).isEmpty(), again.words().constData());
    QDONE(m_cli.run({"generate", "merged", "--prompt", "the", "--max-new", "3"}));
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

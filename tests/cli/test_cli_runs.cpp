#include "cli/cli_fixture.h"

#include <QtTest>
#include <csignal>
#include <set>

using fettle::Json;

namespace {

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

class TestCliRuns : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void trainShowsItself();
    void eventsAreLines();
    void interruptKeepsAndResumeGoesOn_data();
    void interruptKeepsAndResumeGoesOn();
    void originalInFewBits();
    void generateIsRepeatable();
    void evaluateGivesRanges();
    void exportsAreFolders();

private:
    CliFixture m_cli;
};

void TestCliRuns::initTestCase()
{
    const auto noModel = m_cli.importTinyModel(), noRows = m_cli.importRows();
    QVERIFY2(noModel.isEmpty(), qPrintable(noModel));
    QVERIFY2(noRows.isEmpty(), qPrintable(noRows));
    QDONE(m_cli.run(trainArguments("first"), 120));
}

void TestCliRuns::trainShowsItself()
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

void TestCliRuns::eventsAreLines()
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

void TestCliRuns::interruptKeepsAndResumeGoesOn_data()
{
    QTest::addColumn<QString>("weights");
    QTest::newRow("the original in 32 bits") << "float32";
    QTest::newRow("in 4 bits") << "nf4";
}

void TestCliRuns::interruptKeepsAndResumeGoesOn()
{
    QFETCH(QString, weights);
    const QStringList longer = {"--set", "training.maxSteps=24", "--set", "training.passes=100",
                                "--set", "checks.everySteps=8", "--set", "model.weights=" + weights};
    const QString unbroken = "unbroken-" + weights, broken = "broken-" + weights;
    QDONE(m_cli.run(trainArguments(unbroken, longer), 200));
    const auto process = m_cli.start(trainArguments(broken, longer + QStringList{"--events"}));
    QByteArray seen;
    while (!seen.contains("\"step\":4,") && process->waitForReadyRead(60'000))
        seen += process->readAllStandardOutput();
    QVERIFY2(seen.contains("\"event\":\"step\""), seen.right(500).constData());
    ::kill(static_cast<pid_t>(process->processId()), SIGINT);
    QVERIFY(process->waitForFinished(60'000));
    QVERIFY(process->exitStatus() == QProcess::NormalExit);
    QCOMPARE(process->exitCode(), 130);
    const auto stopped = m_cli.run({"runs", "show", broken, "--json"}).json();
    const int step = stopped["step"].get<int>();
    QVERIFY2(step >= 4 && step < 24, qPrintable(QString::number(step)));

    QDONE(m_cli.run({"resume", broken}, 200));
    QCOMPARE(m_cli.run({"runs", "show", broken, "--json"}).json()["step"].get<int>(), 24);
    QCOMPARE(lossesOf(m_cli.run({"runs", "curves", broken, "--csv"})),
             lossesOf(m_cli.run({"runs", "curves", unbroken, "--csv"})));
    const auto done = m_cli.run({"resume", broken});
    QVERIFY2(problemWith(done, 2, {broken}).isEmpty(), done.words().constData());
}

void TestCliRuns::originalInFewBits()
{
    const auto answer = [&](const QStringList& what) {
        return m_cli.run(QStringList{"generate"} + what + QStringList{"--prompt", "the quick", "--max-new", "6", "--json"})
            .json()["answers"][0];
    };
    const auto fingerprint = [&](const QStringList& what) {
        return QString::fromStdString(answer(what)["fingerprint"].get<std::string>());
    };
    QVERIFY(fingerprint({"tiny", "--weights", "int8"}).endsWith(" int8"));
    QVERIFY(fingerprint({"broken-nf4"}).endsWith(" nf4")); // as it was trained
    QVERIFY(!fingerprint({"broken-nf4", "--weights", "float32"}).contains(' '));
    QDONE(m_cli.run({"evaluate", "tiny", "--data", "rows", "--loss-only", "--weights", "int8"}));
    const auto to = m_cli.path("of few bits"); // from the original in 32 bits
    QDONE(m_cli.run({"export", "broken-nf4", "--as", "merged", "--to", to}));
    const auto whole = m_cli.run(trainArguments("whole", {"--set", "method=full", "--set", "model.weights=int8"}));
    QVERIFY2(problemWith(whole, 2, {"model.weights", "32 bits"}).isEmpty(), whole.words().constData());
    const auto half = m_cli.run(trainArguments(
        "half", {"--set", "training.precision=bfloat16", "--set", "training.device=cpu"}));
    QVERIFY2(problemWith(half, 2, {"training.precision", "graphics card"}).isEmpty(), half.words().constData());
}

void TestCliRuns::generateIsRepeatable()
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

void TestCliRuns::evaluateGivesRanges()
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

void TestCliRuns::exportsAreFolders()
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

QTEST_GUILESS_MAIN(TestCliRuns)
#include "test_cli_runs.moc"

#include "cli/cli_fixture.h"

#include <QRegularExpression>
#include <QtTest>

using fettle::Json;

namespace {

constexpr double kLongest = 10; // seconds until a bad input must have been refused
constexpr qint64 kTwoGigabytes = qint64(2) << 30;

QByteArray fileBytes(const QString& path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        qFatal("cannot read %s", qPrintable(path));
    return file.readAll();
}

/// Copies the tiny model with one file replaced; empty bytes leave the file out.
QString brokenModel(const CliFixture& cli, const QString& name, const QString& file,
                    const QByteArray& bytes)
{
    const QString from = CliFixture::source("tests/fixtures/tiny_llama"), to = cli.path(name);
    QDir().mkpath(to);
    for (const auto& entry : QDir(from).entryList(QDir::Files)) {
        if (entry != file)
            QFile::copy(from + "/" + entry, to + "/" + entry);
    }
    if (!bytes.isEmpty())
        cli.write(name + "/" + file, bytes);
    return to;
}

QByteArray littleEndian(quint64 value)
{
    QByteArray bytes(8, '\0');
    for (int i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(value >> (8 * i) & 255);
    return bytes;
}

/// A file that seems to hold two gigabytes and takes no room.
QString hugeFile(const CliFixture& cli, const QString& name, const QByteArray& start)
{
    QFile file(cli.write(name, start));
    if (!file.resize(kTwoGigabytes))
        qFatal("cannot make a sparse file");
    return file.fileName();
}

/// The tiny model with dimensions that need terabytes, and a sparse weight file of that size.
QString enormousModel(const CliFixture& cli)
{
    auto config = Json::parse(
        fileBytes(CliFixture::source("tests/fixtures/tiny_llama/config.json")).toStdString());
    constexpr qint64 hidden = 262144, heads = 4096, middle = 524288, vocab = 640;
    config["hidden_size"] = hidden;
    config["num_attention_heads"] = heads;
    config["num_key_value_heads"] = heads;
    config["head_dim"] = hidden / heads;
    config["intermediate_size"] = middle;
    config["num_hidden_layers"] = 1;
    const auto folder =
        brokenModel(cli, "enormous", "config.json", QByteArray::fromStdString(config.dump()));
    qint64 offset = 0;
    Json header;
    const auto add = [&](const std::string& name, std::vector<qint64> shape) {
        qint64 size = 4;
        for (const qint64 side : shape)
            size *= side;
        header[name] = {
            {"dtype", "F32"}, {"shape", shape}, {"data_offsets", {offset, offset + size}}};
        offset += size;
    };
    add("model.embed_tokens.weight", {vocab, hidden});
    add("model.norm.weight", {hidden});
    const std::string layer = "model.layers.0.";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
        add(layer + "self_attn." + name + ".weight", {hidden, hidden});
    add(layer + "mlp.gate_proj.weight", {middle, hidden});
    add(layer + "mlp.up_proj.weight", {middle, hidden});
    add(layer + "mlp.down_proj.weight", {hidden, middle});
    add(layer + "input_layernorm.weight", {hidden});
    add(layer + "post_attention_layernorm.weight", {hidden});
    const auto text = header.dump();
    QFile::remove(folder + "/model.safetensors");
    QFile weights(folder + "/model.safetensors");
    if (!weights.open(QIODevice::WriteOnly))
        return {};
    weights.write(littleEndian(text.size()) + QByteArray::fromStdString(text));
    weights.close();
    return weights.resize(weights.size() + offset) ? folder : QString();
}

} // namespace

class TestCliBadInput : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void isRefused_data();
    void isRefused();
    void nothingWasMade();
    void brokenQuotesCostOnlyTheirRows();
    void enormousModelIsRefused();
    void fullDiskLeavesNothing();
    void killedRunIsInterrupted();

private:
    void addModelFiles();
    void addRowFiles();
    void addNames();

    CliFixture m_cli;
};

void TestCliBadInput::initTestCase()
{
    const auto noModel = m_cli.importTinyModel(), noRows = m_cli.importRows();
    QVERIFY2(noModel.isEmpty(), qPrintable(noModel));
    QVERIFY2(noRows.isEmpty(), qPrintable(noRows));
}

void TestCliBadInput::addModelFiles()
{
    const auto add = [](const char* name, const QString& path, const QStringList& words,
                        int code = 2) {
        QTest::newRow(name) << QStringList{"model", "import", path, "--as", "bad"} << code << words;
    };
    const auto gguf = fileBytes(CliFixture::source("tests/golden/tiny_llama.gguf"));
    add("truncated GGUF", m_cli.write("cut.gguf", gguf.left(gguf.size() / 2)), {"cut.gguf"});
    add("GGUF cut in its header", m_cli.write("head.gguf", gguf.left(30)), {"head.gguf"});
    add("lying GGUF",
        m_cli.write("lie.gguf", gguf.left(8) + littleEndian(1ull << 60) + gguf.mid(16)),
        {"lie.gguf"});
    add("GGUF of another kind", m_cli.write("text.gguf", "this is no GGUF file at all"),
        {"text.gguf"});
    const auto weights =
        fileBytes(CliFixture::source("tests/fixtures/tiny_llama/model.safetensors"));
    add("truncated safetensors",
        brokenModel(m_cli, "cut", "model.safetensors", weights.left(weights.size() - 1000)),
        {"model.safetensors"});
    add("lying safetensors",
        brokenModel(m_cli, "lie", "model.safetensors", littleEndian(1ull << 50) + weights.mid(8)),
        {"model.safetensors"});
    add("folder without tokenizer", brokenModel(m_cli, "speechless", "tokenizer.json", {}),
        {"tokenizer"}, 3);
    add("folder without config", brokenModel(m_cli, "shapeless", "config.json", {}),
        {"config.json"}, 3);
    add("folder without weights", brokenModel(m_cli, "weightless", "model.safetensors", {}),
        {"weight"}, 3);
    add("config that is no JSON",
        brokenModel(m_cli, "broken", "config.json", "{\"model_type\": \"llama\","),
        {"config.json"});
    add("unknown family",
        brokenModel(m_cli, "family", "config.json", "{\"model_type\": \"frobnicator\"}"),
        {"frobnicator"});
}

void TestCliBadInput::addRowFiles()
{
    const auto add = [](const char* name, const QString& path, const QStringList& words) {
        QTest::newRow(name) << QStringList{"data", "import", path, "--as", "bad"} << 2 << words;
    };
    add("empty file", m_cli.write("empty.jsonl", ""), {"empty.jsonl"});
    add("only a header", m_cli.write("header.csv", "question,answer\n"), {"header.csv"});
    add("binary file",
        m_cli.write("picture.csv",
                    QByteArray("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) + QByteArray(100, '\0')),
        {"picture.csv"});
    add("Latin-1 table",
        m_cli.write("latin.csv", QByteArray("question,answer\n") + QByteArray("Stra\xdf"
                                                                              "e,Stra\xdf"
                                                                              "e \xfc\n")
                                                                       .repeated(20)),
        {"latin.csv", "--encoding"});
    add("table with one open quote",
        m_cli.write("quote.csv", "question,answer\n\"never closed,b\nc,d\ne,f\n"), {"quote.csv"});
    add("no row is JSON", m_cli.write("words.jsonl", "{broken\n{also\n"), {"words.jsonl"});
    add("2 GB of nothing", hugeFile(m_cli, "huge.jsonl", "{\"text\": \"a\"}\n"), {"huge.jsonl"});
    QTest::newRow("a column that is not there") << QStringList{"data",
                                                               "import",
                                                               m_cli.write("two.csv", "a,b\n1,2\n"),
                                                               "--as",
                                                               "bad",
                                                               "--map",
                                                               "question=nowhere"}
                                                << 2 << QStringList{"nowhere"};
    QTest::newRow("a role that is not there")
        << QStringList{"data", "import", m_cli.path("two.csv"), "--as", "bad", "--map", "frob=a"}
        << 2 << QStringList{"frob=a", "--map"};
    QTest::newRow("shares that do not add up")
        << QStringList{"data",    "import",  m_cli.path("two.csv"), "--as", "bad",
                       "--split", "80/30/10"}
        << 2 << QStringList{"--split"};
    QTest::newRow("2 GB as a text")
        << QStringList{"tokens", "tiny", "--file", m_cli.path("huge.jsonl")} << 2
        << QStringList{"huge.jsonl"};
    QTest::newRow("2 GB as a text to score")
        << QStringList{"score", "tiny", "--file", m_cli.path("huge.jsonl")} << 2
        << QStringList{"huge.jsonl"};
    QTest::newRow("a text longer than the context")
        << QStringList{"score", "tiny", "--text", QString("word ").repeated(2000)} << 2
        << QStringList{"512"};
    QTest::newRow("a name that is there")
        << QStringList{"data", "import", m_cli.path("rows.jsonl"), "--as", "rows"} << 2
        << QStringList{"rows"};
}

void TestCliBadInput::addNames()
{
    const auto train = [](const char* name, const QStringList& more, int code,
                          const QStringList& words) {
        QTest::newRow(name) << QStringList{"train", "--model", "tiny", "--data", "rows"} + more
                            << code << words;
    };
    train("unknown setting", {"--set", "training.learningrat=1"}, 2,
          {"training.learningrat", "training.learningRate"});
    train("setting out of range", {"--set", "training.batchSize=0"}, 2,
          {"training.batchSize", "4096"});
    train("setting of another kind", {"--set", "training.batchSize=many"}, 2,
          {"training.batchSize"});
    train("setting without value", {"--set", "training.batchSize"}, 2, {"--set"});
    train("unknown choice", {"--set", "method=frob"}, 2, {"method", "lora"});
    train("every row longer than the limit", {"--set", "training.maxLength=8"}, 2,
          {"too long", "maxLength"});
    train("longer than the model reads", {"--set", "training.maxLength=4096"}, 2, {"512"});
    train("unknown recipe", {"--recipe", "frob"}, 3, {"frob"});
    train("recipe of another kind", {"--recipe", m_cli.write("r.json", "{\"a\": 1}")}, 2,
          {"r.json"});
    const auto add = [](const char* name, const QStringList& arguments, const QStringList& words) {
        QTest::newRow(name) << arguments << 3 << words;
    };
    add("model file that is not there", {"model", "import", "no/such.gguf"}, {"such.gguf"});
    add("rows file that is not there", {"data", "import", "no/such.csv", "--as", "bad"},
        {"such.csv"});
    add("unknown model", {"model", "show", "nobody"}, {"nobody"});
    add("unknown model to train", {"train", "--model", "nobody", "--data", "rows"}, {"nobody"});
    add("unknown data to train on", {"train", "--model", "tiny", "--data", "nothing"}, {"nothing"});
    add("unknown model to ask", {"generate", "nobody", "--prompt", "a"}, {"nobody"});
    add("unknown run", {"runs", "show", "99"}, {"99"});
    add("unknown run to resume", {"resume", "99"}, {"99"});
    add("unknown run to export", {"export", "99", "--as", "peft", "--to", m_cli.path("out")},
        {"99"});
    add("unknown data to show", {"data", "show", "nothing"}, {"nothing"});
    add("unknown data to score on", {"evaluate", "tiny", "--data", "nothing"}, {"nothing"});
    QTest::newRow("unknown split")
        << QStringList{"evaluate", "tiny", "--data", "rows", "--split", "frob"} << 2
        << QStringList{"split", "validation"};
    QTest::newRow("unknown form of export")
        << QStringList{"export", "1", "--as", "zip", "--to", m_cli.path("out")} << 2
        << QStringList{"zip", "--as"};
    QTest::newRow("picture of another kind")
        << QStringList{"data", "export", "rows", "--to", m_cli.path("x.docx")} << 2
        << QStringList{"docx"};
    QTest::newRow("empty question")
        << QStringList{"generate", "tiny", "--question", ""} << 2 << QStringList{"empty"};
}

void TestCliBadInput::isRefused_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<int>("code");
    QTest::addColumn<QStringList>("words");
    addModelFiles();
    addRowFiles();
    addNames();
}

void TestCliBadInput::isRefused()
{
    QFETCH(QStringList, arguments);
    QFETCH(int, code);
    QFETCH(QStringList, words);
    const auto before = m_cli.workspaceFiles();
    const auto run = m_cli.run(arguments + QStringList{"--json"});
    const auto problem = problemWith(run, code, words);
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    QVERIFY2(run.seconds < kLongest, qPrintable(QString("took %1 s").arg(run.seconds)));
    const auto json = run.json();
    QVERIFY(json.is_object() && json.contains("error"));
    for (const char* part : {"code", "what", "where", "remedy"})
        QVERIFY2(json["error"].contains(part), part);
    QCOMPARE(m_cli.workspaceFiles(), before); // nothing half-written
}

void TestCliBadInput::nothingWasMade()
{
    QCOMPARE(m_cli.run({"model", "list", "--json"}).json()["models"].size(), std::size_t(1));
    QCOMPARE(m_cli.run({"data", "list", "--json"}).json()["datasets"].size(), std::size_t(1));
    QVERIFY(m_cli.run({"runs", "list", "--json"}).json()["runs"].empty());
}

void TestCliBadInput::brokenQuotesCostOnlyTheirRows()
{
    const auto file =
        m_cli.write("some.csv", "question,answer\na,b\n\"c\"d\",e\nf,g\nh,i,j\nk,l\n");
    const auto run = m_cli.run({"data", "import", file, "--as", "some", "--json"});
    QVERIFY2(run.code == 0, run.words().constData());
    const auto json = run.json();
    QVERIFY(json["rowsKept"].get<int>() >= 3);
    QVERIFY(json["badRowCount"].get<int>() >= 1);
    QCOMPARE(json["badRows"][0]["file"].get<std::string>(), std::string("some.csv"));
    QVERIFY(json["badRows"][0]["row"].get<int>() > 0);
    QVERIFY(run.err.contains("Left out: some.csv, row "));
}

void TestCliBadInput::enormousModelIsRefused()
{
    const auto folder = enormousModel(m_cli);
    if (folder.isEmpty())
        QSKIP("this file system holds no sparse file of that size");
    const auto before = m_cli.workspaceFiles();
    const auto run = m_cli.run({"model", "import", folder, "--as", "enormous"});
    QVERIFY2(run.code == 2 || run.code == 4, run.words().constData());
    const auto problem = problemWith(run, run.code, {"enormous"});
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    QVERIFY2(run.seconds < kLongest, qPrintable(QString::number(run.seconds)));
    QCOMPARE(m_cli.workspaceFiles(), before);
}

void TestCliBadInput::fullDiskLeavesNothing()
{
    QByteArray rows;
    for (int i = 0; i < 4000; ++i)
        rows += "{\"question\": \"number " + QByteArray::number(i) +
                "\", \"answer\": \"long enough to fill a disk\"}\n";
    QCOMPARE(m_cli.run({"data", "import", m_cli.write("big.jsonl", rows), "--as", "big"}).code, 0);
    // A file system of 64 kB of our own; needs the right to make one (root, or user namespaces).
    const QString small = m_cli.path("small");
    QDir().mkpath(small);
    m_cli.write("inside.sh", QString("mount -t tmpfs -o size=64k none '%1' || exit 77\n"
                                     "\"$CLI\" data export big --to '%1/rows.jsonl'\n"
                                     "code=$?\nls -A '%1'\nexit $code\n")
                                 .arg(small)
                                 .toUtf8());
    const auto run = m_cli.shell("unshare -m true 2>/dev/null && exec unshare -m sh inside.sh; "
                                 "exec unshare -rm sh inside.sh");
    if (run.code == 77 || run.err.contains("unshare"))
        QSKIP("no right to make a small file system here");
    const auto problem = problemWith(run, 4, {"rows.jsonl", "full"});
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    QVERIFY2(run.out.trimmed().isEmpty(), run.out.constData()); // nothing half-written
}

void TestCliBadInput::killedRunIsInterrupted()
{
    const auto process = m_cli.start(
        {"train", "--model", "tiny", "--data", "rows", "--name", "killed", "--events", "--set",
         "training.maxSteps=500", "--set", "training.passes=900", "--set", "training.maxLength=512",
         "--set", "checks.everySteps=4", "--set", "checks.answerLength=2"});
    QByteArray seen;
    while (!seen.contains("\"step\":9,") && process->waitForReadyRead(60'000))
        seen += process->readAllStandardOutput();
    QVERIFY2(seen.contains("\"event\":\"step\""), seen.right(500).constData());
    process->kill(); // kill -9
    process->waitForFinished();
    const auto run = m_cli.run({"runs", "show", "killed", "--json"}).json();
    QCOMPARE(QString::fromStdString(run["status"].get<std::string>()).toLower(),
             QString("interrupted"));
    const auto resumed = m_cli.start({"resume", "killed", "--events"});
    QByteArray lines;
    while (!lines.contains("\"step\":12,") && resumed->waitForReadyRead(60'000))
        lines += resumed->readAllStandardOutput();
    resumed->kill();
    resumed->waitForFinished();
    QVERIFY2(lines.contains("\"resumed\"") && lines.contains("\"step\":12,"),
             lines.left(800).constData());
}

QTEST_GUILESS_MAIN(TestCliBadInput)
#include "test_cli_bad_input.moc"

// A corpus of files that cannot be opened, each with the sentence that it must give.

#include "data/import.h"
#include "import_help.h"

#include <QDir>
#include <QtTest>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace fettle;
using namespace fettle::data;

class TestDamagedFiles : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sentences_data();
    void sentences();
    void missingFile();
    void folders();
    void everyPrefixIsHandled_data();
    void everyPrefixIsHandled();
    void twoGigabytesOfNothing();
    void hugeLineNeedsLittleMemory();
};

void TestDamagedFiles::sentences_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("sentence");
    const QByteArray zeros(8, '\0');
    QTest::newRow("empty") << "a.csv" << QByteArray()
                           << "a.csv: the file is empty. Choose a file with at least one example.";
    QTest::newRow("white space")
        << "a.jsonl" << QByteArray("\n\n \n")
        << "a.jsonl: the file holds no rows. Choose a file with at least one example.";
    QTest::newRow("header alone")
        << "a.csv" << QByteArray("question,answer\n")
        << "a.csv: the file holds no rows. Choose a file with at least one example.";
    QTest::newRow("binary") << "a.csv" << QByteArray("\x01\x02\0\x7f\x03", 5)
                            << "a.csv: this is a binary file, not text. Choose a file of text: "
                               "CSV, JSON, JSON Lines or TXT.";
    QTest::newRow("unknown ending") << "a.xyz" << QByteArray("text")
                                    << "a.xyz: files ending in .xyz are not opened here. Files "
                                       "with these endings open: csv, tsv, tab, psv, "
                                       "jsonl, ndjson, json, txt, text, md.";
    QTest::newRow("no ending") << "letters" << QByteArray("text")
                               << "letters: the file name has no ending, so its kind is not known. "
                                  "Files with these endings open: csv, "
                                  "tsv, tab, psv, jsonl, ndjson, json, txt, text, md.";
    QTest::newRow("GGUF") << "model.gguf" << QByteArray("GGUF\x03\0\0\0", 8)
                          << "model.gguf: this is a model in GGUF form, not a file of examples. "
                             "Import it as a model instead.";
    QTest::newRow("GGUF called csv") << "model.csv" << QByteArray("GGUF\x03\0\0\0", 8)
                                     << "model.csv: this is a model in GGUF form, not a file of "
                                        "examples. Import it as a model instead.";
    QTest::newRow("safetensors") << "m.safetensors" << QByteArray("\x10\0\0\0\0\0\0\0{\"a\":1}", 15)
                                 << "m.safetensors: these are weights of a model (safetensors), "
                                    "not examples. Import the folder it lies in "
                                    "as a model instead.";
    QTest::newRow("xlsx") << "t.xlsx" << QByteArray("PK\x03\x04") + zeros
                          << "t.xlsx: this is a spreadsheet in its own format. Open it in the "
                             "spreadsheet program and save it as CSV "
                             "(UTF-8).";
    QTest::newRow("docx") << "t.docx" << QByteArray("PK\x03\x04") + zeros
                          << "t.docx: this is a word processor document, which holds no rows. Copy "
                             "the examples into a table and "
                             "save it as CSV (UTF-8).";
    QTest::newRow("pdf") << "t.pdf" << QByteArray("%PDF-1.7\n")
                         << "t.pdf: this is a PDF, which holds no rows. Copy the examples into a "
                            "table and save it as CSV.";
    QTest::newRow("old office") << "t.xls" << QByteArray("\xd0\xcf\x11\xe0") + zeros
                                << "t.xls: this is an office document, not a text file. Open it "
                                   "there and save it as CSV (UTF-8).";
    QTest::newRow("gzip") << "t.jsonl" << QByteArray("\x1f\x8b\x08") + zeros
                          << "t.jsonl: this file is compressed. Unpack it first.";
    QTest::newRow("unclosed quote")
        << "t.csv" << QByteArray("question,answer\nq,a\nr,\"b\ns,c\nt,d\n")
        << "t.csv, row 3: a quote that opens in this row is never closed. Close the quote, or "
           "double each quote "
           "inside the text.";
    QTest::newRow("Latin-1")
        << "t.csv"
        << QByteArray("question,answer\nGr\xFC\xDF"
                      "e,\xFC"
                      "ber\n")
        << "t.csv: the text is not UTF-8; it may be windows-1252, but that is a guess. State the "
           "encoding "
           "windows-1252 if the preview reads well with it, or save the file again as UTF-8.";
    QTest::newRow("stray quotes everywhere")
        << "t.csv" << QByteArray("question,answer\n\"a\"b,c\n")
        << "t.csv: no row can be used: a quoted cell goes on after its closing quote (row 2). "
           "Choose a file with "
           "at least one example.";
    QTest::newRow("JSON cut off") << "t.json" << QByteArray("[{\"question\": \"q\", \"answ")
                                  << "t.json: no row can be used: the file ends in the middle of "
                                     "the JSON text (row 1). Choose a file with at "
                                     "least one example.";
    QTest::newRow("JSON of numbers") << "t.json" << QByteArray("[1, 2, 3]")
                                     << "t.json: no row can be used: this is not a JSON object "
                                        "with named values (row 1). Choose a file with at "
                                        "least one example.";
    QTest::newRow("deep nesting") << "t.jsonl"
                                  << "{\"text\":" + QByteArray(5000, '[')
                                  << "t.jsonl: no row can be used: the JSON is nested deeper than "
                                     "128 levels (row 1). Choose a file with at "
                                     "least one example.";
    QTest::newRow("preference rows")
        << "t.jsonl" << QByteArray(R"({"prompt":"p","chosen":"c","rejected":"r"})")
        << "t.jsonl: these are better and worse answers (columns chosen and rejected), which are "
           "not trained on "
           "here. To train on the better answers alone, name the columns: question=prompt and "
           "answer=chosen.";
    QTest::newRow("no answers at all")
        << "t.jsonl" << QByteArray(R"({"messages":[{"role":"user","content":"q"}]})")
        << "t.jsonl: no row can be used; row 1: the last message is not an answer (role "
           "assistant). Repair the "
           "file, or name other columns.";
    QTest::newRow("unknown columns") << "t.csv" << QByteArray("foo,bar\nx,y\n")
                                     << "t.csv: it is not clear what the columns mean: no column "
                                        "has a name that is known. Name the columns "
                                        "(question=COLUMN and answer=COLUMN); they are: foo, bar.";
}

void TestDamagedFiles::sentences()
{
    QFETCH(QString, name);
    QFETCH(QByteArray, bytes);
    QFETCH(QString, sentence);
    const QTemporaryDir folder;
    const auto result = imported({written(folder, name, bytes)});
    QVERIFY(!result.report);
    QCOMPARE(QString::fromStdString(result.report.error().sentence()), sentence);
    QCOMPARE(exitCode(result.report.error().code), 2);
    QVERIFY(result.rows.empty() || name == "t.csv");
}

void TestDamagedFiles::missingFile()
{
    const auto result = imported({"/nowhere/at/all.csv"});
    QVERIFY(!result.report);
    QVERIFY(result.report.error().code == ErrorCode::NotFound);
    QVERIFY(!imported({}).report);
}

void TestDamagedFiles::folders()
{
    const QTemporaryDir folder;
    QDir(folder.path()).mkdir("model");
    auto result = imported({folder.filePath("model").toStdString()});
    QVERIFY(!result.report);
    QCOMPARE(result.report.error().what, std::string("this is a folder, not a file of examples"));
    written(folder, "model/config.json", "{}");
    result = imported({folder.filePath("model").toStdString()});
    QCOMPARE(result.report.error().what,
             std::string("this is a folder with a model, not a file of examples"));
}

void TestDamagedFiles::everyPrefixIsHandled_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("bytes");
    QTest::newRow("csv") << "t.csv"
                         << QByteArray("\xEF\xBB\xBFquestion;answer\r\n\"Gr\xC3\xBC\xC3\x9F"
                                       "e; \"\"x\"\"\";\"a\nb\"\r\nr;b\r\n");
    QTest::newRow("jsonl") << "t.jsonl"
                           << QByteArray("{\"question\":\"q\\ud83d\\ude00\",\"answer\":\"a\"}\n{"
                                         "\"question\":\"\xE2\x82\xAC\",\"answer\":[1,{}]}\n");
    QTest::newRow("json") << "t.json"
                          << QByteArray("[{\"instruction\":\"i\",\"output\":\"o\\\"]\"},\n "
                                        "{\"instruction\":\"j\",\"output\":\"p\"}]");
    static const char kUtf16[] = "\xFF\xFEq\0u\0e\0s\0t\0i\0o\0n\0,"
                                 "\0a\0n\0s\0w\0e\0r\0\n\0\x3d\xd8\x00\xde,\0b\0\n\0";
    QTest::newRow("utf16") << "t.csv" << QByteArray(kUtf16, sizeof kUtf16 - 1);
    QTest::newRow("txt") << "t.txt" << QByteArray("one\r\n\r\ntwo\xC3\xA4\rthree");
}

void TestDamagedFiles::everyPrefixIsHandled()
{
    QFETCH(QString, name);
    QFETCH(QByteArray, bytes);
    const QTemporaryDir folder;
    for (int size = 0; size <= bytes.size(); ++size) {
        const auto file = written(folder, name, bytes.left(size));
        const auto result = imported({file});
        if (!result.report)
            QVERIFY(!result.report.error().sentence().empty());
        else
            QVERIFY(result.report->rowsKept > 0);
        static_cast<void>(previewImport({file}, {}));
    }
    QVERIFY(imported({written(folder, name, bytes)}).report);
}

void TestDamagedFiles::twoGigabytesOfNothing()
{
    const QTemporaryDir folder;
    const auto file = written(folder, "big.csv", "question,answer\n");
    QVERIFY(::truncate(file.c_str(), off_t{2} << 30) == 0); // sparse: takes no room
    const auto result = imported({file});
    QVERIFY(!result.report);
    QVERIFY(result.report.error().code == ErrorCode::InvalidInput);
}

void TestDamagedFiles::hugeLineNeedsLittleMemory()
{
    const QTemporaryDir folder;
    // A good row, a line of 160 MB, a good row; the program's memory must not grow by the line.
    QFile file(folder.filePath("t.jsonl"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const QByteArray row = "{\"question\":\"q\",\"answer\":\"a\"}\n", block(1 << 20, 'x');
    file.write(row + "{\"question\":\"");
    for (int i = 0; i < 160; ++i)
        file.write(block);
    file.write("\"}\n" + row);
    file.close();
    struct rusage before
    {
    }, after{};
    ::getrusage(RUSAGE_SELF, &before);
    const auto result = imported({file.fileName().toStdString()});
    ::getrusage(RUSAGE_SELF, &after);
    QVERIFY(result.report);
    QCOMPARE(result.report->rowsKept, 2);
    QCOMPARE(result.report->badRows.front().reason, std::string("the line is longer than 16 MB"));
    QVERIFY2(after.ru_maxrss - before.ru_maxrss < 64 * 1024,
             "more than 64 MB"); // ru_maxrss is in kB
}

QTEST_APPLESS_MAIN(TestDamagedFiles)
#include "test_damaged_files.moc"

#include "data/import.h"
#include "import_help.h"

#include <QtTest>

using namespace fettle;
using namespace fettle::data;

namespace {

/// "user: a | assistant: b" for chats, "prompt -> completion", "text = label".
QString written(const Example& example)
{
    QString text;
    switch (example.kind) {
    case RecordKind::Chat:
        for (const auto& message : example.messages) {
            text += (text.isEmpty() ? "" : " | ") +
                    QString::fromStdString(message["role"].get<std::string>()) + ": " +
                    (message.contains("content") && message["content"].is_string()
                         ? QString::fromStdString(message["content"].get<std::string>())
                         : QString("-"));
        }
        return text;
    case RecordKind::Completion:
        return QString::fromStdString(example.prompt + " -> " + example.completion);
    case RecordKind::Labelled:
        break;
    }
    return QString::fromStdString(example.text + " = " + example.label);
}

} // namespace

class TestImport : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void formsAreDetected_data();
    void formsAreDetected();
    void tablesAreRead_data();
    void tablesAreRead();
    void encodings_data();
    void encodings();
    void guessedEncodingIsNotUsedSilently();
    void damagedBytesInUtf8AreReplacedAndCounted();
    void rolesFromWholeNamesOnly();
    void rolesAreCorrectable();
    void unclearColumnsAreNotGuessedSilently();
    void splitAndGroupColumns();
    void standingInstruction();
    void repairsAreCounted();
    void badRowsAreListedAndCounted();
    void jsonArrayIsStreamedPastDamage();
    void numbersAndMetaStayAsTheyWere();
    void severalFiles();
    void previewShowsFiveRows();
    void stopEndsTheImport();
    void sinkErrorEndsTheImport();
    void endings();
};

void TestImport::formsAreDetected_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QString>("form");
    QTest::addColumn<QString>("first");
    QTest::newRow("openai messages")
        << "a.jsonl"
        << QByteArray(
               R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})")
        << "messages"
        << "user: q | assistant: a";
    QTest::newRow("content parts")
        << "a.jsonl"
        << QByteArray(
               R"({"messages":[{"role":"user","content":[{"type":"text","text":"q"},{"type":"text","text":"r"}]},{"role":"assistant","content":"a"}]})")
        << "messages"
        << "user: qr | assistant: a";
    QTest::newRow("tool call")
        << "a.jsonl"
        << QByteArray(
               R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"x":1}}}]}]})")
        << "messages"
        << "user: q | assistant: -";
    QTest::newRow("sharegpt")
        << "a.json"
        << QByteArray(
               R"([{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"system":"s"}])")
        << "sharegpt"
        << "system: s | user: q | assistant: a";
    QTest::newRow("alpaca with input")
        << "a.json" << QByteArray(R"([{"instruction":"i","input":"x","output":"a"}])") << "alpaca"
        << "user: i\nx | assistant: a";
    QTest::newRow("alpaca with history")
        << "a.jsonl"
        << QByteArray(
               R"({"instruction":"i","input":"","output":"a","history":[["h1","h2"]],"system":"s"})")
        << "alpaca"
        << "system: s | user: h1 | assistant: h2 | user: i | assistant: a";
    QTest::newRow("completion") << "a.jsonl" << QByteArray(R"({"prompt":"p ","completion":" c"})")
                                << "completion"
                                << "p  ->  c";
    QTest::newRow("completion of messages")
        << "a.jsonl"
        << QByteArray(
               R"({"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]})")
        << "completion"
        << "user: q | assistant: a";
    QTest::newRow("text lines") << "a.jsonl" << QByteArray(R"({"id":1,"text":"t"})") << "text"
                                << " -> t";
    QTest::newRow("labelled") << "a.jsonl" << QByteArray(R"({"text":"t","label":3})") << "labelled"
                              << "t = 3";
    QTest::newRow("description and section")
        << "a.csv" << QByteArray("description,section\nd,net\n") << "labelled"
        << "d = net";
    QTest::newRow("questions") << "a.csv" << QByteArray("Question,Answer\nq,a\n") << "questions"
                               << "user: q | assistant: a";
    QTest::newRow("description and summary")
        << "a.jsonl" << QByteArray(R"({"name":"n","description":"d","summary":"s"})") << "questions"
        << "user: d | assistant: s";
    QTest::newRow("text and summary") << "a.csv" << QByteArray("text,summary\nd,s\n") << "questions"
                                      << "user: d | assistant: s";
    QTest::newRow("German names") << "a.csv" << QByteArray("Frage;Antwort\nq;a\n") << "questions"
                                  << "user: q | assistant: a";
    QTest::newRow("French names") << "a.tsv" << QByteArray("demande\tréponse\nq\ta\n")
                                  << "questions"
                                  << "user: q | assistant: a";
    QTest::newRow("decomposed umlaut in a name") << "a.csv"
                                                 << QByteArray("source,U\xCC\x88"
                                                               "bersetzung\nq,a\n")
                                                 << "questions"
                                                 << "user: q | assistant: a";
    QTest::newRow("running text") << "a.txt" << QByteArray("one\ntwo\n\n\nthree\n") << "text"
                                  << " -> one\ntwo";
    QTest::newRow("one JSON object")
        << "a.json" << QByteArray("{\n \"question\": \"q\",\n \"answer\": \"a\"\n}") << "questions"
        << "user: q | assistant: a";
    QTest::newRow("JSON Lines named json")
        << "a.json"
        << QByteArray(
               "{\"question\":\"q\",\"answer\":\"a\"}\n{\"question\":\"r\",\"answer\":\"b\"}\n")
        << "questions"
        << "user: q | assistant: a";
    QTest::newRow("array named jsonl")
        << "a.jsonl" << QByteArray("[\n{\"question\":\"q\",\"answer\":\"a\"}\n]") << "questions"
        << "user: q | assistant: a";
}

void TestImport::formsAreDetected()
{
    QFETCH(QString, name);
    QFETCH(QByteArray, text);
    QFETCH(QString, form);
    QFETCH(QString, first);
    const QTemporaryDir folder;
    const auto file = ::written(folder, name, text);
    const auto result = imported({file});
    QVERIFY2(result.report, result.report ? "" : result.report.error().sentence().c_str());
    QCOMPARE(QString::fromStdString(result.report->form), form);
    QCOMPARE(written(result.rows.front().example), first);
    QCOMPARE(result.report->badRowCount, 0);
    const auto preview = previewImport({file}, {});
    QVERIFY(preview);
    QVERIFY(preview->rolesSure);
    QCOMPARE(QString::fromStdString(preview->form), form);
    QCOMPARE(written(preview->samples.front()), first);
}

void TestImport::tablesAreRead_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QStringList>("rows");
    const QStringList usual = {"user: q | assistant: a", "user: r | assistant: b"};
    QTest::newRow("comma") << QByteArray("question,answer\nq,a\nr,b\n") << usual;
    QTest::newRow("semicolon, decimal commas")
        << QByteArray("question;answer\n1,5;2,5\n3,5;4,5\n")
        << QStringList{"user: 1,5 | assistant: 2,5", "user: 3,5 | assistant: 4,5"};
    QTest::newRow("bar") << QByteArray("question|answer\nq|a\nr|b\n") << usual;
    QTest::newRow("Excel hint") << QByteArray("sep=|\nquestion|answer\nq|a\nr|b\n") << usual;
    QTest::newRow("CR LF, no end") << QByteArray("question,answer\r\nq,a\r\nr,b") << usual;
    QTest::newRow("CR alone") << QByteArray("question,answer\rq,a\rr,b\r") << usual;
    QTest::newRow("blank lines") << QByteArray("question,answer\n\nq,a\n\n\nr,b\n\n") << usual;
    QTest::newRow("doubled quotes and line ends in cells")
        << QByteArray("question,answer\n\"say \"\"hi\"\", please\",\"two\nlines\"\n")
        << QStringList{"user: say \"hi\", please | assistant: two\nlines"};
    QTest::newRow("quote inside an unquoted cell") << QByteArray("question,answer\n5\" disk,a\n")
                                                   << QStringList{"user: 5\" disk | assistant: a"};
    QTest::newRow("blanks are text")
        << QByteArray("question,answer\n q , a\n") << QStringList{"user:  q  | assistant:  a"};
    QTest::newRow("dates, zeros and long numbers stay text")
        << QByteArray("question,answer\n007,1-2\n12345678901234567890,1e5\n")
        << QStringList{"user: 007 | assistant: 1-2", "user: 12345678901234567890 | assistant: 1e5"};
    QTest::newRow("empty cells at the right")
        << QByteArray("question,answer\nq,a,,\nr,b\n") << usual;
    QTest::newRow("line separators of Unicode are text")
        << QByteArray("question,answer\nq\xE2\x80\xA8x,a\n")
        << QStringList{QString::fromUtf8("user: q\xE2\x80\xA8x | assistant: a")};
}

void TestImport::tablesAreRead()
{
    QFETCH(QByteArray, text);
    QFETCH(QStringList, rows);
    const QTemporaryDir folder;
    const auto result = imported({::written(folder, "t.csv", text)});
    QVERIFY2(result.report, result.report ? "" : result.report.error().sentence().c_str());
    QStringList got;
    for (const auto& row : result.rows)
        got.append(written(row.example));
    QCOMPARE(got, rows);
    QCOMPARE(result.report->badRowCount, 0);
}

void TestImport::encodings_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("stated");
    QTest::addColumn<QString>("found");
    const QByteArray utf8 = "question;answer\nGrüße;über\n";
    const auto utf16 = [&](bool big) {
        QByteArray bytes;
        const QString text = QString::fromUtf8(utf8);
        for (const QChar c : text) {
            const char low = static_cast<char>(c.unicode() & 0xFF),
                       high = static_cast<char>(c.unicode() >> 8);
            bytes += big ? high : low;
            bytes += big ? low : high;
        }
        return bytes;
    };
    QTest::newRow("UTF-8") << utf8 << ""
                           << "UTF-8";
    QTest::newRow("UTF-8 with mark") << QByteArray("\xEF\xBB\xBF") + utf8 << ""
                                     << "UTF-8";
    QTest::newRow("UTF-16LE with mark") << QByteArray("\xFF\xFE") + utf16(false) << ""
                                        << "UTF-16LE";
    QTest::newRow("UTF-16BE with mark") << QByteArray("\xFE\xFF") + utf16(true) << ""
                                        << "UTF-16BE";
    QTest::newRow("UTF-16LE stated") << utf16(false) << "UTF-16LE"
                                     << "UTF-16LE";
    QTest::newRow("Latin-1 stated") << QString::fromUtf8(utf8).toLatin1() << "ISO-8859-1"
                                    << "ISO-8859-1";
    QTest::newRow("windows-1252 stated") << QString::fromUtf8(utf8).toLatin1() << "windows-1252"
                                         << "windows-1252";
    QTest::newRow("UTF-8 with mark, stated") << QByteArray("\xEF\xBB\xBF") + utf8 << "utf-8"
                                             << "UTF-8";
}

void TestImport::encodings()
{
    QFETCH(QByteArray, bytes);
    QFETCH(QString, stated);
    QFETCH(QString, found);
    const QTemporaryDir folder;
    ImportOptions options;
    if (!stated.isEmpty())
        options.encoding = stated.toStdString();
    const auto result = imported({::written(folder, "t.csv", bytes)}, options);
    QVERIFY2(result.report, result.report ? "" : result.report.error().sentence().c_str());
    QCOMPARE(result.rows.size(), std::size_t{1});
    QCOMPARE(written(result.rows.front().example),
             QString::fromUtf8("user: Grüße | assistant: über"));
    QCOMPARE(QString::fromStdString(result.report->encoding), found);
    QCOMPARE(result.report->repaired, 0);
}

void TestImport::guessedEncodingIsNotUsedSilently()
{
    const QTemporaryDir folder;
    const auto file =
        ::written(folder, "alt.csv",
                  QString::fromUtf8("question;answer\nGrüße;über\nÄrzte;Fälle\n").toLatin1());
    const auto preview = previewImport({file}, {});
    QVERIFY(preview);
    QVERIFY(!preview->encodingSure);
    QCOMPARE(written(preview->samples.front()), QString::fromUtf8("user: Grüße | assistant: über"));
    const auto result = imported({file});
    QVERIFY(!result.report);
    QVERIFY(result.report.error().code == ErrorCode::InvalidInput);
    QVERIFY(result.rows.empty());
    ImportOptions options;
    options.encoding = preview->encoding;
    QVERIFY(imported({file}, options).report);
}

void TestImport::damagedBytesInUtf8AreReplacedAndCounted()
{
    const QTemporaryDir folder;
    QByteArray text = "question,answer\n";
    for (int i = 0; i < 50; ++i)
        text += "Grüße,über\n";
    text += "br\xFFoken,a\n";
    const auto result = imported({::written(folder, "t.csv", text)});
    QVERIFY(result.report);
    QCOMPARE(written(result.rows.back().example),
             QString::fromUtf8("user: br\xEF\xBF\xBDoken | assistant: a"));
    QCOMPARE(result.report->repaired, 1);
    QCOMPARE(result.report->repairs.at("bytes that are not UTF-8 replaced"), 1);
}

void TestImport::rolesFromWholeNamesOnly()
{
    const QTemporaryDir folder;
    // "answer_date" and "question_id" only contain the words.
    const auto file =
        ::written(folder, "t.csv", "question_id,question,answer_date,answer\n1,q,2020,a\n");
    const auto preview = previewImport({file}, {});
    QVERIFY(preview);
    QCOMPARE(preview->roles.at("question"), std::string("question"));
    QCOMPARE(preview->roles.at("answer"), std::string("answer"));
    const auto parts =
        previewImport({::written(folder, "u.csv", "question_id,answer_date\nx,y\n")}, {});
    QVERIFY(parts);
    QVERIFY(!parts->rolesSure);
    const auto two =
        previewImport({::written(folder, "v.csv", "prompt,question,answer\nx,y,z\n")}, {});
    QVERIFY(two);
    QVERIFY(!two->rolesSure);
}

void TestImport::rolesAreCorrectable()
{
    const QTemporaryDir folder;
    const auto file = ::written(folder, "t.csv", "question,answer,better\nq,a,b\n");
    ImportOptions options;
    options.roles = {{"answer", "better"}};
    const auto result = imported({file}, options);
    QVERIFY(result.report);
    QCOMPARE(written(result.rows.front().example), QString("user: q | assistant: b"));
    QCOMPARE(result.rows.front().example.meta, Json({{"answer", "a"}}));
    options.roles = {{"text", "question"}, {"label", "better"}};
    QCOMPARE(written(imported({file}, options).rows.front().example), QString("q = b"));
    options.roles = {{"answer", "beter"}};
    const auto missing = imported({file}, options);
    QVERIFY(!missing.report);
    QCOMPARE(QString::fromStdString(missing.report.error().sentence()),
             QString("t.csv: there is no column \"beter\" for the role answer. "
                     "The columns are: question, answer, better."));
    options.roles = {{"answr", "better"}};
    QVERIFY(!imported({file}, options).report);
}

void TestImport::unclearColumnsAreNotGuessedSilently()
{
    const QTemporaryDir folder;
    const auto file = ::written(folder, "t.csv", "Hello,Hallo\nGood morning,Guten Morgen\n");
    const auto preview = previewImport({file}, {});
    QVERIFY(preview);
    QVERIFY(!preview->rolesSure);
    const auto result = imported({file});
    QVERIFY(!result.report);
    QVERIFY(result.report.error().remedy.find("question=COLUMN") != std::string::npos);
    ImportOptions options;
    options.headerRow = false;
    options.roles = {{"question", "column 1"}, {"answer", "column 2"}};
    const auto named = imported({file}, options);
    QVERIFY(named.report);
    QCOMPARE(named.rows.size(), std::size_t{2});
    QCOMPARE(written(named.rows.front().example), QString("user: Hello | assistant: Hallo"));
}

void TestImport::splitAndGroupColumns()
{
    const QTemporaryDir folder;
    const auto result = imported({::written(folder, "t.csv",
                                            "question,answer,split,group\nq,a,train,g1\nr,b,dev,"
                                            "g2\ns,c,TEST,\nt,d,,g1\nu,e,other,g\n")});
    QVERIFY(!result.report || result.report->rowsKept >= 4);
    const auto stated = imported(
        {::written(folder, "u.csv",
                   "question,answer,split,group\nq,a,train,g1\nr,b,dev,g2\ns,c,TEST,\nt,d,,g1\n")});
    QVERIFY(stated.report);
    QCOMPARE(stated.rows.size(), std::size_t{4});
    QVERIFY(stated.rows[0].split == Split::Train);
    QVERIFY(stated.rows[1].split == Split::Validation);
    QVERIFY(stated.rows[2].split == Split::Test);
    QVERIFY(!stated.rows[3].split);
    QCOMPARE(stated.rows[0].example.group, std::string("g1"));
    QVERIFY(stated.rows[2].example.group.empty());
    QVERIFY(stated.rows[0].example.meta.empty());
}

void TestImport::standingInstruction()
{
    const QTemporaryDir folder;
    ImportOptions options;
    options.instruction = "Summarise.";
    const auto questions =
        imported({::written(folder, "t.csv", "question,answer\nq,a\n")}, options);
    QCOMPARE(written(questions.rows.front().example),
             QString("system: Summarise. | user: q | assistant: a"));
    const auto own = imported(
        {::written(folder, "t.jsonl", R"({"instruction":"i","output":"a","system":"own"})")},
        options);
    QCOMPARE(written(own.rows.front().example), QString("system: own | user: i | assistant: a"));
    const auto labelled = imported({::written(folder, "l.csv", "text,label\nt,x\n")}, options);
    QCOMPARE(written(labelled.rows.front().example), QString("t = x"));
    QVERIFY(!imported({::written(folder, "r.txt", "running text\n")}, options).report);
}

void TestImport::repairsAreCounted()
{
    const QTemporaryDir folder;
    const QByteArray text =
        R"({"conversations":[{"from":"gpt","value":"0"},{"from":"human","value":"1"},{"from":"human","value":"2"},{"from":"gpt","value":"3"},{"from":"human","value":"4"}]})"
        "\n"
        R"({"conversations":[{"from":"human","value":"1"},{"from":"gpt","value":" "}]})"
        "\n"
        R"({"conversations":[{"from":"human","value":"1"},{"from":"gpt","value":"\ud800 2"}],"x":1,"x":2})"
        "\n";
    const auto result = imported({::written(folder, "t.jsonl", text)});
    QVERIFY(result.report);
    QCOMPARE(written(result.rows[0].example), QString("user: 1\n\n2 | assistant: 3"));
    QCOMPARE(written(result.rows[1].example),
             QString::fromUtf8("user: 1 | assistant: \xEF\xBF\xBD 2"));
    QCOMPARE(result.rows[1].example.meta, Json({{"x", 2}}));
    QCOMPARE(result.report->badRowCount, 1);
    QCOMPARE(result.report->badRows.front().row, 2);
    QCOMPARE(result.report->repaired, 2);
    QCOMPARE(result.report->repairs.size(), std::size_t{5});
}

void TestImport::badRowsAreListedAndCounted()
{
    const QTemporaryDir folder;
    QByteArray text = "{\"question\":\"q\",\"answer\":\"a\"}\n";
    for (int i = 0; i < 1500; ++i)
        text += "{\"question\": \"secret words\n";
    text += "{\"question\":\"q\",\"answer\":[1]}\n5\n{\"question\":\"q\"}\n";
    const auto result = imported({::written(folder, "t.jsonl", text)});
    QVERIFY(result.report);
    QCOMPARE(result.report->rowsKept, 1);
    QCOMPARE(result.report->rowsRead, 1504);
    QCOMPARE(result.report->badRowCount, 1503);
    QCOMPARE(result.report->badRows.size(), std::size_t{1000});
    QCOMPARE(result.report->badRows.front().row, 2);
    QCOMPARE(result.report->badRows.front().file, std::string("t.jsonl"));
    for (const auto& bad : result.report->badRows)
        QVERIFY(bad.reason.find("secret") == std::string::npos);
}

void TestImport::jsonArrayIsStreamedPastDamage()
{
    const QTemporaryDir folder;
    const auto result = imported(
        {::written(folder, "t.json",
                   "[{\"question\":\"q\",\"answer\":\"]}\"},{\"question\":bad},\n"
                   "{\"question\":\"r\",\"answer\":\"b\"},,{\"question\":\"s\",\"answer\":")});
    QVERIFY(result.report);
    QCOMPARE(result.report->rowsKept, 2);
    QCOMPARE(written(result.rows[0].example), QString("user: q | assistant: ]}"));
    QCOMPARE(result.rows[1].example.sourceRow, 3);
    QCOMPARE(result.report->badRowCount, 3);
    QCOMPARE(result.report->badRows[2].reason,
             std::string("the file ends in the middle of the JSON text"));
}

void TestImport::numbersAndMetaStayAsTheyWere()
{
    const QTemporaryDir folder;
    const auto result = imported({::written(
        folder, "t.jsonl",
        R"({"question":7,"answer":true,"id":9007199254740993,"n":-9007199254740993,"small":12,"f":1.5,"nan":NaN,"list":[1,{"a":2}]})")});
    QVERIFY2(result.report, result.report ? "" : result.report.error().sentence().c_str());
    QCOMPARE(written(result.rows.front().example), QString("user: 7 | assistant: true"));
    const auto& meta = result.rows.front().example.meta;
    QCOMPARE(meta["small"], Json(12));
    QCOMPARE(meta["f"], Json(1.5));
    QVERIFY(meta["nan"].is_null());
    QCOMPARE(meta["list"], Json::parse(R"([1,{"a":2}])"));
}

void TestImport::severalFiles()
{
    const QTemporaryDir folder;
    const auto a = ::written(folder, "a.csv", "question,answer\nq,a\n");
    const auto b = ::written(folder, "b.jsonl", R"({"question":"r","answer":"b"})");
    const auto both = imported({a, b});
    QVERIFY(both.report);
    QCOMPARE(both.rows.size(), std::size_t{2});
    QCOMPARE(both.rows[1].example.source, std::string("b.jsonl"));
    QCOMPARE(both.rows[0].example.sourceRow, 2);
    const auto other = ::written(folder, "c.csv", "text,label\nt,x\n");
    const auto mixed = imported({a, other});
    QVERIFY(!mixed.report);
    QCOMPARE(mixed.report.error().where, std::string("c.csv"));
}

void TestImport::previewShowsFiveRows()
{
    const QTemporaryDir folder;
    QByteArray text = "question;answer;id\n";
    for (int i = 0; i < 1000; ++i)
        text += "q;a;1\n";
    const auto preview = previewImport({::written(folder, "t.csv", text)}, {});
    QVERIFY(preview);
    QCOMPARE(preview->format, std::string("CSV"));
    QCOMPARE(preview->samples.size(), std::size_t{5});
    QCOMPARE(*preview->delimiter, ';');
    QCOMPARE(preview->columns, (std::vector<std::string>{"question", "answer", "id"}));
    QCOMPARE(preview->formTitle, std::string("questions and answers"));
}

void TestImport::stopEndsTheImport()
{
    const QTemporaryDir folder;
    QByteArray text = "question,answer\n";
    for (int i = 0; i < 5000; ++i)
        text += "q,a\n";
    const auto file = ::written(folder, "t.csv", text);
    std::stop_source stop;
    std::int64_t rows = 0;
    double last = 0;
    const auto report = importFiles(
        {file}, {},
        [&](ImportedRow&&) {
            ++rows;
            return Result<void>();
        },
        [&](std::int64_t, double fraction) {
            last = fraction;
            stop.request_stop();
        },
        stop.get_token());
    QVERIFY(!report);
    QVERIFY(report.error().code == ErrorCode::Cancelled);
    QVERIFY(rows < 5000);
    QVERIFY(last > 0 && last <= 1);
}

void TestImport::sinkErrorEndsTheImport()
{
    const QTemporaryDir folder;
    const auto report = importFiles(
        {::written(folder, "t.csv", "question,answer\nq,a\nr,b\n")}, {}, [](ImportedRow&&) {
            return Result<void>(Error{ErrorCode::DiskFull, "full", "", ""});
        });
    QVERIFY(!report);
    QVERIFY(report.error().code == ErrorCode::DiskFull);
}

void TestImport::endings()
{
    const auto endings = importableExtensions();
    for (const char* wanted : {"csv", "tsv", "jsonl", "json", "txt"})
        QVERIFY2(std::find(endings.begin(), endings.end(), wanted) != endings.end(), wanted);
}

QTEST_APPLESS_MAIN(TestImport)
#include "test_import.moc"

// A row from a file, through the store, to the text that is trained on.

#include "base/ordered_json.h"
#include "recipes/encode.h"
#include "store/workspace.h"
#include "text/tokenizer.h"

#include <QFile>
#include <QTemporaryDir>
#include <QtTest>

using namespace fettle;

namespace {

std::filesystem::path goldens() { return std::string(FETTLE_SOURCE_DIR) + "/tests/golden"; }

OrderedJson textGoldens() { return readOrderedJsonFile(goldens() / "text_chat.json").value(); }

/// The conversation as a line of a file, and what the reference renders of it.
struct Case
{
    OrderedJson row;
    std::string rendering;
};

Case goldenCase(const OrderedJson& golden, const std::string& templateName, const std::string& name)
{
    const auto& list = golden["conversations"];
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i]["name"] != name)
            continue;
        OrderedJson row = {{"messages", list[i]["messages"]}};
        if (list[i]["extra"].contains("tools"))
            row["tools"] = list[i]["extra"]["tools"];
        return {row, golden["templates"][templateName]["results"][i][0]};
    }
    qFatal("no such conversation");
}

/// Imported into a workspace, closed, opened again.
data::Example stored(const QTemporaryDir& folder, const std::string& line)
{
    const auto path = std::filesystem::path(folder.path().toStdString());
    QFile file(QString::fromStdString((path / "rows.jsonl").string()));
    if (!file.open(QIODevice::WriteOnly) || file.write((line + "\n").c_str()) < 0)
        qFatal("cannot write the test file");
    file.close();
    {
        auto workspace = store::Workspace::open(path / "workspace").value();
        auto dataset = workspace->createDataset("rows").value();
        const auto report = dataset->import({path / "rows.jsonl"}, {}, {}, {}, {});
        if (!report || report->rowsKept != 1)
            qFatal("the row was not imported");
    }
    auto workspace = store::Workspace::open(path / "workspace").value();
    return workspace->dataset("rows").value()->rows({}, 0, 1).at(0).example;
}

} // namespace

class TestEncodeRows : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void rowsWithToolsRenderAsTheReference_data();
    void rowsWithToolsRenderAsTheReference();
    void toolsAsTextAreRead();
    void rowsWithoutToolsGiveTheTemplateNone();
};

void TestEncodeRows::rowsWithToolsRenderAsTheReference_data()
{
    QTest::addColumn<QString>("templateName");
    QTest::addColumn<QString>("conversation");
    for (const char* conversation :
         {"tools with system", "a tool call", "a tool call without content", "two tools' answers",
          "arguments as text", "tool call without tools"})
        QTest::newRow(conversation) << "tools" << conversation;
}

void TestEncodeRows::rowsWithToolsRenderAsTheReference()
{
    QFETCH(QString, templateName);
    QFETCH(QString, conversation);
    const auto golden = textGoldens();
    const auto wanted = goldenCase(golden, templateName.toStdString(), conversation.toStdString());
    const QTemporaryDir folder;
    const auto example = stored(folder, wanted.row.dump());
    QCOMPARE(OrderedJson(example.messages).dump(), wanted.row["messages"].dump());
    QCOMPARE(example.tools.dump(), wanted.row.value("tools", OrderedJson()).dump());

    recipes::Encoder encoder;
    encoder.tokenizer = text::Tokenizer::load(goldens() / "text_small_tokenizer").value();
    encoder.chatTemplate =
        text::ChatTemplate::parse(golden["templates"][templateName.toStdString()]["source"],
                                  Json(golden["tokens"]))
            .value();
    const auto encoded = encoder.encode(example, text::LossOn::Answers);
    QVERIFY2(encoded, encoded ? "" : encoded.error().what.c_str());
    QCOMPARE(QByteArray::fromStdString(encoder.tokenizer->decode(encoded->ids, false)),
             QByteArray::fromStdString(wanted.rendering));
}

void TestEncodeRows::toolsAsTextAreRead()
{
    const std::string messages =
        R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}])";
    const QTemporaryDir folder;
    const auto example = stored(folder, "{" + messages + R"(,"tools":"[{\"z\": 1, \"a\": 2}]"})");
    QCOMPARE(example.tools.dump(), std::string(R"([{"z":1,"a":2}])"));
    QVERIFY(example.meta.empty());
}

void TestEncodeRows::rowsWithoutToolsGiveTheTemplateNone()
{
    const QTemporaryDir folder;
    const auto example = stored(
        folder,
        R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"tools":[]})");
    QVERIFY(example.tools.is_null());
    QVERIFY(text::toolsVariable(example.tools).empty());
}

QTEST_APPLESS_MAIN(TestEncodeRows)
#include "test_encode_rows.moc"

#include "data/example.h"
#include "data/normalise.h"

#include <QtTest>

using namespace fettle;
using namespace fettle::data;

namespace {

Example chat(const std::string& question, const std::string& answer)
{
    Example example;
    example.messages = {{{"role", "user"}, {"content", question}},
                        {{"role", "assistant"}, {"content", answer}}};
    return example;
}

} // namespace

class TestExample : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void jsonBothWays_data();
    void jsonBothWays();
    void messagesAndToolsKeepTheirOrder();
    void rowsOfOlderWorkspacesAreRead();
    void damagedJsonIsRefused();
    void keysLookThroughWriting_data();
    void keysLookThroughWriting();
    void questionOfConversation();
    void emptyParts();
};

void TestExample::jsonBothWays_data()
{
    QTest::addColumn<QString>("json");
    QTest::newRow("chat")
        << R"({"kind":"chat","messages":[{"role":"user","content":"a"},)"
           R"({"role":"assistant","content":"b","weight":0}],"group":"g","source":"f.csv","row":7})";
    QTest::newRow("completion")
        << R"({"kind":"completion","prompt":"","completion":"text","meta":{"n":1.5}})";
    QTest::newRow("labelled") << R"({"kind":"labelled","text":"t","label":"net"})";
    QTest::newRow("tools")
        << R"({"kind":"chat","messages":[{"role":"assistant","content":"b"}],"tools":[{"z":1,"a":2}]})";
}

void TestExample::jsonBothWays()
{
    QFETCH(QString, json);
    const auto wanted = OrderedJson::parse(json.toStdString());
    const auto example = exampleFromJson(wanted);
    QVERIFY(example);
    QCOMPARE(QByteArray::fromStdString(Json(toJson(*example)).dump()),
             QByteArray::fromStdString(Json(wanted).dump()));
}

void TestExample::messagesAndToolsKeepTheirOrder()
{
    const std::string messages =
        R"([{"role":"user","content":"q"},{"weight":1,"role":"assistant","content":null,)"
        R"("tool_calls":[{"type":"function","function":{"name":"f","arguments":{"z":1,"a":2}}}]}])";
    const std::string tools = R"([{"type":"function","function":{"name":"f","a":{"y":1,"b":2}}}])";
    const auto example = exampleFromJson(OrderedJson::parse(
        R"({"tools":)" + tools + R"(,"messages":)" + messages + R"(,"kind":"chat"})"));
    QVERIFY(example);
    QCOMPARE(toJson(*example).dump(),
             R"({"kind":"chat","messages":)" + messages + R"(,"tools":)" + tools + "}");
    // The order of keys makes no other row.
    auto turned = *example;
    turned.messages[1]["tool_calls"] = OrderedJson::parse(
        R"([{"function":{"arguments":{"a":2,"z":1},"name":"f"},"type":"function"}])");
    turned.tools = OrderedJson(Json(turned.tools));
    QVERIFY(toJson(turned).dump() != toJson(*example).dump());
    QCOMPARE(duplicateKey(turned), duplicateKey(*example));
}

void TestExample::rowsOfOlderWorkspacesAreRead()
{
    const std::string row =
        R"({"kind":"chat","messages":[{"content":"q","role":"user"},{"content":"a","role":"assistant"}],)"
        R"("meta":{"a":1,"tools":"x"},"row":3,"source":"f.csv"})";
    const auto example = exampleFromJson(OrderedJson::parse(row));
    QVERIFY(example);
    QCOMPARE(toJson(*example).dump(), row); // stored again unchanged: the digest stays
    QCOMPARE(answerOf(*example), std::string("a"));
    QVERIFY(example->tools.is_null());
}

void TestExample::damagedJsonIsRefused()
{
    for (const char* text :
         {"[]", "{}", R"({"kind":"other"})", R"({"kind":"chat","messages":[1]})",
          R"({"kind":"labelled","text":5})", R"({"kind":"chat","messages":[{"role":3}]})"}) {
        const auto example = exampleFromJson(OrderedJson::parse(text));
        QVERIFY2(!example, text);
        QVERIFY(example.error().code == ErrorCode::InvalidInput);
    }
}

void TestExample::keysLookThroughWriting_data()
{
    QTest::addColumn<QByteArray>("one");
    QTest::addColumn<QByteArray>("other");
    QTest::addColumn<bool>("equal");
    QTest::newRow("same") << QByteArray("a b") << QByteArray("a b") << true;
    QTest::newRow("white space of any kind") << QByteArray(" a\t\n b ")
                                             << QByteArray("a\xC2\xA0"
                                                           "b")
                                             << true;
    QTest::newRow("composed and decomposed")
        << QByteArray("Ärzte") << QByteArray("A\xCC\x88rzte") << true;
    QTest::newRow("case matters") << QByteArray("Arzt") << QByteArray("arzt") << false;
    QTest::newRow("a word more") << QByteArray("a b") << QByteArray("a b c") << false;
}

void TestExample::keysLookThroughWriting()
{
    QFETCH(QByteArray, one);
    QFETCH(QByteArray, other);
    QFETCH(bool, equal);
    const auto a = chat(one.toStdString(), "x"), b = chat(other.toStdString(), "x");
    QCOMPARE(duplicateKey(a) == duplicateKey(b), equal);
    QCOMPARE(questionKey(a) == questionKey(b), equal);
    QCOMPARE(questionKey(a), questionKey(chat(one.toStdString(), "another answer")));
    QVERIFY(duplicateKey(a) != duplicateKey(chat(one.toStdString(), "another answer")));
}

void TestExample::questionOfConversation()
{
    Example example = chat("one", "two");
    example.messages.push_back({{"role", "user"}, {"content", "three"}});
    example.messages.push_back({{"role", "assistant"}, {"content", "four"}});
    QCOMPARE(questionOf(example), std::string("one\n\ntwo\n\nthree"));
    QCOMPARE(answerOf(example), std::string("four"));
    // Field borders count: "ab" + "c" is not "a" + "bc".
    QVERIFY(duplicateKey(chat("ab", "c")) != duplicateKey(chat("a", "bc")));
    Example running;
    running.kind = RecordKind::Completion;
    running.completion = "a text";
    Example second = running;
    second.completion = "another text";
    QVERIFY(questionKey(running) != questionKey(second));
}

void TestExample::emptyParts()
{
    QVERIFY(!hasEmptyPart(chat("a", "b")));
    QVERIFY(hasEmptyPart(chat("a", " \n")));
    QVERIFY(hasEmptyPart(chat("", "b")));
    Example running;
    running.kind = RecordKind::Completion;
    running.completion = "a text";
    QVERIFY(!hasEmptyPart(running));
}

QTEST_APPLESS_MAIN(TestExample)
#include "test_example.moc"

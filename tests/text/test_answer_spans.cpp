#include "template_compare.h"
#include "text/conversation.h"

#include <QRegularExpression>
#include <QtTest>
#include <cstdlib>
#include <set>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

const Json kTokens = {{"bos_token", "<|endoftext|>"}, {"eos_token", "<|im_end|>"}};

OrderedJson said(const char* role, const std::string& text)
{
    return {{"role", role}, {"content", text}};
}

Messages fourTurns(const std::string& a = "One", const std::string& b = "Two.",
                   const std::string& c = "Three", const std::string& d = "Four ")
{
    return {said("user", a), said("assistant", b), said("user", c), said("assistant", d)};
}

/// Trained tokens as text, "|" between spans.
QString trained(const Tokenizer& tokenizer, const EncodedExample& example)
{
    QString out;
    std::vector<TokenId> run;
    for (std::size_t i = 0; i <= example.ids.size(); ++i) {
        if (i < example.ids.size() && example.trained[i]) {
            run.push_back(example.ids[i]);
        } else if (!run.empty()) {
            out +=
                (out.isEmpty() ? "" : "|") + QString::fromStdString(tokenizer.decode(run, false));
            run.clear();
        }
    }
    return out;
}

/// The small tokenizer with every mark of a template as a special token.
std::shared_ptr<const Tokenizer> withMarksOf(const std::string& source)
{
    Json json = readJsonFile(smallTokenizer() / "tokenizer.json").value();
    static const QRegularExpression kMark(
        "<[|｜][^<>]{1,40}[|｜]>|</?[a-z_]{1,20}>|\\[/?[A-Z_]{3,20}\\]");
    std::set<std::string> known;
    auto matches = kMark.globalMatch(QString::fromStdString(source) + "<s></s>");
    while (matches.hasNext())
        known.insert(matches.next().captured().toStdString());
    auto id = json["model"]["vocab"].size();
    for (const Json& token : json["added_tokens"])
        id = std::max<std::size_t>(id, token["id"].get<std::size_t>() + 1),
        known.erase(token["content"]);
    for (const std::string& mark : known)
        json["added_tokens"].push_back(
            {{"id", id++}, {"content", mark}, {"special", true}, {"normalized", false}});
    auto tokenizer = JsonTokenizer::fromJson(json).value();
    tokenizer->eosId = tokenizer->idOf(kTokens["eos_token"].get<std::string>());
    return tokenizer;
}

} // namespace

class TestAnswerSpans : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_tokenizer = Tokenizer::load(smallTokenizer()).value(); }

    void answersAreFoundInEveryForm_data()
    {
        QTest::addColumn<QString>("source");
        QTest::addColumn<QString>("wanted");
        const QString both = "Two.<|im_end|>|Four <|im_end|>";
        const QString turn = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n";
        const QString header = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
        const auto loop = [&](const QString& body) {
            return "{% for m in messages %}" + body + "{% endfor %}" + header;
        };
        QTest::newRow("turns") << loop(turn) << both;
        QTest::newRow("the header stands in the question's turn")
            << "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>{{ m.content "
               "}}<|im_end|>"
               "<|im_start|>assistant\n{% else %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
            << both;
        QTest::newRow("the end mark stands in the next turn")
            << "{% for m in messages %}{% if not loop.first %}<|im_end|>\n{% endif "
               "%}<|im_start|>{{ "
               "m.role }}\n{{ m.content }}{% endfor %}<|im_end|>\n" +
                   header
            << both;
        QTest::newRow("turns by their number")
            << "{% for i in range(messages | length) %}{% set m = messages[i] %}" + turn +
                   "{% endfor %}" + header
            << both;
        QTest::newRow("put together first")
            << "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t ~ "
               "'<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' %}{% endfor %}{{ "
               "ns.t "
               "}}" +
                   header
            << both;
        QTest::newRow("by a macro")
            << "{% macro say(m) %}" + turn + "{% endmacro %}" + loop("{{ say(m) }}") << both;
        QTest::newRow("a note behind the last question")
            << loop("<|im_start|>{{ m.role }}\n{{ m.content }}{% if loop.last and m.role == 'user' "
                    "%} /no_think{% endif %}<|im_end|>\n")
            << both;
        QTest::newRow("an empty thought in the header of generation")
            << loop(turn).replace("assistant\n{% endif",
                                  "assistant\n<think>\n\n</think>\n\n{% endif")
            << both;
        QTest::newRow("a thought in history, none in the header")
            << loop("<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n</think>\n{% "
                    "endif %}{{ m.content }}<|im_end|>\n")
            << "<think>\n</think>\nTwo.<|im_end|>|<think>\n</think>\nFour <|im_end|>";
        QTest::newRow("an answer quoted at the top")
            << "About: {{ messages[-1].content }}\n" + loop(turn) << both;
        QTest::newRow("the form ends with a mark of its own")
            << loop(turn) + "{% if not add_generation_prompt %}<|endoftext|>{% endif %}" << both;
        QTest::newRow("history is cut")
            << loop("<|im_start|>{{ m.role }}\n{{ m.content if loop.last or m.role == 'user' else "
                    "m.content[1:] }}<|im_end|>\n")
            << "wo.<|im_end|>|Four <|im_end|>";
        QTest::newRow("upper case and trimmed")
            << loop("<|im_start|>{{ m.role }}\n{{ m.content | upper | trim }}<|im_end|>\n")
            << "TWO.<|im_end|>|FOUR<|im_end|>";
        QTest::newRow("only the last two")
            << "{% for m in messages[-2:] %}" + turn + "{% endfor %}" + header << "Four <|im_end|>";
        QTest::newRow("no marks")
            << "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor "
               "%}{% if add_generation_prompt %}assistant:{% endif %}"
            << " Two.\n| Four \n<|im_end|>";
        // As GLM 4.6 writes: the next question's mark ends an answer, the last one has none.
        QTest::newRow("ended by the next question")
            << "{% for m in messages %}<|im_start|>{% if m.role == 'assistant' %}"
               "{{ '\\n<think></think>\\n' + m.content.strip() }}{% else %}{{ '\\n' + m.content "
               "}}{% "
               "endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>"
               "{{ '\\n<think></think>' }}{% endif %}"
            << "\nTwo.|\nFour<|im_end|>";
        // As Apertus writes: an answer is closed when the next question comes.
        QTest::newRow("closed by the next question")
            << "{% set ns = namespace(open=false) %}{% for m in messages %}{% if m.role == 'user' "
               "%}{% if ns.open %}<|im_end|>{% set ns.open = false %}{% endif %}<|im_start|>user "
               "{{ m.content }}<|im_end|>{% else %}{% set ns.open = true %}<|im_start|>assistant:"
               "{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}"
               "<|im_start|>assistant:{% endif %}"
            << "Two.|Four <|im_end|>";
        QTest::newRow("words end an answer")
            << "{% for m in messages %}### {{ m.role }}: {{ m.content }} ###\n{% endfor %}{% if "
               "add_generation_prompt %}### assistant: {% endif %}"
            << " Two. ###\n| Four  ###\n";
    }

    void endMarksAreAppendedOnlyWhereNoneIs()
    {
        const std::string open =
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in "
            "m.tool_calls or [] %}[call {{ c.function | tojson }}]{% endfor %}{% endfor %}{% if "
            "add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
        QCOMPARE(spans(open, {said("user", "a"), said("assistant", "")}), QString("<|im_end|>"));
        QCOMPARE(spans(open, {said("user", "a"), said("assistant", "b"), said("user", "c")}),
                 QString("b"));
        OrderedJson light = said("assistant", "b");
        light["weight"] = 0;
        QCOMPARE(spans(open, {said("user", "a"), light}), QString());
        OrderedJson call = said("assistant", "");
        call["tool_calls"] = {{{"function", {{"name", "f"}}}}};
        QCOMPARE(spans(open, {said("user", "a"), call}),
                 QString("[call {\"name\": \"f\"}]<|im_end|>"));
        const auto chatTemplate = ChatTemplate::parse(open, kTokens).value();
        const auto all =
            encodeConversation(*m_tokenizer, *chatTemplate, fourTurns(), LossOn::All).value();
        QCOMPARE(all.ids.back(), *m_tokenizer->eosId);
        QCOMPARE(all.trainedCount(), static_cast<std::int64_t>(all.ids.size()) - 1);
        // A form that marks by itself what is learned is taken at its word.
        const auto blocks = "{% for m in messages %}<|im_start|>{% generation %}{{ m.content }}{% "
                            "endgeneration %}{% endfor %}";
        QCOMPARE(spans(blocks, fourTurns()), QString("Two.|Four "));
    }

    void answersAreFoundInEveryForm()
    {
        QFETCH(QString, source);
        QFETCH(QString, wanted);
        QCOMPARE(spans(source.toStdString(), fourTurns()), wanted);
        // The same when nobody can tell question and answer apart by their text.
        const QString same =
            spans(source.toStdString(), fourTurns("Two.", "Two.", "Four ", "Four "));
        QCOMPARE(same, wanted);
    }

    void rewrittenConversations()
    {
        const std::string thoughts =
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if loop.last else "
            "m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt "
            "%}<|im_start|>assistant\n{% endif %}";
        QCOMPARE(spans(thoughts, fourTurns("a", "<think>b</think>c", "d", "<think>e</think>f")),
                 QString("c<|im_end|>|<think>e</think>f<|im_end|>"));
        const std::string system =
            textGolden("text_chat.json")["templates"]["inst"]["source"].get<std::string>();
        Messages messages = fourTurns("a", "b", "c", "d");
        messages.insert(messages.begin(), said("system", "s"));
        QCOMPARE(spans(system, messages), QString(" b <|im_end|>| d <|im_end|>"));
        const std::string dropped =
            "{% for m in messages if m.content %}<|im_start|>{{ m.role }}\n{{ m.content "
            "}}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
        QCOMPARE(spans(dropped, fourTurns("a", "", "c", "d")), QString("d<|im_end|>"));
        QCOMPARE(spans(dropped, fourTurns("a", "", "", "d")), QString("d<|im_end|>"));
        const std::string kept = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content "
                                 "}}<|im_end|>\n{% endfor %}{% if add_generation_prompt "
                                 "%}<|im_start|>assistant\n{% endif %}";
        QCOMPARE(spans(kept, fourTurns("a", "", "", "")), QString("<|im_end|>|<|im_end|>"));
        QCOMPARE(spans(kept, {said("assistant", "a"), said("user", "b"), said("assistant", "c"),
                              said("assistant", "d")}),
                 QString("a<|im_end|>|c<|im_end|>|d<|im_end|>"));
    }

    void callsOfToolsAreLearnedTheirAnswersAreNot()
    {
        const std::string source =
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in "
            "m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor "
            "%}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% "
            "endif %}";
        OrderedJson call = said("assistant", "");
        call["tool_calls"] = {
            {{"function", {{"name", "f"}, {"arguments", {{"z", 5}, {"a", "x"}}}}}}};
        QCOMPARE(
            spans(source, {said("user", "q"), call, said("tool", "7"), said("assistant", "seven")}),
            QString("<tool_call>{\"name\": \"f\", \"arguments\": {\"z\": 5, \"a\": "
                    "\"x\"}}</tool_call><|im_end|>|seven<|im_end|>"));
    }

    void blocksEqualTheReference()
    {
        const Json golden = textGolden("text_masks.json");
        for (const auto& [name, entry] : golden.items()) {
            if (name == "versions")
                continue;
            const auto chatTemplate = ChatTemplate::parse(entry["source"], kTokens).value();
            const Messages messages(entry["messages"].begin(), entry["messages"].end());
            const auto got =
                encodeConversation(*m_tokenizer, *chatTemplate, messages, LossOn::Answers).value();
            std::vector<TokenId> mask = entry["mask"];
            mask[0] = 0; // nothing stands before it
            QVERIFY2(shown(got.ids) == shown(entry["ids"]), name.c_str());
            QVERIFY2(shown({got.trained.begin(), got.trained.end()}) == shown(mask), name.c_str());
        }
        QVERIFY(golden.size() > 20);
    }

    void noFormTeachesQuestions()
    {
        const Json golden = textGolden("text_chat.json");
        for (const auto& [name, entry] : golden["templates"].items())
            checkForm(name, entry["source"], *m_tokenizer, false);
    }

    void noPublishedFormTeachesQuestions()
    {
        const char* folder = std::getenv("FETTLE_TEMPLATES");
        if (!folder)
            QSKIP("FETTLE_TEMPLATES names no folder made by tests/oracles/template_goldens.py");
        std::set<std::filesystem::path> files;
        for (const auto& file : std::filesystem::directory_iterator(folder))
            files.insert(file.path());
        for (const auto& file : files) {
            const Json golden = readJsonFile(file).value();
            for (const auto& [name, entry] : golden["templates"].items())
                checkForm(name, entry["source"], *withMarksOf(entry["source"]), true);
        }
    }

private:
    QString spans(const std::string& source, const Messages& messages) const
    {
        const auto chatTemplate = ChatTemplate::parse(source, kTokens).value();
        return trained(
            *m_tokenizer,
            encodeConversation(*m_tokenizer, *chatTemplate, messages, LossOn::Answers).value());
    }

    /// Answers are learned, questions and system texts never.
    static void checkForm(const std::string& name, const std::string& source,
                          const Tokenizer& tokenizer, bool show)
    {
        const auto chatTemplate = ChatTemplate::parse(source, kTokens);
        QVERIFY2(chatTemplate, name.c_str());
        Messages messages = fourTurns("Qqone", "Rrone", "Qqtwo", "Rrtwo");
        const auto example =
            encodeConversation(tokenizer, **chatTemplate, messages, LossOn::Answers);
        if (!example) {
            qInfo("%s refuses: %s", name.c_str(), example.error().what.c_str());
            return;
        }
        const QString text = trained(tokenizer, *example);
        if (show)
            qInfo("%s: %s", name.c_str(), qPrintable(QString(text).replace("\n", "\\n")));
        // Something ends the last answer, and it is learned.
        QVERIFY2(!show || !text.trimmed().endsWith("Rrtwo"), name.c_str());
        QVERIFY2(!text.contains("Qq"), qPrintable(text));
        QVERIFY2(text.contains("Rrone") && text.contains("Rrtwo"),
                 qPrintable(QString::fromStdString(name) + ": " + text));
        const auto last =
            encodeConversation(tokenizer, **chatTemplate, messages, LossOn::LastAnswer).value();
        QVERIFY(!trained(tokenizer, last).contains("Rrone"));
        QVERIFY(trained(tokenizer, last).contains("Rrtwo"));
    }

    std::shared_ptr<const Tokenizer> m_tokenizer;
};

QTEST_GUILESS_MAIN(TestAnswerSpans)
#include "test_answer_spans.moc"

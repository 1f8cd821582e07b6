#include "text/conversation.h"
#include "text_help.h"

#include <QtTest>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

OrderedJson user(const std::string& text) { return {{"role", "user"}, {"content", text}}; }
OrderedJson assistant(const std::string& text)
{
    return {{"role", "assistant"}, {"content", text}};
}

const std::string kChatMl =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% "
    "endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

} // namespace

class TestConversation : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_tokenizer = Tokenizer::load(smallTokenizer()).value(); }

    void valuesThatAreMissingAreNotWritten()
    {
        const auto form = ChatTemplate::parse("{% for m in messages %}{{ m.content }}{{ m.tool_calls "
                                              "is defined }}{% endfor %}",
                                              Json::object())
                              .value();
        OrderedJson asked = user("a"), called = assistant("");
        asked["tool_calls"] = nullptr;
        called["content"] = nullptr;
        const auto ids = encodePrompt(*m_tokenizer, *form, {asked, called}).value();
        QCOMPARE(m_tokenizer->decode(ids, false), std::string("aFalseFalse"));
        const auto whole = encodeConversation(*m_tokenizer, *form, {asked, called}, LossOn::All);
        QVERIFY(whole && m_tokenizer->decode(whole->ids, false).starts_with("aFalseFalse"));
    }

    void answersAndTheirEndsAreTrained_data()
    {
        QTest::addColumn<QString>("source");
        QTest::addColumn<QString>("answers");
        QTest::addColumn<QString>("last");
        const QString both = "Two.<|im_end|>|Four <|im_end|>", last = "Four <|im_end|>";
        QTest::newRow("ChatML") << QString::fromStdString(kChatMl) << both << last;
        // The end of text behind the whole conversation only: a prefix differs in what follows it.
        QTest::newRow("mark at the very end")
            << QString::fromStdString(kChatMl) +
                   "{% if not add_generation_prompt %}<|endoftext|>{% endif %}"
            << both << last;
        // The header of generation holds an empty thought that history has not.
        QTest::newRow("other header")
            << QString::fromStdString(kChatMl).replace("assistant\\n' }}{% endif",
                                                       "assistant\\n<think></think>' }}{% endif")
            << both << last;
        // History is rewritten: what is left of an answer is learned.
        QTest::newRow("rewritten history")
            << "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if loop.last or "
               "m.role == 'user' else m.content[1:] }}<|im_end|>\n{% endfor %}"
               "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
            << "wo.<|im_end|>|Four <|im_end|>" << last;
        // The same with blocks: they tell.
        QTest::newRow("blocks")
            << "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% "
               "generation %}{{ m.content if loop.last else m.content[1:] }}<|im_end|>"
               "{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}{% "
               "if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
            << "wo.<|im_end|>|Four <|im_end|>" << last;
        // No special token ends an answer: its text up to the next header does.
        QTest::newRow("plain marks")
            << "{% for m in messages %}### {{ m.role }}: {{ m.content }}\n{% endfor %}{% if "
               "add_generation_prompt %}### assistant: {% endif %}"
            << " Two.\n| Four \n<|im_end|>"
            << " Four \n<|im_end|>";
    }

    void answersAndTheirEndsAreTrained()
    {
        QFETCH(QString, source);
        QFETCH(QString, answers);
        QFETCH(QString, last);
        const Messages messages = {user("One"), assistant("Two."), user("Three"),
                                   assistant("Four ")};
        QCOMPARE(trained(source.toStdString(), messages, LossOn::Answers), answers);
        QCOMPARE(trained(source.toStdString(), messages, LossOn::LastAnswer), last);
    }

    void everythingCanBeTrainedButTheFirstToken()
    {
        const auto chatTemplate = ChatTemplate::parse(kChatMl, {}).value();
        const auto example = encodeConversation(*m_tokenizer, *chatTemplate,
                                                {user("a"), assistant("b")}, LossOn::All)
                                 .value();
        QCOMPARE(example.trainedCount(), static_cast<std::int64_t>(example.ids.size()) - 1);
        QCOMPARE(example.trained.size(), example.ids.size());
        QCOMPARE(int{example.trained[0]}, 0);
    }

    void messagesWithoutAnswerOrWeightTrainNothing()
    {
        QCOMPARE(trained(kChatMl, {user("a")}, LossOn::Answers), QString());
        QCOMPARE(trained(kChatMl, {}, LossOn::Answers), QString());
        OrderedJson light = assistant("b");
        light["weight"] = 0;
        QCOMPARE(trained(kChatMl, {user("a"), light, user("c"), assistant("d")}, LossOn::Answers),
                 QString("d<|im_end|>"));
    }

    void emptyAnswersTrainTheirEnd()
    {
        QCOMPARE(trained(kChatMl, {user("a"), assistant("")}, LossOn::Answers),
                 QString("<|im_end|>"));
    }

    void typedMarksStayText()
    {
        const auto chatTemplate = ChatTemplate::parse(kChatMl, {}).value();
        for (const std::string typed :
             {"<|im_end|>", "a<|im_end|>\n<|im_start|>system\nb", "<|im_start|>",
              "<|endoftext|><|im_end|", "<|im_<|im_end|>end|>"}) {
            const auto example =
                encodeConversation(*m_tokenizer, *chatTemplate, {user(typed), assistant(typed)},
                                   LossOn::Answers)
                    .value();
            QCOMPARE(std::count(example.ids.begin(), example.ids.end(), 1), 2);
            QCOMPARE(std::count(example.ids.begin(), example.ids.end(), 2), 2);
            QCOMPARE(std::count(example.ids.begin(), example.ids.end(), 0), 0);
            QCOMPARE(
                trained(kChatMl, {user(typed), assistant(typed)}, LossOn::Answers).toStdString(),
                typed + "<|im_end|>");
        }
    }

    void promptsAreThePrefixOfTraining()
    {
        const auto chatTemplate = ChatTemplate::parse(kChatMl, {}).value();
        const auto prompt = encodePrompt(*m_tokenizer, *chatTemplate, {user("One 12")}).value();
        const auto example = encodeConversation(*m_tokenizer, *chatTemplate,
                                                {user("One 12"), assistant("Two")}, LossOn::Answers)
                                 .value();
        QVERIFY(std::equal(prompt.begin(), prompt.end(), example.ids.begin()));
        QCOMPARE(int{example.trained[prompt.size() - 1]}, 0);
        QCOMPARE(int{example.trained[prompt.size()]}, 1);
    }

    void refusedMessagesAreAnError()
    {
        const auto chatTemplate =
            ChatTemplate::parse("{{ raise_exception('No system turns') }}", {}).value();
        const auto example =
            encodeConversation(*m_tokenizer, *chatTemplate, {user("a")}, LossOn::Answers);
        QVERIFY(!example && example.error().code == ErrorCode::InvalidInput);
        QVERIFY(example.error().what == "No system turns");
        QVERIFY(!encodePrompt(*m_tokenizer, *chatTemplate, {user("a")}));
    }

    void completionsTrainWhatFollowsThePrompt()
    {
        const auto text = [&](std::string_view prompt, std::string_view completion, LossOn lossOn) {
            return spans(encodeCompletion(*m_tokenizer, prompt, completion, lossOn));
        };
        QCOMPARE(text("One two", " three", LossOn::Answers), QString(" three<|im_end|>"));
        QCOMPARE(text("", "One two three", LossOn::Answers),
                 spans(encodeCompletion(*m_tokenizer, "One two", " three", LossOn::All)));
        // Where a word reaches over the border, its token is learned.
        QCOMPARE(text("One ", "two", LossOn::Answers), QString(" two<|im_end|>"));
        // Typed marks stay text, the end mark is one token.
        const auto example =
            encodeCompletion(*m_tokenizer, "a<|im_end|>", "<|im_end|>", LossOn::Answers);
        QCOMPARE(std::count(example.ids.begin(), example.ids.end(), 2), 1);
        QCOMPARE(example.ids.back(), 2);
    }

private:
    /// Trained tokens as text, "|" between spans.
    QString spans(const EncodedExample& example) const
    {
        QString out;
        std::vector<TokenId> run;
        const auto flush = [&] {
            if (!run.empty())
                out += (out.isEmpty() ? "" : "|") +
                       QString::fromStdString(m_tokenizer->decode(run, false));
            run.clear();
        };
        for (std::size_t i = 0; i < example.ids.size(); ++i) {
            if (example.trained[i])
                run.push_back(example.ids[i]);
            else
                flush();
        }
        flush();
        return out;
    }

    QString trained(const std::string& source, const Messages& messages, LossOn lossOn) const
    {
        const auto chatTemplate = ChatTemplate::parse(source, {}).value();
        return spans(encodeConversation(*m_tokenizer, *chatTemplate, messages, lossOn).value());
    }

    std::shared_ptr<const Tokenizer> m_tokenizer;
};

QTEST_GUILESS_MAIN(TestConversation)
#include "test_conversation.moc"

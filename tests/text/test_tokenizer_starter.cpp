#include "differences.h"
#include "golden.h"
#include "model/import/gguf_metadata.h"
#include "text/conversation.h"

#include <QTemporaryDir>
#include <QtTest>
#include <fstream>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

/// The starter model's whole vocabulary and its chat template, read from its GGUF file.
class TestTokenizerStarter : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        const auto path = starterGguf();
        if (path.empty())
            QSKIP("the starter model's GGUF is not in the cache; packaging/setup.sh puts it there");
        const auto file = tensor::GgufFile::open(path).value();
        const auto files = tokenizerJsonFromGguf(model::tokenizerFromGguf(file).value()).value();
        const std::filesystem::path folder = m_place.path().toStdString();
        for (const auto& [name, content] : files.items())
            std::ofstream(folder / name)
                << (content.is_string() ? content.get<std::string>() : content.dump());
        m_tokenizer = Tokenizer::load(folder).value();
        m_template = ChatTemplate::load(folder).value();
        m_golden = textGolden("text_starter.json");
    }

    void idsEqualTheReference()
    {
        QCOMPARE(m_tokenizer->vocabSize(), 49152);
        QCOMPARE(*m_tokenizer->bosId, 1);
        QCOMPARE(*m_tokenizer->eosId, 2);
        for (const Json& entry : m_golden["cases"]) {
            const QString wrong = differences(*m_tokenizer, entry);
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        }
    }

    void conversationsEqualTheReference()
    {
        for (const Json& entry : m_golden["chats"]) {
            const Messages messages(entry["messages"].begin(), entry["messages"].end());
            const auto rendered = m_template->render(messages).value();
            QCOMPARE(QString::fromStdString(joined(rendered)),
                     QString::fromStdString(entry["text"]));
            if (entry.contains("ids"))
                QCOMPARE(shown(encodeSegments(*m_tokenizer, rendered)), shown(entry["ids"]));
        }
    }

    void answersAreTrainedExactly()
    {
        const Messages messages = {{{"role", "user"}, {"content", "One <|im_end|> 2"}},
                                   {{"role", "assistant"}, {"content", "Two\n"}},
                                   {{"role", "user"}, {"content", "Three"}},
                                   {{"role", "assistant"}, {"content", " Four."}}};
        const auto trained = [&](LossOn lossOn) {
            const auto example =
                encodeConversation(*m_tokenizer, *m_template, messages, lossOn).value();
            std::vector<TokenId> ids;
            for (std::size_t i = 0; i < example.ids.size(); ++i) {
                if (example.trained[i])
                    ids.push_back(example.ids[i]);
            }
            return m_tokenizer->decode(ids, false);
        };
        QCOMPARE(trained(LossOn::Answers), std::string("Two\n<|im_end|> Four.<|im_end|>"));
        QCOMPARE(trained(LossOn::LastAnswer), std::string(" Four.<|im_end|>"));
    }

private:
    QTemporaryDir m_place;
    std::shared_ptr<const Tokenizer> m_tokenizer;
    std::shared_ptr<const ChatTemplate> m_template;
    Json m_golden;
};

QTEST_GUILESS_MAIN(TestTokenizerStarter)
#include "test_tokenizer_starter.moc"

#include "text/add_tokens.h"
#include "text_help.h"

#include <QTemporaryDir>
#include <QtTest>
#include <fstream>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

namespace fs = std::filesystem;

void writeJson(const fs::path& path, const Json& json) { std::ofstream(path) << json.dump(); }

} // namespace

class TestAddTokens : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init()
    {
        m_place = std::make_unique<QTemporaryDir>();
        m_folder = m_place->path().toStdString();
        for (const auto& file : fs::directory_iterator(smallTokenizer()))
            fs::copy_file(file.path(), m_folder / file.path().filename());
    }

    void newTokensFollowTheHighestNumber()
    {
        const auto before = Tokenizer::load(m_folder).value();
        const std::vector<NewToken> tokens = {
            {"<|tool|>", true}, {"Blutdruckwert", false}, {"<|im_end|>", true}};
        const auto added = addTokens(m_folder, m_folder, tokens);
        QVERIFY2(added, added ? "" : added.error().sentence().c_str());
        QCOMPARE(added->vocabSizeBefore, before->vocabSize());
        QCOMPARE(added->vocabSize, before->vocabSize() + 2);
        QCOMPARE(added->tokens[0].id, static_cast<TokenId>(before->vocabSize()));
        QCOMPARE(added->tokens[1].id, static_cast<TokenId>(before->vocabSize()) + 1);
        QVERIFY(added->tokens[0].isNew && added->tokens[1].isNew && !added->tokens[2].isNew);
        QCOMPARE(added->tokens[2].id, 2);
        QCOMPARE(shown(added->tokens[1].pieces), shown(before->encode("Blutdruckwert")));
        QVERIFY(added->tokens[1].pieces.size() > 1);

        const auto after = Tokenizer::load(m_folder).value();
        QVERIFY(after->isSpecial(added->tokens[0].id) && !after->isSpecial(added->tokens[1].id));
        QCOMPARE(shown(after->encode("x<|tool|>y", {.parseSpecialTokens = true})),
                 shown({before->encode("x")[0], added->tokens[0].id, before->encode("y")[0]}));
        QVERIFY(after->encode("x<|tool|>y") == before->encode("x<|tool|>y"));
        QVERIFY(after->encode("Blutdruckwert") == std::vector<TokenId>{added->tokens[1].id});
        const std::string old = "An old text, <|im_end|> unchanged.";
        QVERIFY(after->encode(old) == before->encode(old));
        QCOMPARE(after->bosToken, before->bosToken);
    }

    void theOtherFilesKeepStep()
    {
        writeJson(m_folder / "tokenizer_config.json",
                  {{"added_tokens_decoder", Json::object()},
                   {"additional_special_tokens", {"<|im_start|>"}}});
        writeJson(m_folder / "special_tokens_map.json",
                  {{"additional_special_tokens", Json::array()}, {"eos_token", "<|im_end|>"}});
        writeJson(m_folder / "added_tokens.json", Json::object());
        const std::vector<NewToken> tokens = {{"<a>", true}, {"bcd", false}};
        const auto added = addTokens(m_folder, m_folder / "copy", tokens).value();
        const auto config = readJsonFile(m_folder / "copy" / "tokenizer_config.json").value();
        const auto map = readJsonFile(m_folder / "copy" / "special_tokens_map.json").value();
        const auto older = readJsonFile(m_folder / "copy" / "added_tokens.json").value();
        const std::string first = std::to_string(added.tokens[0].id);
        QCOMPARE(config["added_tokens_decoder"].size(), std::size_t{2});
        QVERIFY(config["added_tokens_decoder"][first]["special"] == true);
        QVERIFY(config["additional_special_tokens"] == Json({"<|im_start|>", "<a>"}));
        QVERIFY(map["additional_special_tokens"] == Json::array({"<a>"}));
        QVERIFY(older["bcd"] == added.tokens[1].id);
        // The folder that was read stays as it was.
        QVERIFY(readJsonFile(m_folder / "added_tokens.json").value().empty());
        QVERIFY(!Tokenizer::load(m_folder).value()->idOf("<a>"));
    }

    void olderFilesBecomeTokenizerJson()
    {
        QTemporaryDir place;
        const fs::path folder = place.path().toStdString();
        std::ofstream(folder / "vocab.txt") << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";
        const std::vector<NewToken> tokens = {{"[drug]", true}};
        const auto added = addTokens(folder, folder, tokens);
        QVERIFY2(added, added ? "" : added.error().sentence().c_str());
        QCOMPARE(added->tokens[0].id, 7);
        QVERIFY(Tokenizer::load(folder).value()->encode(
                    "ab [drug]", {.parseSpecialTokens = true}) == (std::vector<TokenId>{5, 6, 7}));
    }

    void badTokensAreRefused()
    {
        for (const std::vector<NewToken>& tokens : {std::vector<NewToken>{{"", false}},
                                                    {{"\xFF", false}},
                                                    {{"a ", false}, {"a ", true}},
                                                    {{std::string(5000, 'x'), false}}}) {
            const auto added = addTokens(m_folder, m_folder, tokens);
            QVERIFY(!added && added.error().code == ErrorCode::InvalidInput);
        }
        Json gaps = readJsonFile(m_folder / "tokenizer.json").value();
        gaps["added_tokens"] = Json::array();
        gaps["post_processor"] = nullptr;
        auto& vocab = gaps["model"]["vocab"];
        const auto size = vocab.size();
        vocab["a token at a distance"] = size + 1;
        writeJson(m_folder / "tokenizer.json", gaps);
        const std::vector<NewToken> one = {{"<new>", false}};
        const auto added = addTokens(m_folder, m_folder, one);
        QVERIFY(!added && added.error().code == ErrorCode::Unsupported);
        fs::remove(m_folder / "tokenizer.json");
        QVERIFY(!addTokens(m_folder, m_folder, one));
    }

private:
    std::unique_ptr<QTemporaryDir> m_place;
    fs::path m_folder;
};

QTEST_GUILESS_MAIN(TestAddTokens)
#include "test_add_tokens.moc"

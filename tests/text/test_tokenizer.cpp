#include "base/text.h"
#include "differences.h"
#include "sanitized.h"

#include <QTemporaryDir>
#include <QtTest>
#include <fstream>
#include <thread>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

void writeText(const std::filesystem::path& path, const std::string& text)
{
    std::ofstream(path, std::ios::binary) << text;
}

Json smallJson() { return readJsonFile(smallTokenizer() / "tokenizer.json").value(); }

} // namespace

class TestTokenizer : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void smallTokenizerEqualsTheReference()
    {
        const auto tokenizer = Tokenizer::load(smallTokenizer()).value();
        const Json golden = textGolden("text_small_ids.json");
        for (const Json& entry : golden["cases"]) {
            const QString wrong = differences(*tokenizer, entry);
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        }
    }

    void otherPipelinesEqualTheReference_data()
    {
        QTest::addColumn<QString>("file");
        QTest::addColumn<QString>("name");
        for (const char* file : {"text_variants.json", "text_models.json"}) {
            const Json golden = textGolden(file);
            for (const auto& [name, value] : golden.items()) {
                if (name != "versions")
                    QTest::newRow(name.c_str()) << file << QString::fromStdString(name);
            }
        }
    }

    void otherPipelinesEqualTheReference()
    {
        QFETCH(QString, file);
        QFETCH(QString, name);
        const Json golden = textGolden(file.toStdString());
        const Json& variant = golden[name.toStdString()];
        const auto tokenizer = JsonTokenizer::fromJson(variant["tokenizer"]);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().sentence().c_str());
        for (const Json& entry : variant["cases"]) {
            const QString wrong = differences(**tokenizer, entry);
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        }
    }

    void olderFilesEqualTheReference_data()
    {
        QTest::addColumn<QString>("file");
        QTest::addColumn<QString>("name");
        QTest::addColumn<QString>("config");
        QTest::newRow("vocab.json, merges.txt")
            << "text_variants.json"
            << "gpt2 with prefix space"
            << R"({"add_prefix_space": true, "eos_token": "<|endoftext|>",
                   "added_tokens_decoder": {"1": {"content": "<|im_start|>", "special": true},
                                            "2": {"content": "<|im_end|>", "special": true}}})";
        QTest::newRow("vocab.txt")
            << "text_models.json"
            << "bert, lower True, strip None"
            << R"({"mask_token": {"content": "[MASK]", "lstrip": true}, "added_tokens_decoder": {
                                          "4": {"content": "[MASK]", "lstrip": true, "special": true, "normalized": true}}})";
    }

    /// The same vocabulary in the files that came before tokenizer.json.
    void olderFilesEqualTheReference()
    {
        QFETCH(QString, file);
        QFETCH(QString, name);
        QFETCH(QString, config);
        const Json variant = textGolden(file.toStdString())[name.toStdString()];
        const Json& model = variant["tokenizer"]["model"];
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        writeText(path / "tokenizer_config.json", config.toStdString());
        if (model["type"] == "BPE") {
            writeText(path / "vocab.json", model["vocab"].dump());
            std::string merges = "#version: 0.2\n";
            for (const auto& merge : model["merges"])
                merges += merge.is_string() ? merge.get<std::string>() + "\n"
                                            : merge[0].get<std::string>() + " " +
                                                  merge[1].get<std::string>() + "\n";
            writeText(path / "merges.txt", merges);
        } else {
            std::vector<std::string> pieces(model["vocab"].size());
            for (const auto& [piece, id] : model["vocab"].items())
                pieces[id.get<std::size_t>()] = piece;
            std::string text;
            for (const auto& piece : pieces)
                text += piece + "\n";
            writeText(path / "vocab.txt", text);
        }
        const auto tokenizer = Tokenizer::load(path);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().sentence().c_str());
        for (const Json& entry : variant["cases"]) {
            const QString wrong = differences(**tokenizer, entry);
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        }
    }

    void sentencePieceEqualsTheReference_data()
    {
        QTest::addColumn<QString>("kind");
        QTest::newRow("bpe") << "bpe";
        QTest::newRow("unigram") << "unigram";
    }

    void sentencePieceEqualsTheReference()
    {
        QFETCH(QString, kind);
        const auto name = "text_" + kind.toStdString();
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        std::filesystem::copy_file(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/" + name +
                                       ".model",
                                   path / "tokenizer.model");
        const auto tokenizer = Tokenizer::load(path).value();
        const Json golden = textGolden(name + "_ids.json");
        QCOMPARE(tokenizer->vocabSize(), golden["pieces"].get<std::int64_t>());
        for (const Json& entry : golden["cases"]) {
            const std::string text = caseText(entry);
            const std::vector<TokenId> ids = entry["ids"];
            QCOMPARE(shown(tokenizer->encode(text)), shown(ids));
            QCOMPARE(QString::fromStdString(tokenizer->decode(ids, true)),
                     QString::fromStdString(entry["decoded"]));
        }
        const std::vector<TokenId> around = {*tokenizer->bosId};
        QCOMPARE(tokenizer->encode("", {.addSpecialTokens = true}), around);
        // A typed </s> is text, a trusted one is the token; <user> is one piece in both.
        const auto typed = tokenizer->encode("a</s><user>"),
                   trusted = tokenizer->encode("a</s><user>", {.parseSpecialTokens = true});
        QVERIFY(std::find(typed.begin(), typed.end(), *tokenizer->eosId) == typed.end());
        QVERIFY(std::find(trusted.begin(), trusted.end(), *tokenizer->eosId) != trusted.end());
        QCOMPARE(typed.back(), *tokenizer->idOf("<user>"));
        QCOMPARE(QString::fromStdString(tokenizer->decode(trusted, true)), QString("a <user>"));
        QCOMPARE(QString::fromStdString(tokenizer->decode(trusted, false)), QString("a</s><user>"));
    }

    void sentencePieceTakesAddedTokensFromTheConfiguration()
    {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        std::filesystem::copy_file(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/text_bpe.model",
                                   path / "tokenizer.model");
        writeText(path / "tokenizer_config.json",
                  "{\"added_tokens_decoder\": {\"0\": {\"content\": \"<unk>\", \"special\": true}, "
                  "\"600\": {\"content\": \"<|end|>\", \"special\": true}},"
                  "\"eos_token\": \"<|end|>\", \"add_bos_token\": false, \"add_eos_token\": true, "
                  "\"legacy\": false, \"model_max_length\": 1e30}");
        const auto tokenizer = Tokenizer::load(path).value();
        QCOMPARE(tokenizer->vocabSize(), 601);
        QCOMPARE(*tokenizer->eosId, 600);
        QVERIFY(!tokenizer->maxLength);
        const auto ids = tokenizer->encode("Hello<|end|>Hello",
                                           {.addSpecialTokens = true, .parseSpecialTokens = true});
        const auto end = std::find(ids.begin(), ids.end(), 600);
        QVERIFY(end != ids.begin() && end != ids.end() && ids.back() == 600);
        // Without the old behaviour no space is put in front of what follows a special token.
        QVERIFY(tokenizer->tokenOf(ids.front()).starts_with("\xE2\x96\x81"));
        QVERIFY(!tokenizer->tokenOf(*(end + 1)).starts_with("\xE2\x96\x81"));
        QCOMPARE(tokenizer->decode(ids, false), std::string("Hello<|end|>Hello<|end|>"));
    }

    void sentencePieceKeepsUnfinishedCharacters()
    {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        std::filesystem::copy_file(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/text_bpe.model",
                                   path / "tokenizer.model");
        const auto tokenizer = Tokenizer::load(path).value();
        auto ids = tokenizer->encode("x \xF0\x9F\xA6\x80");
        QCOMPARE(tokenizer->tokenOf(ids.back()), std::string("<0x80>"));
        ids.pop_back();
        const std::string text = tokenizer->decode(ids, true);
        QCOMPARE(text, std::string("x \xF0\x9F\xA6"));
        QCOMPARE(completeUtf8Prefix(text), std::size_t{2});
    }

    void rolesComeFromTheConfigurationThenTheMap()
    {
        const auto tokenizer = Tokenizer::load(smallTokenizer()).value();
        QCOMPARE(tokenizer->bosToken, std::string("<|im_start|>"));
        QCOMPARE(*tokenizer->bosId, 1);
        QCOMPARE(tokenizer->eosToken, std::string("<|im_end|>"));
        QCOMPARE(*tokenizer->eosId, 2);
        QCOMPARE(*tokenizer->unkId, 0);
        QCOMPARE(tokenizer->padToken, std::string("<|endoftext|>"));
        QCOMPARE(*tokenizer->maxLength, 8192);
        QVERIFY(tokenizer->isSpecial(2) && !tokenizer->isSpecial(3) && !tokenizer->isSpecial(-1) &&
                !tokenizer->isSpecial(99999));
        QCOMPARE(tokenizer->tokenOf(1), std::string("<|im_start|>"));
        QCOMPARE(tokenizer->tokenOf(99999), std::string());
        QCOMPARE(*tokenizer->idOf("<|im_end|>"), 2);
        QVERIFY(!tokenizer->idOf("no such token"));
    }

    void addedBosIsNeverDoubled()
    {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        std::filesystem::copy_file(smallTokenizer() / "tokenizer.json", path / "tokenizer.json");
        writeText(path / "tokenizer_config.json",
                  "{\"bos_token\": \"<|im_start|>\", \"eos_token\": \"<|im_end|>\", "
                  "\"add_bos_token\": true, \"add_eos_token\": true}");
        const auto tokenizer = Tokenizer::load(path).value();
        const auto plain = tokenizer->encode("Hello");
        auto wanted = plain;
        wanted.insert(wanted.begin(), 1);
        wanted.push_back(2);
        QCOMPARE(tokenizer->encode("Hello", {.addSpecialTokens = true}), wanted);
        QCOMPARE(tokenizer->encode("<|im_start|>Hello<|im_end|>",
                                   {.addSpecialTokens = true, .parseSpecialTokens = true}),
                 wanted);
    }

    void trustDecidesByPlace()
    {
        const auto tokenizer = Tokenizer::load(smallTokenizer()).value();
        const auto encode = [&](std::vector<TextPart> parts) {
            return tokenizer->encodeParts(parts);
        };
        const auto count = [&](const std::vector<TokenId>& ids, TokenId id) {
            return std::count(ids.begin(), ids.end(), id);
        };
        QCOMPARE(count(encode({{"<|im_end|>", true}}), 2), 1);
        QCOMPARE(count(encode({{"<|im_end|>", false}}), 2), 0);
        // A token put together over a border is none, whichever side is trusted.
        QCOMPARE(count(encode({{"<|im_", true}, {"end|>", false}}), 2), 0);
        QCOMPARE(count(encode({{"<|im_", false}, {"end|>", true}}), 2), 0);
        QCOMPARE(count(encode({{"<|im_", true}, {"end|>", true}}), 2), 1);
        // Nor does a typed beginning hide the trusted token behind it.
        QCOMPARE(count(encode({{"<|im_start<", false}, {"<|im_end|>", true}}), 2), 1);
        QCOMPARE(
            count(encode({{"<|im_end|><|im_", false}, {"<|im_end|>", true}, {"end|>", false}}), 2),
            1);
        // Where there is nothing special, borders leave no trace.
        QCOMPARE(encode({{"Hel", true}, {"lo wor", false}, {"ld", true}}),
                 tokenizer->encode("Hello world"));
    }

    void specialTokensAreNoWholeWords()
    {
        // With ignore_merges a whole word is looked up; "pad" is special here, so typed it is text.
        Json json = smallJson();
        json["model"]["ignore_merges"] = true;
        json["model"]["vocab"]["pad"] = 1800;
        json["added_tokens"].push_back({{"id", 1800},
                                        {"content", "pad"},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"normalized", false},
                                        {"special", true}});
        const auto tokenizer = JsonTokenizer::fromJson(json).value();
        const std::vector<TokenId> special = {1800};
        QVERIFY(tokenizer->encode("pad") != special);
        QCOMPARE(tokenizer->encode("pad", {.parseSpecialTokens = true}), special);
    }

    void longRunsTakeLittleTime()
    {
        const auto tokenizer = Tokenizer::load(smallTokenizer()).value();
        QElapsedTimer timer;
        timer.start();
        for (const std::string& unit :
             {std::string("a"), std::string(" "), std::string("ab"), std::string("\n "),
              std::string("1"), std::string("\xC3\xA9")}) {
            std::string text;
            while (text.size() < 1000000)
                text += unit;
            QCOMPARE(tokenizer->decode(tokenizer->encode(text), false), text);
        }
        QVERIFY2(timer.elapsed() < fettle::tests::patient(15000), "six runs of a megabyte took too long");
    }

    void threadsShareOneTokenizer()
    {
        const auto tokenizer = Tokenizer::load(smallTokenizer()).value();
        const Json golden = textGolden("text_small_ids.json")["cases"];
        std::vector<std::thread> threads;
        std::atomic<int> wrong{0};
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int round = 0; round < 5; ++round) {
                    for (const Json& entry : golden)
                        wrong += tokenizer->encode(caseText(entry)) !=
                                 entry["ids"].get<std::vector<TokenId>>();
                }
            });
        }
        for (auto& thread : threads)
            thread.join();
        QCOMPARE(wrong.load(), 0);
    }

    void unknownPartsAreNamed_data()
    {
        QTest::addColumn<QString>("pointer");
        QTest::addColumn<QString>("value");
        QTest::addColumn<QString>("named");
        QTest::newRow("normalizer") << "/normalizer"
                                    << "{\"type\": \"Transliterate\"}"
                                    << "Transliterate";
        QTest::newRow("nested normalizer") << "/normalizer"
                                           << "{\"type\": \"Sequence\", \"normalizers\": "
                                              "[{\"type\": \"NFC\"}, {\"type\": \"Nmt2\"}]}"
                                           << "Nmt2";
        QTest::newRow("pre-tokenizer") << "/pre_tokenizer"
                                       << "{\"type\": \"Syllables\"}"
                                       << "Syllables";
        QTest::newRow("key of a part")
            << "/pre_tokenizer"
            << "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"magic\": 1}"
            << "magic";
        QTest::newRow("post-processor") << "/post_processor"
                                        << "{\"type\": \"Other\"}"
                                        << "Other";
        QTest::newRow("decoder") << "/decoder"
                                 << "{\"type\": \"Beam\"}"
                                 << "Beam";
        QTest::newRow("model") << "/model/type"
                               << "\"Neural\""
                               << "Neural";
        QTest::newRow("dropout") << "/model/dropout"
                                 << "0.1"
                                 << "dropout";
        QTest::newRow("version") << "/version"
                                 << "\"2.0\""
                                 << "version";
        QTest::newRow("pattern") << "/pre_tokenizer"
                                 << "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"[a&&b]\"}, "
                                    "\"behavior\": \"Isolated\", \"invert\": false}"
                                 << "intersection";
        QTest::newRow("broken pattern") << "/pre_tokenizer"
                                        << "{\"type\": \"Split\", \"pattern\": {\"Regex\": "
                                           "\"(a\"}, \"behavior\": \"Isolated\", \"invert\": false}"
                                        << "pattern";
        QTest::newRow("merge") << "/model/merges"
                               << "[\"a zzzz\"]"
                               << "merge 0";
        QTest::newRow("merge without space") << "/model/merges"
                                             << "[\"ab\"]"
                                             << "merge 0";
        QTest::newRow("vocabulary") << "/model/vocab"
                                    << "{\"a\": 0, \"b\": 0}"
                                    << "id 0";
        QTest::newRow("negative id") << "/model/vocab"
                                     << "{\"a\": -1}"
                                     << "id";
        QTest::newRow("huge id") << "/model/vocab"
                                 << "{\"a\": 99999999999}"
                                 << "id";
        QTest::newRow("added token") << "/added_tokens"
                                     << "[{\"id\": 5000, \"content\": \"x y\"}]"
                                     << "5000";
        QTest::newRow("scores")
            << "/model"
            << "{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", null]]}"
            << "pieces and scores";
        QTest::newRow("unknown piece")
            << "/model"
            << "{\"type\": \"Unigram\", \"unk_id\": 3, \"vocab\": [[\"a\", 0]]}"
            << "unk_id";
        QTest::newRow("table of characters")
            << "/normalizer"
            << "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"////AAAA\"}"
            << "damaged";
        QTest::newRow("template")
            << "/post_processor"
            << "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
               "\"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}],"
               "\"pair\": [], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [7], "
               "\"tokens\": [\"<|im_end|>\"]}}}"
            << "number 7";
    }

    void unknownPartsAreNamed()
    {
        QFETCH(QString, pointer);
        QFETCH(QString, value);
        QFETCH(QString, named);
        Json json = smallJson();
        json[Json::json_pointer(pointer.toStdString())] = Json::parse(value.toStdString());
        const auto tokenizer = JsonTokenizer::fromJson(json);
        QVERIFY(!tokenizer);
        QVERIFY2(QString::fromStdString(tokenizer.error().sentence()).contains(named),
                 tokenizer.error().sentence().c_str());
    }

    void badFoldersGiveSentences()
    {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        const auto none = Tokenizer::load(path);
        QVERIFY(!none && none.error().code == ErrorCode::NotFound);
        writeText(path / "tokenizer.model", "this is no protobuf");
        const auto model = Tokenizer::load(path);
        QVERIFY(!model && model.error().code == ErrorCode::InvalidInput);
        for (const char* text :
             {"", "[]", "{", "null", "{\"model\": 1}", "{\"model\": {\"type\": \"BPE\"}}"}) {
            writeText(path / "tokenizer.json", text);
            QVERIFY(!Tokenizer::load(path));
        }
    }
};

QTEST_GUILESS_MAIN(TestTokenizer)
#include "test_tokenizer.moc"

#include "differences.h"
#include "text/gguf_models.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/gguf_tokenizer.h"
#include "text/tokenizer.h"

#include <QtTest>
#include <fstream>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

class TestGgufTokenizer : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void ggufGivesTheSameTokenizer()
    {
        const Json small = readJsonFile(smallTokenizer() / "tokenizer.json").value();
        GgufTokenizer gguf;
        gguf.model = "gpt2";
        gguf.pre = "smollm";
        gguf.tokens.resize(small["model"]["vocab"].size());
        for (const auto& [token, id] : small["model"]["vocab"].items())
            gguf.tokens[id.get<std::size_t>()] = token;
        gguf.tokenTypes.assign(gguf.tokens.size(), 1);
        gguf.tokenTypes[0] = gguf.tokenTypes[1] = gguf.tokenTypes[2] = 3;
        for (const Json& merge : small["model"]["merges"])
            gguf.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                                    : merge[0].get<std::string>() + " " +
                                                          merge[1].get<std::string>());
        gguf.bosId = 1;
        gguf.eosId = 2;
        gguf.addBos = false;
        gguf.chatTemplate = "{{ messages }}";
        const auto files = tokenizerJsonFromGguf(gguf).value();
        QCOMPARE(files["chat_template.jinja"].get<std::string>(), gguf.chatTemplate);
        QCOMPARE(files["tokenizer_config.json"]["eos_token"].get<std::string>(),
                 std::string("<|im_end|>"));
        const auto tokenizer = JsonTokenizer::fromJson(files["tokenizer.json"]).value();
        const Json golden = textGolden("text_small_ids.json");
        for (const Json& entry : golden["cases"]) {
            const QString wrong = differences(*tokenizer, entry);
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        }
        for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "qwen35", "deepseek-coder",
                                "deepseek-v3", "starcoder", "refact", "command-r"}) {
            gguf.pre = pre;
            gguf.addBos.reset();
            const auto made = tokenizerJsonFromGguf(gguf);
            QVERIFY2(made, pre);
            const auto loaded = JsonTokenizer::fromJson((*made)["tokenizer.json"]);
            QVERIFY2(loaded, loaded ? "" : loaded.error().sentence().c_str());
            const std::string text = "It's 1234 \xE4\xB8\xAD\xE6\x96\x87 a\n\n  b";
            QCOMPARE((*loaded)->decode((*loaded)->encode(text), false), text);
            const bool bos =
                (*loaded)->encode("", {.addSpecialTokens = true}) == std::vector<TokenId>{1};
            QCOMPARE(bos, std::string_view(pre) == "llama-bpe");
        }
    }

    void badGgufTokenizersAreNamed()
    {
        GgufTokenizer good;
        good.model = "gpt2";
        good.pre = "gpt-2";
        good.tokens = {"a", "b", "ab"};
        good.merges = {"a b"};
        QVERIFY(tokenizerJsonFromGguf(good));
        const auto sentence = [&](auto change) {
            GgufTokenizer gguf = good;
            change(gguf);
            const auto files = tokenizerJsonFromGguf(gguf);
            return files ? QString() : QString::fromStdString(files.error().sentence());
        };
        QVERIFY(sentence([](auto& g) { g.pre = "tokken"; }).contains("tokken"));
        QVERIFY(sentence([](auto& g) { g.pre = ""; }).contains("pre"));
        QVERIFY(sentence([](auto& g) { g.model = "rwkv"; }).contains("rwkv"));
        QVERIFY(sentence([](auto& g) { g.model = "llama"; }).contains("scores"));
        QVERIFY(sentence([](auto& g) { g.scores = {1}; }).contains("1 scores for 3 tokens"));
        QVERIFY(sentence([](auto& g) { g.model = "t5"; }).contains("scores"));
        QVERIFY(sentence([](auto& g) { g.model = "bert"; }).contains("unknown"));
        QVERIFY(sentence([](auto& g) { g.tokens[2] = "a"; }).contains("tokens 0 and 2"));
        QVERIFY(sentence([](auto& g) { g.tokens[1] = "\xFF"; }).contains("token 1"));
        QVERIFY(sentence([](auto& g) { g.tokens.clear(); }).contains("tokens"));
        QVERIFY(sentence([](auto& g) { g.merges.clear(); }).contains("merges"));
        QVERIFY(sentence([](auto& g) { g.tokenTypes = {1}; }).contains("1 types for 3 tokens"));
        QVERIFY(sentence([](auto& g) { g.eosId = 3; }).contains("3"));
        QVERIFY(sentence([](auto& g) { g.bosId = -1; }).contains("-1"));
    }

    void pieceModelsBecomeTheSameTokenizer_data()
    {
        QTest::addColumn<QString>("name");
        QTest::newRow("BPE by scores") << "text_bpe";
        QTest::newRow("Unigram") << "text_unigram";
    }
    void pieceModelsBecomeTheSameTokenizer()
    {
        QFETCH(QString, name);
        const std::string golden = std::string(FETTLE_SOURCE_DIR) + "/tests/golden/";
        QTemporaryDir folder;
        const std::filesystem::path place = folder.path().toStdString();
        std::filesystem::copy_file(golden + name.toStdString() + ".model",
                                   place / "tokenizer.model");
        const auto original = Tokenizer::load(place).value();
        const auto gguf = ggufTokenizerFrom(place, original->vocabSize() + 3, {}).value();
        QCOMPARE(gguf.model, std::string(name == "text_bpe" ? "llama" : "t5"));
        QCOMPARE(gguf.tokens.back(), "[PAD" + std::to_string(gguf.tokens.size() - 1) + "]");
        QVERIFY(gguf.huggingFace.empty());
        const auto again =
            JsonTokenizer::fromJson(tokenizerJsonFromGguf(gguf).value()["tokenizer.json"]);
        QVERIFY2(again, again ? "" : again.error().sentence().c_str());
        int same = 0, all = 0;
        const Json ids = textGolden(name.toStdString() + "_ids.json");
        for (const Json& entry : ids["cases"]) {
            const auto text = caseText(entry);
            // BPE in GGUF files keeps runs of spaces, which this model drops.
            const bool spaces = text.find("  ") != std::string::npos || text.starts_with(' ') ||
                                text.ends_with(' ');
            if (name == "text_bpe" && spaces)
                continue;
            same += (*again)->encode(text) == original->encode(text) ? 1 : 0;
            ++all;
        }
        // Unigram in tokenizer.json rewrites characters by grapheme, and breaks ties otherwise: one
        // text each.
        const int allowed = name == "text_bpe" ? 0 : 2;
        QVERIFY2(all > 20 && all - same <= allowed,
                 qPrintable(QString("%1 of %2").arg(same).arg(all)));
    }

    void foldersComeBackTheSame()
    {
        const Json small = readJsonFile(smallTokenizer() / "tokenizer.json").value();
        const auto rows = Tokenizer::load(smallTokenizer()).value()->vocabSize() + 5;
        const std::vector<std::int32_t> ends{2, 7};
        auto gguf = ggufTokenizerFrom(smallTokenizer(), rows, ends).value();
        QCOMPARE(gguf.model, std::string("gpt2"));
        QCOMPARE(gguf.pre, std::string("smollm"));
        QVERIFY(gguf.eosId == 2 && gguf.eotId == 7);
        QVERIFY(tokenizerJsonFromGguf(gguf).value()["tokenizer.json"] == small);
        // Without the copy that it carries, and with one that names other tokens.
        for (const bool lying : {false, true}) {
            Json other = small;
            other["model"]["vocab"]["nobody"] = 3;
            gguf.huggingFace = lying ? other.dump() : "";
            const auto derived =
                JsonTokenizer::fromJson(tokenizerJsonFromGguf(gguf).value()["tokenizer.json"])
                    .value();
            const Json golden = textGolden("text_small_ids.json");
            for (const Json& entry : golden["cases"]) {
                const QString wrong = differences(*derived, entry);
                QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
            }
        }
    }

    void oddTokenizersAreRefusedOrWritten_data()
    {
        QTest::addColumn<QString>("patch"); // RFC 7386, over a small byte-level BPE
        QTest::addColumn<QString>("sentence");
        const auto row = [](const char* name, const char* patch, const char* sentence) {
            QTest::newRow(name) << patch << sentence;
        };
        row("as it is", "{}", "");
        row("nulls for what is off",
            R"({"normalizer":"-","model":{"ignore_merges":"-","byte_fallback":"-",
                "end_of_word_suffix":"-","continuing_subword_prefix":"-"},
                "pre_tokenizer":{"use_regex":"-"}})",
            "");
        row("no model", R"({"model":null})", "kind \"WordLevel\"");
        row("a model that is a list", R"({"model":[1]})", "'model' is not an object");
        row("type as number", R"({"model":{"type":5}})", "'type' is not a text");
        row("WordPiece cut otherwise", R"({"model":{"type":"WordPiece"}})",
            "the pre-tokenizer \"ByteLevel\" before WordPiece");
        row("WordPiece over text as it is",
            R"({"pre_tokenizer":null,"model":{"type":"WordPiece"}})",
            "WordPiece without the full normalizer of BERT");
        row("WordPiece that keeps Chinese words",
            R"({"pre_tokenizer":null,"model":{"type":"WordPiece"},
                "normalizer":{"type":"BertNormalizer","handle_chinese_chars":false}})",
            "WordPiece without the full normalizer of BERT");
        row("WordPiece with another mark",
            R"({"pre_tokenizer":null,"normalizer":{"type":"BertNormalizer"},
                "model":{"type":"WordPiece","continuing_subword_prefix":"@@"}})",
            "another mark than ##");
        row("a normalizer before Unigram",
            R"({"pre_tokenizer":null,"normalizer":{"type":"NFKC"},"model":{"type":"Unigram"}})",
            "the normalizer \"NFKC\" before Unigram");
        row("vocabulary as text", R"({"model":{"vocab":"x"}})", "'vocab' is not an object");
        row("a number that is a text", R"({"model":{"vocab":{"a":"0"}}})",
            "the number of a token is not a whole number");
        row("a number that is broken", R"({"model":{"vocab":{"a":0.5}}})",
            "the number of a token is not a whole number");
        row("a number beyond the table", R"({"model":{"vocab":{"a":9000}}})",
            "a token has the number 9000, the model's table has 4 rows");
        row("a number below zero", R"({"model":{"vocab":{"a":-1}}})", "a token has the number -1");
        row("merges as object", R"({"model":{"merges":{"a":1}}})", "'merges' is not a list");
        row("half a merge", R"({"model":{"merges":["ab"]}})", "a merge is not a pair of pieces");
        row("a merge of three", R"({"model":{"merges":[["a","b","c"]]}})",
            "a merge is not a pair of pieces");
        row("a merge of numbers", R"({"model":{"merges":[[1,2]]}})",
            "a merge is not a pair of pieces");
        row("a suffix as flag", R"({"model":{"end_of_word_suffix":true}})",
            "'end_of_word_suffix' is not a text");
        row("whole words as text", R"({"model":{"ignore_merges":"yes"}})",
            "'ignore_merges' is neither true nor false");
        row("added tokens as object", R"({"added_tokens":{"a":1}})",
            "'added_tokens' is not a list");
        row("an added token as text", R"({"added_tokens":["a"]})", "is not an object");
        row("an added token without number", R"({"added_tokens":[{"content":"a"}]})",
            "a token has the number -1");
        row("an added token's flag as number",
            R"({"added_tokens":[{"id":1,"content":"<s>","special":1}]})",
            "'special' is neither true nor false");
        row("a pre-tokenizer as text", R"({"pre_tokenizer":"ByteLevel"})", "is not an object");
        row("parts as object",
            R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":{"type":"ByteLevel"}}})",
            "'pretokenizers' is not a list");
        row("a pattern as text",
            R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":"x"},
                {"type":"ByteLevel"}]}})",
            "'pattern' is not an object");
        row("a space in front", R"({"pre_tokenizer":{"add_prefix_space":true}})",
            "a space in front of every text");
        row("a flag as text", R"({"pre_tokenizer":{"use_regex":"no"}})",
            "'use_regex' is neither true nor false");
        row("Unigram with a table", R"({"pre_tokenizer":null,"model":{"type":"Unigram"}})",
            "'vocab' is not a list");
        row("Unigram with half pieces",
            R"({"pre_tokenizer":null,"model":{"type":"Unigram","vocab":[["a"]]}})",
            "a piece of the vocabulary is not a text with its score");
        row("Unigram with a damaged table",
            R"({"pre_tokenizer":null,"model":{"type":"Unigram","vocab":[["a",0]]},
                "normalizer":{"type":"Precompiled","precompiled_charsmap":"*"}})",
            "'precompiled_charsmap' is not in base 64");
    }
    void oddTokenizersAreRefusedOrWritten()
    {
        QFETCH(QString, patch);
        QFETCH(QString, sentence);
        Json json = Json::parse(
            R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},
                "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
                "added_tokens":[{"id":3,"content":"<e>","special":true}]})");
        json.merge_patch(Json::parse(patch.toStdString()));
        json = Json::parse( // a null in a patch takes a key away
            QString::fromStdString(json.dump()).replace("\"-\"", "null").toStdString());
        GgufTokenizer gguf;
        gguf.tokens.resize(4);
        gguf.tokenTypes.assign(4, kGgufUnused);
        const auto written = ggufFromTokenizerJson(json, gguf);
        if (sentence.isEmpty()) {
            QVERIFY2(written, written ? "" : written.error().sentence().c_str());
            QCOMPARE(gguf.tokens, (std::vector<std::string>{"a", "b", "ab", "<e>"}));
            QCOMPARE(gguf.merges, std::vector<std::string>{"a b"});
        } else {
            QVERIFY(!written);
            QVERIFY2(QString::fromStdString(written.error().sentence()).contains(sentence),
                     written.error().sentence().c_str());
        }
    }

    void whatStandsAroundATextIsKept_data()
    {
        QTest::addColumn<QString>("around"); // letters of the special tokens in front of the text
        QTest::addColumn<QString>("named");  // tokenizer_config.json
        QTest::addColumn<bool>("fits");
        QTest::newRow("nothing") << "" << R"({"bos_token":"<s>"})" << true;
        QTest::newRow("the first") << "s" << R"({"bos_token":"<s>"})" << true;
        QTest::newRow("the first, not named") << "s" << "{}" << true;
        QTest::newRow("another than the first") << "s" << R"({"bos_token":"<e>"})" << false;
        QTest::newRow("two") << "se" << R"({"bos_token":"<s>"})" << false;
    }
    void whatStandsAroundATextIsKept()
    {
        QFETCH(QString, around);
        QFETCH(QString, named);
        QFETCH(bool, fits);
        Json single = Json::array(), known = Json::object();
        for (const char each : around.toStdString()) {
            const std::string name = std::string("<") + each + ">";
            single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
            known[name] = {{"id", name}, {"ids", {each == 's' ? 3 : 4}}, {"tokens", {name}}};
        }
        single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
        const Json pair = {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                           {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}};
        Json json = Json::parse(
            R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},
                "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
                "added_tokens":[{"id":3,"content":"<s>","special":true},
                                {"id":4,"content":"<e>","special":true}]})");
        json["post_processor"] = {{"type", "TemplateProcessing"},
                                  {"single", single},
                                  {"pair", pair},
                                  {"special_tokens", known}};
        QTemporaryDir folder;
        const std::filesystem::path place = folder.path().toStdString();
        std::ofstream(place / "tokenizer.json") << json.dump();
        std::ofstream(place / "tokenizer_config.json") << named.toStdString();
        const auto written = ggufTokenizerFrom(place, 5, {});
        QVERIFY2(bool(written) == fits, written ? "" : written.error().sentence().c_str());
        if (fits) {
            QCOMPARE(written->addBos, std::optional(!around.isEmpty()));
            QVERIFY(around.isEmpty() || written->bosId == 3);
        } else {
            QVERIFY(written.error().sentence().find("around every text") != std::string::npos);
        }
    }

    void specialTokensOutsideTheTableAreRefused()
    {
        QTemporaryDir folder;
        const std::filesystem::path place = folder.path().toStdString();
        std::ofstream(place / "tokenizer.json")
            << R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1],["b",-1]]}})";
        QVERIFY(ggufTokenizerFrom(place, 3, {}));
        const std::vector<std::int32_t> ends{7};
        const auto beyond = ggufTokenizerFrom(place, 3, ends);
        QVERIFY(!beyond);
        QVERIFY2(QString::fromStdString(beyond.error().sentence())
                     .contains("a special token has the number 7, the model's table has 3 rows"),
                 beyond.error().sentence().c_str());
    }

    void everyPreTokenizerIsFoundAgain()
    {
        for (const char* name : {"gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "stablelm2",
                                 "qwen35", "tekken", "gpt-4o", "deepseek-coder", "deepseek-llm",
                                 "deepseek-v3", "falcon", "bloom", "viking"}) {
            const auto* pre = ggufPreTokenizer(name);
            QVERIFY2(pre, name);
            const Json tokenizer = {{"pre_tokenizer", preTokenizerJson(*pre)},
                                    {"normalizer", pre->nfc ? Json{{"type", "NFC"}} : Json()},
                                    {"model", {{"ignore_merges", pre->ignoreMerges}}}};
            const auto found = ggufPreTokenizerOf(tokenizer);
            QVERIFY2(found && *found == pre, name);
        }
    }
};

QTEST_GUILESS_MAIN(TestGgufTokenizer)
#include "test_gguf_tokenizer.moc"

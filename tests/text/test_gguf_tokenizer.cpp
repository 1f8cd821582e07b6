#include "differences.h"
#include "text/gguf_tokenizer.h"

#include <QtTest>

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
        QVERIFY(sentence([](auto& g) { g.pre = "tekken"; }).contains("tekken"));
        QVERIFY(sentence([](auto& g) { g.pre = ""; }).contains("pre"));
        QVERIFY(sentence([](auto& g) { g.model = "llama"; }).contains("llama"));
        QVERIFY(sentence([](auto& g) { g.tokens[2] = "a"; }).contains("tokens 0 and 2"));
        QVERIFY(sentence([](auto& g) { g.tokens[1] = "\xFF"; }).contains("token 1"));
        QVERIFY(sentence([](auto& g) { g.tokens.clear(); }).contains("tokens"));
        QVERIFY(sentence([](auto& g) { g.merges.clear(); }).contains("merges"));
        QVERIFY(sentence([](auto& g) { g.tokenTypes = {1}; }).contains("1 types for 3 tokens"));
        QVERIFY(sentence([](auto& g) { g.eosId = 3; }).contains("3"));
        QVERIFY(sentence([](auto& g) { g.bosId = -1; }).contains("-1"));
    }
};

QTEST_GUILESS_MAIN(TestGgufTokenizer)
#include "test_gguf_tokenizer.moc"

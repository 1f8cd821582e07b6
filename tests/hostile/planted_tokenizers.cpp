#include "hostile/planted.h"
#include "model/import_helpers.h"
#include "text/chat_template.h"
#include "text/gguf_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"

#include <sys/stat.h>

namespace fettle::hostile {

using namespace fettle::text;
using testing::writeText;

namespace fs = std::filesystem;

namespace {

/// A tokenizer of four words in which one thing is changed.
Json small()
{
    return {{"version", "1.0"},
            {"added_tokens", Json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
            {"post_processor", nullptr},
            {"decoder", nullptr},
            {"model",
             {{"type", "BPE"},
              {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"c", 3}}},
              {"merges", {"a b"}}}}};
}

Planted changed(std::string fault, std::string pointer, const std::string& value, std::string words)
{
    Json json = small();
    json[Json::json_pointer(pointer)] = Json::parse(value);
    return {"tokenizer.json", std::move(fault), std::move(words),
            [json](const fs::path&) { return errorOf(JsonTokenizer::fromJson(json)); }};
}

Planted whole(std::string fault, std::string text, std::string words)
{
    return {"tokenizer.json", std::move(fault), std::move(words),
            [text = std::move(text)](const fs::path& folder) {
                writeText(folder / "tokenizer.json", text);
                return errorOf(Tokenizer::load(folder));
            }};
}

std::string split(const std::string& pattern)
{
    return Json{{"type", "Split"},
                {"pattern", {{"Regex", pattern}}},
                {"behavior", "Isolated"},
                {"invert", false}}
        .dump();
}

/// A sequence of `count` equal steps.
std::string repeated(const std::string& step, int count, const std::string& key)
{
    Json steps = Json::array();
    for (int i = 0; i < count; ++i)
        steps.push_back(Json::parse(step));
    return Json{{"type", "Sequence"}, {key, steps}}.dump();
}

std::vector<Planted> growingCases()
{
    const std::string twice = R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"})";
    const std::string empty = R"({"type":"Replace","pattern":{"Regex":"x*"},"content":"aaaaaaaaa"})";
    const std::string words = "times as long";
    return {
        changed("thirty normalizers that double the text", "/normalizer",
                repeated(twice, 30, "normalizers"), words),
        changed("five normalizers that write between all letters", "/normalizer",
                repeated(empty, 5, "normalizers"), words),
        changed("thirty byte-level alphabets on one another", "/pre_tokenizer",
                repeated(R"({"type":"ByteLevel"})", 30, "pretokenizers"), words),
        changed("thirty marks for spaces that are spaces", "/pre_tokenizer",
                repeated(R"({"type":"Metaspace","replacement":"  "})", 30, "pretokenizers"), words),
        changed("thirty decoders that double the text", "/decoder",
                repeated(twice, 30, "decoders"), words),
        changed("a pattern that doubles its work with every letter", "/pre_tokenizer",
                split("(a+)+$"), "more steps"),
        changed("a replacement that doubles its work with every space", "/normalizer",
                R"({"type":"Replace","pattern":{"Regex":"( |  )+(b|c)x*"},"content":""})", "more steps"),
    };
}

std::vector<Planted> jsonCases()
{
    std::string nested = R"({"type":"NFC"})";
    for (int i = 0; i < 40; ++i)
        nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
    return {
        whole("no JSON", "{", "not valid JSON"),
        whole("a list", "[]", "not an object"),
        whole("100,000 nested lists", std::string(100'000, '['), "nested deeper"),
        whole("bytes that are no UTF-8", "{\"version\":\"\xff\"}", "not valid JSON"),
        changed("another version", "/version", "\"9\"", "version"),
        changed("an unknown normalizer", "/normalizer", R"({"type":"Run"})", "Run"),
        changed("an unknown key", "/pre_tokenizer", R"({"type":"WhitespaceSplit","exec":"rm"})",
                "exec"),
        changed("an unknown pre-tokenizer", "/pre_tokenizer", R"({"type":"Run"})", "Run"),
        changed("an unknown decoder", "/decoder", R"({"type":"Run"})", "Run"),
        changed("an unknown post-processor", "/post_processor", R"({"type":"Run"})", "Run"),
        changed("an unknown model", "/model/type", "\"Run\"", "Run"),
        changed("a name that steers the terminal", "/normalizer", R"({"type":"\u001b[2Jx"})",
                "not known"),
        changed("two tokens of one id", "/model/vocab", R"({"a":0,"b":0})", "id 0"),
        changed("an id of 2^63", "/model/vocab", R"({"a":9223372036854775808})", "id"),
        changed("an id of 2^31 - 1, which would need a table of gigabytes", "/model/vocab",
                R"({"a":2147483647})", "id"),
        changed("a negative id", "/model/vocab", R"({"a":-1})", "id"),
        changed("a merge of unknown tokens", "/model/merges", R"(["x y"])", "merge 0"),
        changed("a merge that is no pair", "/model/merges", R"([["a"]])", "merge 0"),
        changed("a number for the vocabulary", "/model/vocab", "7", "vocab"),
        changed("an added token of id 2^31 - 1", "/added_tokens",
                R"([{"id":2147483647,"content":"x","special":true}])", "/added_tokens/0"),
        changed("an added token whose text is a number", "/added_tokens",
                R"([{"id":4,"content":7}])", "/added_tokens/0"),
        changed("a broken pattern", "/pre_tokenizer", split("(a"), "pattern"),
        changed("a pattern of a megabyte", "/pre_tokenizer", split(std::string(1 << 20, '(')),
                "pattern"),
        changed("a pattern with 65,535 repeats in repeats", "/pre_tokenizer",
                split("((a{1,60000}){1,60000}){1,60000}"), "pattern"),
        changed("a damaged table of characters", "/normalizer",
                R"({"type":"Precompiled","precompiled_charsmap":"////AAAA"})", "damaged"),
        changed(
            "a template that adds an unknown token", "/post_processor",
            R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],)"
            R"("pair":[],"special_tokens":{"x":{"id":"x","ids":[9],"tokens":["x"]}}})",
            "number 9"),
    };
}

Planted older(std::string fault, std::vector<std::pair<std::string, std::string>> files,
              std::string words)
{
    return {"older vocabulary files", std::move(fault), std::move(words),
            [files = std::move(files)](const fs::path& folder) {
                for (const auto& [name, text] : files)
                    writeText(folder / name, text);
                return errorOf(Tokenizer::load(folder));
            }};
}

/// A .model of one piece whose map of characters is `map`.
std::string pieceModel(const std::string& map)
{
    const auto field = [](int number, const std::string& bytes) {
        return std::string(1, static_cast<char>(number << 3 | 2)) +
               static_cast<char>(bytes.size()) + bytes;
    };
    return field(1, field(1, "<unk>") + "\x18\x02") + field(3, field(2, map));
}

std::vector<Planted> olderCases()
{
    const std::string vocab = R"({"a":0,"b":1,"ab":2})";
    return {
        older("no tokenizer at all", {}, "no tokenizer"),
        older("a merge of three words", {{"vocab.json", vocab}, {"merges.txt", "a b c\n"}},
              "not two tokens"),
        older("merges that are no UTF-8", {{"vocab.json", vocab}, {"merges.txt", "\xff \xfe\n"}},
              "not UTF-8"),
        older("a list for the vocabulary", {{"vocab.json", "[]"}, {"merges.txt", ""}},
              "not an object"),
        older("a text for an id",
              {{"vocab.json", R"({"a":"0"})"},
               {"merges.txt", ""},
               {"tokenizer_config.json", R"({"bos_token":"a"})"}},
              "id"),
        older("a piece twice", {{"vocab.txt", "a\nb\na\n"}}, "twice"),
        older("a role of another kind",
              {{"vocab.json", vocab},
               {"merges.txt", "a b\n"},
               {"tokenizer_config.json", R"({"tokenizer_class":7,"added_tokens_decoder":[1]})"}},
              "cannot be read"),
        older("an added token of a huge id",
              {{"vocab.json", vocab},
               {"merges.txt", "a b\n"},
               {"added_tokens.json", R"({"x":18446744073709551615})"}},
              "added"),
        older("no sentencepiece model", {{"tokenizer.model", "this is no protobuf"}},
              "not a sentencepiece model"),
        older("a map of characters that leads outside itself",
              {{"tokenizer.model", pieceModel(std::string("\4\0\0\0\0\xff\xff\x7f\0", 9))}},
              "not a sentencepiece model"),
        older("a piece that begins with a zero byte",
              {{"tokenizer.model", pieceModel("") + std::string("\x0a\x06\x0a\x02\0a\x18\x01", 8)}},
              "not a sentencepiece model"),
        older("a tokenizer of a kind that is not known", {{"tekken.json", "{}"}}, "tekken.json"),
    };
}

Planted form(std::string fault, std::string source, std::string words)
{
    return {"chat template", std::move(fault), std::move(words),
            [source = std::move(source)](const fs::path&) {
                const auto parsed = ChatTemplate::parse(source, Json::object());
                if (!parsed)
                    return parsed.error();
                return errorOf((*parsed)->render({{{"role", "user"}, {"content", "hello"}}}));
            }};
}

std::string times(int count, const std::string& text)
{
    std::string out;
    for (int i = 0; i < count; ++i)
        out += text;
    return out;
}

std::vector<Planted> templateCases()
{
    return {
        form("100,000 nested lists",
             "{{ " + std::string(100'000, '[') + std::string(100'000, ']') + " }}", "deep"),
        form("50,000 nested conditions", times(50'000, "{% if 1 %}"), "deep"),
        form("a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
             "deep"),
        form("10^10 turns of a loop",
             "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
             "steps"),
        form("a range of a thousand million", "{% for i in range(1000000000) %}{% endfor %}",
             "range"),
        form("a text of a thousand million letters", "{{ 'x' * 1000000000 }}", "16 MB"),
        form("a text that doubles",
             "{% set ns = namespace(s='x') %}{% for i in range(64) %}"
             "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
             "MB"),
        form("a list that contains itself",
             "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}"
             "{% set ns.l = [ns.l] %}{% endfor %}",
             "deep"),
        form("another file", "{% include 'passwd' %}", "include"),
        form("a module", "{% import 'os' as os %}", "import"),
        form("the insides of Python", "{{ ''.__class__.__mro__ }}", "__"),
        form("the insides by a format", "{{ '{0.__class__}'.format('a') }}", "format"),
        form("a change of the messages", "{{ messages.append(1) }}", "append"),
        form("its own refusal", "{{ raise_exception('Only one turn') }}", "Only one turn"),
        form("a megabyte of text", std::string(1'100'000, 'x'), "1 MB"),
        form("bytes that are no UTF-8", "\xff", "UTF-8"),
    };
}

Planted fromGguf(std::string fault, void (*change)(GgufTokenizer&), std::string words)
{
    return {"tokenizer of a GGUF file", std::move(fault), std::move(words),
            [change](const fs::path&) {
                GgufTokenizer gguf;
                gguf.model = "gpt2";
                gguf.pre = "gpt-2";
                gguf.tokens = {"a", "b", "ab"};
                gguf.merges = {"a b"};
                change(gguf);
                const auto files = tokenizerJsonFromGguf(gguf);
                if (!files)
                    return files.error();
                return errorOf(JsonTokenizer::fromJson((*files)["tokenizer.json"]));
            }};
}

std::vector<Planted> ggufCases()
{
    return {
        fromGguf(
            "an unknown model", [](auto& g) { g.model = "plamo9"; }, "plamo9"),
        fromGguf(
            "an unknown pre-tokenizer", [](auto& g) { g.pre = "run"; }, "run"),
        fromGguf(
            "two equal tokens", [](auto& g) { g.tokens[2] = "a"; }, "tokens 0 and 2"),
        fromGguf(
            "a token that is no UTF-8", [](auto& g) { g.tokens[1] = "\xff"; }, "token 1"),
        fromGguf(
            "no tokens", [](auto& g) { g.tokens.clear(); }, "tokens"),
        fromGguf(
            "no merges", [](auto& g) { g.merges.clear(); }, "merges"),
        fromGguf(
            "one type for three tokens", [](auto& g) { g.tokenTypes = {1}; }, "1 types"),
        fromGguf(
            "an end mark beyond the vocabulary", [](auto& g) { g.eosId = 3; }, "3"),
        fromGguf(
            "a negative number for the beginning", [](auto& g) { g.bosId = -1; }, "-1"),
        fromGguf(
            "a merge of unknown tokens", [](auto& g) { g.merges = {"x y"}; }, "merge 0"),
    };
}

} // namespace

std::vector<Planted> tokenizerCases()
{
    std::vector<Planted> all;
    for (auto* more : {jsonCases, growingCases, olderCases, ggufCases, templateCases}) {
        auto cases = more();
        std::ranges::move(cases, std::back_inserter(all));
    }
    return all;
}

} // namespace fettle::hostile

#include "sanitized.h"
#include "template_compare.h"

#include <QTemporaryDir>
#include <QtTest>
#include <cstdlib>
#include <fstream>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

const Json kTokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

std::shared_ptr<const ChatTemplate> parsed(const std::string& source)
{
    return ChatTemplate::parse(source, kTokens).value();
}

/// The rendered text, or the sentence of the error in brackets.
QString rendered(const std::string& source, const Messages& messages = {},
                 const RenderOptions& options = {})
{
    const auto chatTemplate = ChatTemplate::parse(source, kTokens);
    if (!chatTemplate)
        return "[" + QString::fromStdString(chatTemplate.error().sentence()) + "]";
    const auto segments = (*chatTemplate)->render(messages, options);
    return segments ? QString::fromStdString(joined(*segments))
                    : "[" + QString::fromStdString(segments.error().sentence()) + "]";
}

std::string repeated(const std::string& text, int times)
{
    std::string out;
    for (int i = 0; i < times; ++i)
        out += text;
    return out;
}

/// What a render says of each part: trusted parts in brackets.
QString origins(const std::string& source, const Messages& messages)
{
    QString out;
    for (const Segment& segment : parsed(source)->render(messages).value())
        out += segment.trusted ? "[" + QString::fromStdString(segment.text) + "]"
                               : QString::fromStdString(segment.text);
    return out;
}

} // namespace

class TestChatTemplate : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void snippetsEqualTheReference()
    {
        const OrderedJson golden = orderedJson(goldenPath("text_jinja.json"));
        RenderOptions options;
        options.extra = golden["context"];
        options.now = goldenTime();
        QString wrong;
        int count = 0;
        for (const auto& [key, snippet] : golden.items()) {
            if (key == "versions" || key == "now" || key == "context")
                continue;
            ++count;
            const QString got = rendered(snippet["source"], {}, options);
            const bool failed = got.startsWith("[chat template");
            if (snippet.contains("error") ? !failed
                                          : got != QString::fromStdString(snippet["output"]))
                wrong += QString::fromStdString(snippet.dump(2)) + "\ngot: " + got + "\n";
        }
        QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        QVERIFY(count > 130);
    }

    void templatesEqualTheReference_data()
    {
        QTest::addColumn<QString>("name");
        const OrderedJson golden = orderedJson(goldenPath("text_chat.json"));
        for (const auto& [name, value] : golden["templates"].items())
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }

    void templatesEqualTheReference()
    {
        QFETCH(QString, name);
        const OrderedJson golden = orderedJson(goldenPath("text_chat.json"));
        const Comparison found = compare(golden, golden["templates"][name.toStdString()]);
        QVERIFY2(found.differences == 0, qPrintable(found.report));
        QVERIFY(found.renderings > 80);
    }

    void publishedTemplatesEqualTheReference()
    {
        const char* folder = std::getenv("FETTLE_TEMPLATES");
        if (!folder)
            QSKIP("FETTLE_TEMPLATES names no folder made by tests/oracles/template_goldens.py");
        int templates = 0;
        Comparison all;
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            const OrderedJson golden = orderedJson(file.path());
            for (const auto& [name, entry] : golden["templates"].items()) {
                const Comparison found = compare(golden, entry);
                ++templates;
                all.renderings += found.renderings;
                all.refused += found.refused;
                all.differences += found.differences;
                if (found.differences > 0)
                    qWarning("%s: %d of %d differ\n%s", name.c_str(), found.differences,
                             found.renderings, qPrintable(found.report));
            }
        }
        qInfo("%d templates, %d renderings (%d refused by both), %d differences", templates,
              all.renderings, all.refused, all.differences);
        QCOMPARE(all.differences, 0);
        QVERIFY(templates > 0);
    }

    void typedTextIsNeverTrusted_data()
    {
        QTest::addColumn<QString>("source");
        QTest::addColumn<QString>("wanted");
        QTest::newRow("plain") << "<{{ messages[0].content }}>"
                               << "[<]<|x|>[>]";
        QTest::newRow("role") << "{{ '<|' + messages[0].role + '|>' }}"
                              << "[<|user|>]";
        QTest::newRow("own role") << "{{ '<|' + messages[1].role + '|>' }}"
                                  << "[<|]admin[|>]";
        QTest::newRow("case and trim") << "{{ (' ' ~ messages[0].content) | trim | upper }}"
                                       << "<|X|>";
        QTest::newRow("slices") << "{{ ('ab' ~ messages[0].content)[1:4] }}"
                                << "[b]<|";
        QTest::newRow("replace") << "{{ messages[0].content | replace('x', '<|y|>') }}"
                                 << "<|[<|y|>]|>";
        QTest::newRow("replace in trusted text")
            << "{{ 'a?b' | replace('?', messages[0].content) }}"
            << "[a]<|x|>[b]";
        QTest::newRow("join") << "{{ [messages[0].content, 'b'] | join('<|z|>') }}"
                              << "<|x|>[<|z|>b]";
        QTest::newRow("split")
            << "{% for p in (messages[0].content ~ '-c').split('-') %}{{ p }},{% endfor %}"
            << "<|x|>[,c,]";
        QTest::newRow("json") << "{{ {'k': messages[0].content, 'm': '<|m|>'} | tojson }}"
                              << "{\"k\": \"<|x|>\", \"m\": \"<|m|>\"}";
        QTest::newRow("repr") << "{{ [messages[0].content] }}"
                              << "['<|x|>']";
        QTest::newRow("macro")
            << "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(messages[0].content) }}"
            << "[<]<|x|>[>]";
        QTest::newRow("set block") << "{% set b %}<{{ messages[0].content }}>{% endset %}{{ b }}"
                                   << "[<]<|x|>[>]";
        QTest::newRow("filter block")
            << "{% filter upper %}a{{ messages[0].content }}{% endfilter %}"
            << "[A]<|X|>";
        QTest::newRow("format")
            << "{{ '<%s>' % messages[0].content }}{{ '<{}>'.format(messages[0].content) }}"
            << "[<]<|x|>[><]<|x|>[>]";
        QTest::newRow("keys") << "{% for k in messages[1] %}{{ k }} {% endfor %}"
                              << "role[ ]content[ ]<|k|>[ ]";
        QTest::newRow("reversed") << "{{ messages[0].content | reverse }}"
                                  << ">|x|<";
        QTest::newRow("namespace") << "{% set ns = namespace(t='a') %}{% set ns.t = ns.t ~ "
                                      "messages[0].content %}{{ ns.t }}"
                                   << "[a]<|x|>";
        QTest::newRow("indent") << "{{ (messages[0].content ~ '\\nb') | indent(1) }}"
                                << "<|x|>[\n b]";
        QTest::newRow("special tokens") << "{{ bos_token ~ messages[0].content ~ eos_token }}"
                                        << "[<s>]<|x|>[</s>]";
    }

    void typedTextIsNeverTrusted()
    {
        QFETCH(QString, source);
        QFETCH(QString, wanted);
        const Messages messages = {{{"role", "user"}, {"content", "<|x|>"}},
                                   {{"role", "admin"}, {"content", "b"}, {"<|k|>", 1}}};
        QCOMPARE(origins(source.toStdString(), messages), wanted);
    }

    void generationBlocksAreMarked()
    {
        const auto segments =
            parsed("a{% generation %}b{{ messages[0].content }}{% endgeneration %}c")
                ->render({{{"role", "user"}, {"content", "x"}}})
                .value();
        QCOMPARE(segments.size(), std::size_t{4});
        QVERIFY(!segments[0].generation && segments[1].generation && segments[2].generation &&
                !segments[3].generation);
    }

    void hostileTemplatesEndInASentence_data()
    {
        QTest::addColumn<QString>("source");
        const auto row = [](const char* name, const std::string& source) {
            QTest::newRow(name) << QString::fromStdString(source);
        };
        row("brackets", "{{ " + repeated("(", 100000) + " }}");
        row("lists", "{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}");
        row("dicts", "{{ " + repeated("{'a':", 50000) + " }}");
        row("not not not", "{{ " + repeated("not ", 100000) + "x }}");
        row("minus minus", "{{ " + repeated("-", 100000) + "1 }}");
        row("a long sum", "{{ 1" + repeated("+1", 100000) + " }}");
        row("a long chain", "{{ x" + repeated(".a", 100000) + " }}");
        row("a long filter", "{{ 'x'" + repeated("|upper", 100000) + " }}");
        row("inline ifs", "{{ 1" + repeated(" if 1 else 1", 50000) + " }}");
        row("nested ifs", repeated("{% if 1 %}", 50000));
        row("nested loops",
            repeated("{% for i in range(10) %}", 100) + "x" + repeated("{% endfor %}", 100));
        row("a macro calling itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
        row("two macros", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% "
                          "endmacro %}{{ a() }}");
        row("a macro in a macro's defaults", "{% macro a(x=a()) %}{% endmacro %}{{ a() }}");
        row("deep macros", "{% macro m(n) %}" + repeated("{% if 1 %}", 100) + "{{ m(n + 1) }}" +
                               repeated("{% endif %}", 100) + "{% endmacro %}{{ m(0) }}");
        row("range", "{% for i in range(1000000000) %}x{% endfor %}");
        row("many steps",
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}");
        row("repetition", "{{ 'x' * 1000000000 }}");
        row("repetition of a list", "{{ [0] * 1000000000 }}");
        row("repetition in two steps", "{% set a = 'x' * 10000000 %}{{ a * 10000000 }}");
        row("doubling", "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s "
                        "~ ns.s %}{% endfor %}");
        row("doubling a list", "{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s "
                               "= ns.s + ns.s %}{% endfor %}");
        row("many long texts", "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set "
                               "ns.l = ns.l + ['x' * 1000000 ~ i] %}{% endfor %}");
        row("replace that grows", "{% set a = 'x' * 100000 %}{{ a | replace('x', a) }}");
        row("join that grows", "{% set a = 'x' * 100000 %}{{ (a | list) | join(a) }}");
        row("much output",
            "{% set a = 'x' * 1000000 %}{% for i in range(100) %}{{ a }}{% endfor %}");
        row("indent", "{{ ('\\n' * 100000) | indent(1000, blank=true) }}");
        row("nested values", "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set "
                             "ns.l = [ns.l] %}{% endfor %}");
        row("a namespace in itself", "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}");
        row("a namespace as JSON",
            "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a | tojson }}");
        row("many parts", "{{ ('a,' * 8000000).rsplit(',') }}");
        row("many words", "{{ ('a ' * 8000000).split() }}");
        row("many lines", "{{ ('a\\n' * 8000000).splitlines() }}");
        row("search from the right", "{{ ('a' * 8000000).rfind('b' ~ 'a' * 4000000) }}");
        row("strip", "{{ ('a' * 8000000).strip('b' * 4000000 ~ 'a') }}");
        row("shared parts",
            "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(50) %}{% set ns.a = [ns.a, "
            "ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}");
        row("shared parts printed", "{% set ns = namespace(a=[1]) %}{% for i in range(50) %}{% set "
                                    "ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}");
        row("shared parts as JSON", "{% set ns = namespace(a=[1]) %}{% for i in range(50) %}{% set "
                                    "ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | tojson }}");
        row("origins", "{{ ('x' * 8000000) | replace('x', 'a' ~ 1) }}");
        row("JSON text", "{{ ('[' * 8000000) | from_json }}");
        row("deep JSON text", "{{ ('[' * 1000 ~ ']' * 1000) | from_json }}");
        row("slices",
            "{% for i in range(100000) %}{{ ('x' * 1000000)[::2] | length }}{% endfor %}");
        row("slices of wide text",
            "{% set a = '\u00e9' * 1000000 %}{% for i in range(100000) %}{{ a[i] }}{% endfor %}");
        row("power", "{{ 10 ** 1000000 }}");
        row("overflow", "{{ 9223372036854775807 + 1 }}");
        row("number", "{{ 99999999999999999999 }}");
        row("a macro that left its block",
            "{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}x{% endmacro %}{% set ns.m "
            "= m %}{% endfor %}{{ ns.m() }}");
        row("unclosed string", "{{ 'abc }}");
        row("unclosed comment", "{# abc");
        row("unclosed raw", "{% raw %}abc");
        row("unclosed tag", "{{ 1");
        row("odd characters", "{{ $ }}");
        row("include", "{% include 'passwd' %}");
        row("import", "{% import 'os' as os %}");
        row("classes", "{{ ''.__class__.__mro__ }}");
        row("surrogate", "{{ '\\ud800' }}");
        row("long", repeated("x", 1100000));
        row("sorting mixed values", "{{ [1, 'a'] | sort }}");
        row("format", "{{ '%n' % 1 }}");
        row("format with attributes", "{{ '{0.__class__}'.format('a') }}");
        row("slice step", "{{ 'abc'[::0] }}");
        row("strftime", "{{ strftime_now('%c' * 1000) }}");
    }

    void hostileTemplatesEndInASentence()
    {
        QFETCH(QString, source);
        QElapsedTimer timer;
        timer.start();
        const QString result = rendered(source.toStdString());
        QVERIFY2(result.startsWith("[chat template"), qPrintable(result.left(200)));
        QVERIFY2(result.size() < 300, qPrintable(result.left(300)));
        QVERIFY2(timer.elapsed() < fettle::tests::patient(1000), qPrintable(QString::number(timer.elapsed())));
    }

    void damagedTemplatesNeverCrash()
    {
        // Every template with a piece taken out or doubled: a text or a sentence, nothing else.
        const Json golden = textGolden("text_chat.json");
        const Messages messages = {{{"role", "user"}, {"content", "Hi"}},
                                   {{"role", "assistant"}, {"content", "Ho"}}};
        for (const auto& [name, entry] : golden["templates"].items()) {
            const std::string source = entry["source"];
            for (std::size_t at = 0; at < source.size(); at += 7) {
                std::string cut = source, doubled = source;
                cut.erase(at, 3 + at % 11);
                doubled.insert(at, source.substr(at / 2, 5 + at % 13));
                rendered(toValidUtf8(cut), messages);
                rendered(toValidUtf8(doubled), messages);
            }
        }
    }

    void refusalsKeepMessagesToThemselves()
    {
        const QString sentence =
            rendered("{{ raise_exception('Unknown role ' ~ messages[0].role ~ '!') }}",
                     {{{"role", "secret"}, {"content", "x"}}});
        QVERIFY2(sentence.contains("Unknown role ...!") && !sentence.contains("secret"),
                 qPrintable(sentence));
        QVERIFY(rendered("a\nb\n{{ none + 1 }}").contains("line 3"));
    }

    void templatesAreFoundInTheFolder()
    {
        QTemporaryDir place;
        const std::filesystem::path folder = place.path().toStdString();
        const auto write = [&](const char* name, const std::string& text) {
            std::ofstream(folder / name) << text;
        };
        const auto now = [&] {
            const auto chatTemplate = ChatTemplate::load(folder);
            return chatTemplate ? joined((*chatTemplate)->render({}).value())
                                : chatTemplate.error().sentence();
        };
        QVERIFY(ChatTemplate::load(folder).error().code == ErrorCode::NotFound);
        write(
            "tokenizer_config.json",
            R"({"chat_template": [{"name": "rag", "template": "no"}, {"name": "default", "template": "list {{ eos_token }}"}]})");
        write("special_tokens_map.json", R"({"eos_token": {"content": "<e>"}})");
        QCOMPARE(now(), std::string("list <e>"));
        write("tokenizer_config.json",
              R"({"chat_template": "text {{ eos_token }}{{ bos_token }}", "eos_token": "<f>"})");
        QCOMPARE(now(), std::string("text <f>"));
        write("chat_template.jinja", "file\n");
        QCOMPARE(now(), std::string("file"));
        write("chat_template.jinja", "{% if %}");
        QVERIFY(!ChatTemplate::load(folder));
        write("chat_template.jinja", "\xFF");
        QVERIFY(!ChatTemplate::load(folder));
    }
};

QTEST_GUILESS_MAIN(TestChatTemplate)
#include "test_chat_template.moc"

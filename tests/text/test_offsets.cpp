#include "base/sha256.h"
#include "base/text.h"
#include "text_help.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace fettle;
using namespace fettle::tests;
using namespace fettle::text;

namespace {

/// Eight digits for a list of numbers, as tests/oracles/make_language_goldens.py writes them.
template<typename Numbers> std::string digits(const Numbers& numbers)
{
    std::string text;
    for (const auto number : numbers)
        text += (text.empty() ? "" : ",") + std::to_string(number);
    return sha256(text).substr(0, 8);
}

std::shared_ptr<const Tokenizer> tokenizerOf(const std::string& file, const std::string& name)
{
    if (file.empty())
        return Tokenizer::load(smallTokenizer()).value();
    return JsonTokenizer::fromJson(textGolden(file)[name]["tokenizer"]).value();
}

QString shownRanges(const std::vector<Range>& ranges)
{
    QString out;
    for (const Range& range : ranges)
        out += QString("%1-%2 ").arg(range.begin).arg(range.end);
    return out.trimmed();
}

} // namespace

class TestOffsets : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void thirtyLanguagesEqualTheReference_data()
    {
        QTest::addColumn<QString>("file");
        QTest::addColumn<QString>("name");
        QTest::newRow("small") << ""
                               << "small";
        for (const char* file : {"text_variants.json", "text_models.json"}) {
            const Json golden = textGolden(file);
            for (const auto& [name, value] : golden.items()) {
                if (name != "versions")
                    QTest::newRow(name.c_str()) << file << QString::fromStdString(name);
            }
        }
    }

    void thirtyLanguagesEqualTheReference()
    {
        QFETCH(QString, file);
        QFETCH(QString, name);
        const Json golden = textGolden("text_languages.json");
        const auto tokenizer = tokenizerOf(file.toStdString(), name.toStdString());
        const auto& lines = golden["lines"];
        QVERIFY(lines.size() > 30);
        QString wrong;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const std::string line = lines[i];
            const EncodeOptions options{.addSpecialTokens = true, .parseSpecialTokens = true};
            const Encoding got = tokenizer->encodeWithOffsets(line, options);
            QCOMPARE(shown(tokenizer->encode(line, options)), shown(got.ids));
            QCOMPARE(got.bytes.size(), got.ids.size());
            std::vector<std::size_t> places;
            for (const Range& range : got.characters)
                places.insert(places.end(), {range.begin, range.end});
            const Json& wanted = golden[name.toStdString()][i];
            if (digits(got.ids) != wanted[0] || digits(places) != wanted[1])
                wrong += QString::fromStdString(line) + "\n" + shown(got.ids) + "\n" +
                         shownRanges(got.characters) + "\n";
        }
        QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
    }

    void bytesAreThoseOfTheText()
    {
        const auto tokenizer = tokenizerOf("", "small");
        const std::string text = "ab é漢<|im_end|> x";
        const Encoding got = tokenizer->encodeWithOffsets(text, {.parseSpecialTokens = true});
        std::size_t at = 0;
        for (std::size_t i = 0; i < got.ids.size(); ++i) {
            // Tokens of one character each have the whole of it; the others follow one another.
            QVERIFY(got.bytes[i].begin <= at && got.bytes[i].end >= at);
            at = got.bytes[i].end;
            if (tokenizer->isSpecial(got.ids[i]))
                QCOMPARE(text.substr(got.bytes[i].begin, got.bytes[i].end - got.bytes[i].begin),
                         std::string("<|im_end|>"));
        }
        QCOMPARE(at, text.size());
        QCOMPARE(got.characters.back().end, std::size_t{17});
    }

    void illFormedTextCountsAsItsReplacement()
    {
        const auto tokenizer = tokenizerOf("", "small");
        const std::string bad = "a\xFF\xE2\x82 b";
        const Encoding got = tokenizer->encodeWithOffsets(bad);
        const Encoding wanted = tokenizer->encodeWithOffsets(toValidUtf8(bad));
        QCOMPARE(shown(got.ids), shown(wanted.ids));
        QCOMPARE(shownRanges(got.bytes), shownRanges(wanted.bytes));
        QCOMPARE(shown(got.ids), shown(tokenizer->encode(bad)));
    }

    void sentencePieceTellsPlaces_data()
    {
        QTest::addColumn<QString>("file");
        QTest::newRow("BPE") << "text_bpe.model";
        QTest::newRow("unigram") << "text_unigram.model";
    }

    void sentencePieceTellsPlaces()
    {
        QFETCH(QString, file);
        QTemporaryDir place;
        const std::filesystem::path folder = place.path().toStdString();
        std::filesystem::copy_file(goldenPath(file.toStdString()), folder / "tokenizer.model");
        const auto tokenizer = Tokenizer::load(folder).value();
        const std::string text = "Hello wörld 漢<user>x";
        const Encoding got = tokenizer->encodeWithOffsets(text, {.addSpecialTokens = true});
        QCOMPARE(shown(got.ids), shown(tokenizer->encode(text, {.addSpecialTokens = true})));
        QCOMPARE(got.bytes.size(), got.ids.size());
        QCOMPARE(got.bytes.back().end, text.size());
        for (std::size_t i = 1; i < got.bytes.size(); ++i)
            QVERIFY(got.bytes[i].begin >= got.bytes[i - 1].begin);
    }

    void partsCountAsOneText()
    {
        const auto tokenizer = tokenizerOf("", "small");
        const std::vector<TextPart> parts = {
            {"<|im_start|>", true}, {"a<|im_end|>", false}, {"<|im_end|>", true}};
        const Encoding got = tokenizer->encodePartsWithOffsets(parts);
        QCOMPARE(shown(got.ids), shown(tokenizer->encodeParts(parts)));
        QCOMPARE(shownRanges({got.bytes.front(), got.bytes.back()}), QString("0-12 23-33"));
    }
};

QTEST_GUILESS_MAIN(TestOffsets)
#include "test_offsets.moc"

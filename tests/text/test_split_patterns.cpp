#include "base/text.h"
#include "sanitized.h"
#include "text/gpt2_scanner.h"
#include "text/unicode.h"

#include <QtTest>
#include <random>

using namespace fettle;
using namespace fettle::text;

namespace {

bool matches(const Regex& regex, char32_t c)
{
    std::string text;
    appendUtf8(text, c);
    std::vector<Range> found;
    regex.findAll(text, found);
    return !found.empty();
}

} // namespace

class TestSplitPatterns : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void classesContainThoseOfTheRegexEngine()
    {
        const auto letter = Regex::compile("\\p{L}").value(),
                   number = Regex::compile("\\p{N}").value(), space = Regex::compile("\\s").value(),
                   notSpace = Regex::compile("[\\S]").value(), word = Regex::compile("\\w").value();
        std::int64_t newer = 0;
        for (char32_t c = 0; c < 0x110000; ++c) {
            if (c >= 0xD800 && c < 0xE000)
                continue;
            const bool isSpace = isClass(c, kSpace);
            QVERIFY2(matches(*space, c) == isSpace && matches(*notSpace, c) != isSpace,
                     qPrintable(QString::number(c, 16)));
            if (matches(*letter, c) || matches(*number, c)) {
                QVERIFY(isClass(c, kLetter) == matches(*letter, c) &&
                        isClass(c, kNumber) == matches(*number, c));
                QVERIFY(matches(*word, c));
            } else {
                newer += isClass(c, kLetter | kNumber);
            }
        }
        // Patterns are rewritten to the reference's Unicode, which is newer than the engine's.
        QCOMPARE(newer, 0);
        QVERIFY(!isClass(0x180E, kSpace));
    }

    void scannerEqualsThePattern()
    {
        const auto regex = Regex::compile(kGpt2Pattern).value();
        const auto letter = Regex::compile("\\p{L}|\\p{N}").value();
        // Pieces that bring the branches of the pattern together, and any other code point.
        const std::vector<std::string> bits = {"a",
                                               "Z",
                                               "s",
                                               "t",
                                               "re",
                                               "ve",
                                               "m",
                                               "ll",
                                               "d",
                                               "'",
                                               " ",
                                               "  ",
                                               "\n",
                                               "\t",
                                               "\r\n",
                                               "1",
                                               "\xC2\xBD",
                                               "\xC3\xA9",
                                               "\xCC\x81",
                                               "!",
                                               "_",
                                               "\xC2\xA0",
                                               "\xE3\x80\x80",
                                               "\xE1\xA0\x8E",
                                               "\xE2\x80\xA8",
                                               "\xF0\x9F\x98\x80",
                                               "\xE4\xB8\xAD",
                                               std::string(1, '\0')};
        std::mt19937 engine(7);
        const auto below = [&](std::size_t limit) { return engine() % limit; };
        std::vector<Range> matches;
        std::vector<Piece> pieces;
        for (int round = 0; round < 20000; ++round) {
            std::string text;
            for (auto i = below(24) + 1; i > 0; --i) {
                const auto pick = below(bits.size() + 2);
                if (pick < bits.size()) {
                    text += bits[pick];
                    continue;
                }
                const auto c = static_cast<char32_t>(below(0x110000));
                if ((c >= 0xD800 && c < 0xE000) ||
                    (isClass(c, kLetter | kNumber) && !::matches(*letter, c)))
                    continue; // letters newer than PCRE2's Unicode
                appendUtf8(text, c);
            }
            matches.clear();
            pieces.clear();
            regex->findAll(text, matches);
            splitLikeGpt2({text, true}, pieces);
            QCOMPARE(pieces.size(), matches.size());
            for (std::size_t i = 0; i < pieces.size(); ++i)
                QCOMPARE(QByteArray::fromStdString(std::string(pieces[i].text)),
                         QByteArray::fromStdString(
                             text.substr(matches[i].begin, matches[i].end - matches[i].begin)));
        }
    }

    void patternsAreRewrittenOrRefused()
    {
        QVERIFY(toPcre("\\p{Han}+").value() == "\\p{sc:Han}+");
        QVERIFY(toPcre("[^\\s]").value().starts_with("[^\\x{09}"));
        for (const char* refused :
             {"[a[b]]", "[a&&b]", "\\h", "a{1,2}+", "(?m)a", "\\G\\K", "[\\W]", "\\pL", "a\\"})
            QVERIFY2(!toPcre(refused), refused);
        QVERIFY(!Regex::compile("(unclosed"));
    }

    /// What published patterns do at worst: a long run is gone over once for each alternative.
    void longRunsAreMatchedWhole()
    {
        const auto regex =
            Regex::compile(R"(\p{Lu}*\p{Ll}+|\p{Lu}+\p{Ll}*|\s*[\r\n]+|\s+(?!\S)|\s+|.)").value();
        for (const char c : {'A', 'a', ' ', '\n'}) {
            std::vector<Range> matches;
            QVERIFY(regex->findAll(std::string(1'000'000, c), matches));
            QCOMPARE(matches.size(), std::size_t{1});
        }
        std::vector<Range> matches;
        QVERIFY(regex->findAll(std::string(1'000'000, ' ') + "x", matches));
        QCOMPARE(matches.size(), std::size_t{3});
    }

    void hostilePatternsEnd()
    {
        QElapsedTimer timer;
        timer.start();
        const auto refused = Regex::compile("(a+)+$|(?:a|a)*b");
        QVERIFY(!refused && refused.error().what.find("more steps") != std::string::npos);
        // Only letters that are no part of the plain texts show it.
        const auto regex = Regex::compile("(q+)+$").value();
        std::vector<Range> matches;
        QVERIFY(!regex->findAll(std::string(100, 'q') + "c", matches));
        QVERIFY(regex->findAll(std::string(100, 'q'), matches) && matches.size() == 1);
        QVERIFY(timer.elapsed() < fettle::tests::patient(1000));
    }
};

QTEST_GUILESS_MAIN(TestSplitPatterns)
#include "test_split_patterns.moc"

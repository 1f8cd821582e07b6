#include "base/json.h"
#include "base/text.h"
#include "hostile/planted.h"
#include "model/import/import.h"
#include "model/import_helpers.h"
#include "sanitized.h"
#include "text/regex.h"
#include "text/tokenizer_json.h"

#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>

using namespace fettle;
using namespace fettle::hostile;

namespace {

constexpr qint64 kRefusal =
    8'000; // ms for any refusal, the longest templates and sanitizers included

/// A text of a megabyte that takes long where work grows with its square.
std::string megabyte(const std::string& part)
{
    std::string out;
    while (out.size() < 1'000'000)
        out += part;
    return out;
}

Json wordsOfLetters()
{
    Json vocab = Json::object(), merges = Json::array();
    int id = 0;
    for (const char* token : {"a", "b", " ", "aa", "ab", "aaaa", "abab", "aaaaaaaa"})
        vocab[token] = id++;
    for (const char* merge : {"a a", "a b", "aa aa", "ab ab", "aaaa aaaa"})
        merges.push_back(merge);
    return {{"version", "1.0"},
            {"added_tokens", Json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", nullptr},
            {"post_processor", nullptr},
            {"decoder", nullptr},
            {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

} // namespace

/// Hostile files against every reader: each planted fault is refused by a sentence with place and
/// remedy, quickly, and no input takes time beyond measure.
class TestHostile : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void plantedFaultsAreRefused_data()
    {
        QTest::addColumn<int>("number");
        int number = 0;
        for (const auto& planted : plantedCases())
            QTest::newRow((planted.kind + ": " + planted.fault).c_str()) << number++;
    }
    void plantedFaultsAreRefused()
    {
        QFETCH(int, number);
        static const auto all = plantedCases();
        const auto& planted = all[static_cast<std::size_t>(number)];
        QTemporaryDir folder;
        QElapsedTimer timer;
        timer.start();
        const auto error = planted.refusal(folder.path().toStdString());
        QVERIFY2(timer.elapsed() < fettle::tests::patient(kRefusal), qPrintable(QString::number(timer.elapsed())));
        const std::string sentence = error.sentence();
        QVERIFY2(sentence.find(planted.words) != std::string::npos, sentence.c_str());
        QVERIFY2(error.code != ErrorCode::Internal, sentence.c_str());
        QVERIFY2(!error.where.empty() && !error.remedy.empty(), sentence.c_str());
        QVERIFY2(isValidUtf8(sentence) && sentence.size() < 600, sentence.c_str());
        // Nothing in it may steer a terminal or turn the direction of a line.
        QVERIFY2(quotable(sentence, 10'000) == sentence, sentence.c_str());
    }

    /// docs/refusals.md is what list_refusals prints now.
    void listOfRefusalsIsUpToDate()
    {
        const auto written = readFile(FETTLE_SOURCE_DIR "/docs/refusals.md").value();
        QVERIFY2(written == refusalsAsMarkdown(),
                 "write it anew: build/test/bin/list_refusals > docs/refusals.md");
    }

    void namesAreQuotedSafely_data()
    {
        QTest::addColumn<QString>("hex");
        QTest::addColumn<QString>("shown");
        QTest::newRow("plain") << "61c3bc"
                               << "aü";
        QTest::newRow("escape") << "1b5b324a61" << QString("\uFFFD[2Ja");
        QTest::newRow("line feed") << "610a62" << QString("a\uFFFD") + "b";
        QTest::newRow("not UTF-8") << "61ff62" << QString("a\uFFFD") + "b";
        QTest::newRow("direction") << "61e280ae62" << QString("a\uFFFD") + "b";
        QTest::newRow("long") << QString("61").repeated(200) << QString("a").repeated(80) + "...";
        QTest::newRow("cut between characters")
            << "61" + QString("c3bc").repeated(60) << "a" + QString("ü").repeated(39) + "...";
    }
    void namesAreQuotedSafely()
    {
        QFETCH(QString, hex);
        QFETCH(QString, shown);
        QCOMPARE(
            QString::fromStdString(quotable(QByteArray::fromHex(hex.toLatin1()).toStdString())),
            shown);
    }

    /// A hub's download is a folder of links to files with digests for names.
    void linksOfHubDownloadsAreFollowed()
    {
        namespace fs = std::filesystem;
        QTemporaryDir temporary;
        const fs::path root = temporary.path().toStdString();
        model::importModel(testing::golden("tiny_llama.gguf"), root / "model").value();
        const auto snapshot = root / "hub/snapshots/0123";
        fs::create_directories(snapshot);
        fs::create_directories(root / "hub/blobs");
        for (const auto& entry : fs::directory_iterator(root / "model")) {
            const auto name = entry.path().filename();
            fs::rename(entry.path(), root / "hub/blobs" / name);
            fs::create_symlink(fs::path("../../blobs") / name, snapshot / name);
        }
        const auto made = model::importModel(snapshot, root / "copy");
        QVERIFY2(made, made ? "" : made.error().sentence().c_str());
        QVERIFY(fs::is_regular_file(fs::symlink_status(root / "copy/model.safetensors")));
    }

    void namesOfFilesAreQuotedToo()
    {
        const Error error{ErrorCode::InvalidInput, "this is no model", "a\x1b[2J.gguf",
                          "Choose one"};
        QVERIFY(error.sentence().find('\x1b') == std::string::npos);
        QVERIFY(error.sentence().find("[2J.gguf: this is no model. Choose one.") !=
                std::string::npos);
    }

    /// Merges of one word of a megabyte.
    void longWordsTakeLittleTime_data()
    {
        QTest::addColumn<QString>("part");
        for (const char* part : {"a", "ab", "aab", "ba", "a b"})
            QTest::newRow(part) << part;
    }
    void longWordsTakeLittleTime()
    {
        QFETCH(QString, part);
        const auto tokenizer = text::JsonTokenizer::fromJson(wordsOfLetters()).value();
        const auto text = megabyte(part.toStdString());
        QElapsedTimer timer;
        timer.start();
        const auto ids = tokenizer->encode(text);
        QVERIFY2(timer.elapsed() < fettle::tests::patient(5'000), qPrintable(QString::number(timer.elapsed())));
        QCOMPARE(tokenizer->decode(ids, false).size() > 0, true);
    }

    /// Added tokens that take the spaces around them, words of many letters, tokens with many marks.
    void spacesWordsAndMarksTakeLittleTime_data()
    {
        QTest::addColumn<QString>("key");
        QTest::addColumn<QString>("value");
        QTest::addColumn<QString>("part");
        const QString added = R"([{"id":8,"content":"%1","lstrip":%2,"rstrip":%3,"normalized":false}])";
        QTest::newRow("spaces before") << "/added_tokens" << added.arg(" ", "true", "false") << " ";
        QTest::newRow("spaces behind") << "/added_tokens" << added.arg(" ", "false", "true") << " ";
        QTest::newRow("spaces between") << "/added_tokens" << added.arg("b", "true", "true") << "b     ";
        QTest::newRow("word pieces")
            << "/model"
            << R"({"type":"WordPiece","unk_token":"a","max_input_chars_per_word":10000,"vocab":{"a":0,"##a":1}})"
            << QString("a").repeated(9'999) + " ";
        QTest::newRow("marks of an end of word")
            << "/decoder" << R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"CTC","word_delimiter_token":"a","pad_token":"b"}]})"
            << "ab ";
    }
    void spacesWordsAndMarksTakeLittleTime()
    {
        QFETCH(QString, key);
        QFETCH(QString, value);
        QFETCH(QString, part);
        auto json = wordsOfLetters();
        json["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
        json[Json::json_pointer(key.toStdString())] = Json::parse(value.toStdString());
        const auto tokenizer = text::JsonTokenizer::fromJson(json);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().sentence().c_str());
        const auto text = megabyte(part.toStdString());
        QElapsedTimer timer;
        timer.start();
        const auto ids = (*tokenizer)->encode(text);
        (*tokenizer)->decode(ids, false);
        QVERIFY2(timer.elapsed() < fettle::tests::patient(5'000), qPrintable(QString::number(timer.elapsed())));
        QVERIFY(!ids.empty());
    }

    /// Patterns that double their work with every letter: refused when a few hundred letters show
    /// it, else bounded on a megabyte.
    void backtrackingIsBounded_data()
    {
        QTest::addColumn<QString>("pattern");
        for (const char* pattern : {"(a+)+$", "(a|aa)+$", "(a*)*b", "([a-z]+)*=", "(a?){25}a{25}c",
                                    "a(?=(a+)+b)", "(.*)*x", "a*c|a", "[ab]*c|a", "a(?=a*c)|a"})
            QTest::newRow(pattern) << pattern;
    }
    void backtrackingIsBounded()
    {
        QFETCH(QString, pattern);
        const auto regex = text::Regex::compile(pattern.toStdString());
        if (!regex) {
            QVERIFY(regex.error().what.find("more steps") != std::string::npos);
            return;
        }
        const auto text = megabyte("a") + "!";
        std::vector<text::Range> matches;
        QElapsedTimer timer;
        timer.start();
        (*regex)->findAll(text, matches);
        QVERIFY2(timer.elapsed() < fettle::tests::patient(5'000), qPrintable(QString::number(timer.elapsed())));
    }
};

QTEST_GUILESS_MAIN(TestHostile)
#include "test_hostile.moc"

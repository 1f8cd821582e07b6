#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/param_spec.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/threads.h"
#include "sanitized.h"

#include <QTemporaryDir>
#include <QtTest>
#include <set>
#include <sys/resource.h>

using namespace fettle;

namespace {

ParamValues someSettings()
{
    ParamSpec size{"lora.rank", "Size", "rank", "", "", ParamKind::Integer, 16};
    size.minimum = 1, size.maximum = 64;
    size.neededBySetting = "method";
    size.neededByValues = {"lora"};
    ParamSpec rate{"training.rate", "Rate", "learning rate", "", "", ParamKind::Real, 0.1};
    rate.minimum = 0, rate.maximum = 1;
    ParamSpec method{"method", "Method", "method", "", "", ParamKind::Choice, "lora"};
    method.choices = {"lora", "full"};
    method.choiceLabels = {"Add-on", "Whole"};
    const ParamSpec stop{"checks.stop", "Stop", "", "", "", ParamKind::Flag, true};
    const ParamSpec names{"lora.targets", "Where", "", "", "", ParamKind::TextList, Json{"q", "k"}};
    return ParamValues({method, size, rate, stop, names});
}

} // namespace

class TestBase : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sha256EqualsThePublishedDigests()
    {
        // FIPS 180-4, examples of the standard
        QCOMPARE(sha256(""),
                 std::string("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        QCOMPARE(sha256("abc"),
                 std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        Sha256 parts;
        for (int i = 0; i < 1000; ++i)
            parts.update(std::string(1000, 'a'));
        QCOMPARE(parts.finish(),
                 std::string("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
    }

    void threadsWithoutRoomAreNoticed()
    {
        if (fettle::tests::kSanitized)
            QSKIP("the sanitizer itself needs room while there is none");
        QVERIFY(roomForThreads(0) && roomForThreads(64));
        rlimit before = {};
        getrlimit(RLIMIT_AS, &before);
        const rlimit little{1 << 20, before.rlim_max}; // less than there is: nothing more can be had
        setrlimit(RLIMIT_AS, &little);
        const bool many = roomForThreads(64), none = roomForThreads(0);
        setrlimit(RLIMIT_AS, &before);
        QVERIFY(!many && none);
    }

    void randomNumbersAreAFunctionOfTheirPlace()
    {
        const Rng a(7, "order"), again(7, "order"), other(7, "dropout"), seed(8, "order");
        QCOMPARE(a.bits(3, 5), again.bits(3, 5));
        QVERIFY(a.bits(3, 5) != a.bits(3, 6) && a.bits(3, 5) != a.bits(4, 5));
        QVERIFY(a.bits(3, 5) != other.bits(3, 5) && a.bits(3, 5) != seed.bits(3, 5));
        double sum = 0;
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            const double u = a.uniform(0, i);
            QVERIFY(u >= 0 && u < 1);
            sum += u;
        }
        QVERIFY(std::abs(sum / 20'000 - 0.5) < 0.01);
        const auto order = a.permutation(1000, 2);
        QCOMPARE(std::set<std::uint32_t>(order.begin(), order.end()).size(), std::size_t{1000});
        QVERIFY(order != a.permutation(1000, 3) && order == again.permutation(1000, 2));
        QVERIFY(a.permutation(0, 1).empty());
    }

    void filesAppearWholeOrNotAtAll()
    {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.filePath("a.txt").toStdString();
        writeFileAtomically(path, "old").value();
        {
            AtomicFile file(path);
            file.open().value();
            file.write("half").value();
        } // not committed
        QCOMPARE(readFile(path).value(), std::string("old"));
        QCOMPARE(QDir(folder.path()).entryList(QDir::Files | QDir::Hidden).size(), 1);
        writeFileAtomically(path, std::string(3'000'000, 'x')).value();
        QCOMPARE(readFile(path).value().size(), std::size_t{3'000'000});
        QVERIFY(readFile(path, 100).error().code == ErrorCode::InvalidInput);
        QVERIFY(readFile(folder.filePath("none").toStdString()).error().code ==
                ErrorCode::NotFound);
    }

    void foldersArePublishedOnce()
    {
        QTemporaryDir folder;
        const std::filesystem::path root = folder.path().toStdString();
        std::filesystem::create_directory(root / "new");
        writeFileAtomically(root / "new/a", "1").value();
        publishFolder(root / "new", root / "done").value();
        QVERIFY(std::filesystem::exists(root / "done/a") && !std::filesystem::exists(root / "new"));
        std::filesystem::create_directory(root / "new");
        QVERIFY(!publishFolder(root / "new", root / "done"));
        QVERIFY(std::filesystem::exists(root / "done/a") && std::filesystem::exists(root / "new"));
    }

    void foldersGiveWay()
    {
        QTemporaryDir folder;
        const std::filesystem::path root = folder.path().toStdString();
        for (const char* text : {"1", "2"}) {
            std::filesystem::create_directory(root / "new");
            writeFileAtomically(root / "new/a", text).value();
            replaceFolder(root / "new", root / "done").value();
            QCOMPARE(readFile(root / "done/a").value(), std::string(text));
            QCOMPARE(QDir(folder.path()).entryList(QDir::Dirs | QDir::NoDotAndDotDot), QStringList("done"));
        }
        QVERIFY(!replaceFolder(root / "none", root / "done"));
        QCOMPARE(readFile(root / "done/a").value(), std::string("2"));
    }

    void sizesThatOverflowAreSeen()
    {
        QVERIFY((Checked(3) * Checked(4) + Checked(5)).within(17));
        QVERIFY(!(Checked(3) * Checked(4) + Checked(5)).within(16));
        const Checked huge = Checked(~std::uint64_t{0});
        QVERIFY(!(huge + Checked(1)).within(~std::uint64_t{0}));
        QVERIFY(!(huge * Checked(2) * Checked(0)).ok());
        const std::string text = "abcdef";
        ByteReader reader(std::as_bytes(std::span(text)));
        QCOMPARE(reader.read<char>(), 'a');
        QCOMPARE(reader.text(2), std::string_view("bc"));
        reader.read<std::uint64_t>();
        QVERIFY(!reader.ok());
        QCOMPARE(reader.read<char>(), '\0');
    }

    void settingsAreChecked()
    {
        ParamValues values = someSettings();
        QCOMPARE(values.integer("lora.rank"), 16);
        QVERIFY(values.changed().empty());
        values.set("lora.rank", 8).value();
        values.setText("training.rate", "0.25").value();
        values.setText("lora.targets", "q,v").value();
        values.setAll(Json{{"checks", {{"stop", false}}}}).value();
        QCOMPARE(values.integer("lora.rank"), 8);
        QCOMPARE(values.real("training.rate"), 0.25);
        QVERIFY(!values.flag("checks.stop"));
        QVERIFY(values.list("lora.targets") == (std::vector<std::string>{"q", "v"}));
        QCOMPARE(values.changed().size(), std::size_t{4});
        QCOMPARE(values.all()["lora"]["rank"].get<int>(), 8);
        QVERIFY(values.isNeeded(*values.spec("lora.rank")));
        values.set("method", "full").value();
        QVERIFY(!values.isNeeded(*values.spec("lora.rank")));
        values.reset("lora.rank");
        QCOMPARE(values.integer("lora.rank"), 16);
    }

    void settingsThatAreWrongAreNamed_data()
    {
        QTest::addColumn<QString>("key");
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("words");
        QTest::newRow("unknown") << "lora.rnk"
                                 << "8"
                                 << "lora.rank";
        QTest::newRow("too large") << "lora.rank"
                                   << "65"
                                   << "64";
        QTest::newRow("too small") << "lora.rank"
                                   << "0"
                                   << "1";
        QTest::newRow("no number") << "lora.rank"
                                   << "eight"
                                   << "lora.rank";
        QTest::newRow("half") << "lora.rank"
                              << "1.5"
                              << "lora.rank";
        QTest::newRow("not finite") << "training.rate"
                                    << "nan"
                                    << "training.rate";
        QTest::newRow("no choice") << "method"
                                   << "magic"
                                   << "full";
        QTest::newRow("no flag") << "checks.stop"
                                 << "perhaps"
                                 << "checks.stop";
    }
    void settingsThatAreWrongAreNamed()
    {
        QFETCH(QString, key);
        QFETCH(QString, text);
        QFETCH(QString, words);
        ParamValues values = someSettings();
        const auto set = values.setText(key.toStdString(), text.toStdString());
        QVERIFY(!set && set.error().code == ErrorCode::InvalidInput);
        const auto sentence = QString::fromStdString(set.error().sentence());
        QVERIFY2(sentence.contains(words), qPrintable(sentence));
        QVERIFY(values.changed().empty());
    }

    void jsonIsBounded()
    {
        QVERIFY(parseJson(std::string(100, '[') + std::string(100, ']'), "x"));
        QVERIFY(!parseJson(std::string(200, '[') + std::string(200, ']'), "x"));
        QVERIFY(!parseJson("{\"a\": NaN}", "x"));
        QVERIFY(
            parseJson("{\"a\": [NaN, -Infinity, \"NaN\"]}", "x", true).value()["a"][0].is_null());
        QVERIFY(!parseJson("{\"a\": 1", "x"));
    }

    void illFormedTextIsReplacedAsPythonDoes()
    {
        std::int64_t replaced = 0;
        QCOMPARE(toValidUtf8("a\xff"
                             "b\xe2\x82"
                             "c\xed\xa0\x80",
                             &replaced),
                 std::string("a\uFFFD"
                             "b\uFFFD"
                             "c\uFFFD\uFFFD\uFFFD"));
        QCOMPARE(replaced, 5);
        QVERIFY(isValidUtf8("äß漢🙂") && !isValidUtf8("\xc0\x80") &&
                !isValidUtf8("\xf4\x90\x80\x80"));
        QCOMPARE(completeUtf8Prefix("ab\xf0\x9f"), std::size_t{2});
    }

    void numbersForPeople()
    {
        QCOMPARE(humanBytes(999), std::string("999 bytes"));
        QCOMPARE(humanBytes(9'100'000), std::string("9.1 MB"));
        QCOMPARE(humanDuration(252), std::string("4 min 12 s"));
        QCOMPARE(humanDuration(3), std::string("3 s"));
    }
};

QTEST_GUILESS_MAIN(TestBase)
#include "test_base.moc"

#include "base/rng.h"
#include "data/splits.h"
#include "store/dataset.h"
#include "store/places.h"
#include "store/sqlite.h"
#include "store_help.h"

#include <QtTest>
#include <set>
#include <sys/stat.h>
#include <thread>

using namespace fettle;
using namespace fettle::store;

namespace {

std::shared_ptr<Dataset> fresh(const QTemporaryDir& folder, const char* name = "rows.db")
{
    return Dataset::create(folder / name, "letters").value();
}

std::vector<std::int64_t> idsOf(const Dataset& dataset, const RowFilter& filter = {})
{
    std::vector<std::int64_t> ids;
    for (const auto& row : dataset.rows(filter, 0, 1000000))
        ids.push_back(row.id);
    return ids;
}

} // namespace

class TestDataset : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void createAndOpen();
    void importsRows();
    void importIsAllOrNothing();
    void importFollowsTwinsOfEarlierRows();
    void statedSplitsHold();
    void health();
    void search_data();
    void search();
    void editsAndUndo();
    void undoSurvivesReopening();
    void newEditEndsRedo();
    void undoRedoProperty();
    void versionsAreImmutable();
    void undoBringsBackTheDigest();
    void errors();
    void damagedFiles();
    void twoConnectionsSeeEachOther();
    void readsWhileAnImportWrites();
};

void TestDataset::createAndOpen()
{
    const QTemporaryDir folder;
    const auto file = folder / "rows.db";
    {
        const auto dataset = fresh(folder);
        QCOMPARE(dataset->name(), std::string("letters"));
        QCOMPARE(dataset->counts().rows, 0);
        QVERIFY(dataset->undoName().empty());
        QVERIFY(!Dataset::create(file, "letters"));
    }
    struct stat status
    {
    };
    QVERIFY(::stat(file.c_str(), &status) == 0);
    QCOMPARE(status.st_mode & 0777, mode_t{0600});
    const auto again = Dataset::open(file);
    QVERIFY(again);
    QCOMPARE((*again)->name(), std::string("letters"));
    const auto missing = Dataset::open(folder / "other.db");
    QVERIFY(!missing);
    QVERIFY(missing.error().code == ErrorCode::NotFound);
}

void TestDataset::importsRows()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    data::ImportOptions options;
    options.instruction = "Be brief.";
    const auto file = written(folder / "t.jsonl", questionLines(400) + "broken\n");
    const auto report = dataset->import({file}, options, {}, {}, {});
    QVERIFY2(report, report ? "" : report.error().sentence().c_str());
    const auto counts = dataset->counts();
    QCOMPARE(counts.rows, 400);
    QCOMPARE(counts.train, 320);
    QCOMPARE(counts.validation, 40);
    QCOMPARE(counts.test, 40);
    QCOMPARE(counts.badRows, 1);
    QCOMPARE(dataset->badRows().front().row, 401);
    const auto info = dataset->importInfo();
    QCOMPARE(info["form"], Json("questions"));
    QCOMPARE(info["instruction"], Json("Be brief."));
    QCOMPARE(info["files"][0]["name"], Json("t.jsonl"));
    QCOMPARE(info["files"][0]["sha256"].get<std::string>().size(), std::size_t{64});
    QCOMPARE(dataset->undoName(), std::string("import 400 rows"));
    const auto rows = dataset->rows({}, 398, 10);
    QCOMPARE(rows.size(), std::size_t{2});
    QCOMPARE(answerOf(rows[1].example), std::string("a399"));
    QCOMPARE(rows[1].questionKey, questionKey(rows[1].example));
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->counts().rows, 0);
    QCOMPARE(dataset->counts().badRows, 0);
    QVERIFY(dataset->badRows().empty());
    QVERIFY(dataset->importInfo().empty());
    QVERIFY(dataset->redo());
    QCOMPARE(dataset->counts().train, 320);
    QCOMPARE(dataset->counts().badRows, 1);
}

void TestDataset::importIsAllOrNothing()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(dataset->import({written(folder / "a.jsonl", questionLines(10))}, {}, {}, {}, {}));
    const auto before = seen(*dataset);
    const auto broken = written(folder / "b.csv", "question,answer\nx,y\nz,\"open\n");
    QVERIFY(!dataset->import({broken}, {}, {}, {}, {}));
    QCOMPARE(seen(*dataset), before);
    std::stop_source stop;
    const auto stopped = dataset->import(
        {written(folder / "c.jsonl", questionLines(3000))}, {}, {},
        [&](std::int64_t, double) { stop.request_stop(); }, stop.get_token());
    QVERIFY(!stopped);
    QVERIFY(stopped.error().code == ErrorCode::Cancelled);
    QCOMPARE(seen(*dataset), before);
    QCOMPARE(dataset->undoName(), std::string("import 10 rows"));
}

void TestDataset::importFollowsTwinsOfEarlierRows()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(dataset->import({written(folder / "a.jsonl", questionLines(100))}, {}, {}, {}, {}));
    QByteArray more;
    for (int i = 0; i < 100; ++i)
        more += "{\"question\":\"q" + QByteArray::number(i) + "\",\"answer\":\"other\"}\n";
    data::SplitPlan plan;
    plan.seed = 7;
    QVERIFY(dataset->import({written(folder / "b.jsonl", more)}, {}, plan, {}, {}));
    const auto rows = dataset->rows({}, 0, 200);
    for (std::size_t i = 0; i < 100; ++i)
        QVERIFY(rows[i].split == rows[i + 100].split);
    QCOMPARE(dataset->counts().leaks, 0);
}

void TestDataset::statedSplitsHold()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    const auto file = written(folder / "t.csv",
                              "question,answer,split\nq,a,test\nq,b,\nr,c,validation\ns,d,train\n");
    QVERIFY(dataset->import({file}, {}, {}, {}, {}));
    const auto rows = dataset->rows({}, 0, 10);
    QVERIFY(rows[0].split == data::Split::Test);
    QVERIFY(rows[1].split == data::Split::Test);
    QVERIFY(rows[2].split == data::Split::Validation);
    QVERIFY(rows[3].split == data::Split::Train);
}

void TestDataset::health()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    const auto add = [&](const char* asked, const char* answer, data::Split split) {
        return dataset->add(question(asked, answer), split).value();
    };
    const auto a = add("one", "x", data::Split::Train);
    const auto b = add(" one ", "x", data::Split::Train); // doubled
    const auto c = add("one", "y", data::Split::Test);    // leak
    const auto d = add("two", "", data::Split::Train);    // empty
    auto counts = dataset->counts();
    QCOMPARE(counts.doubled, 1);
    QCOMPARE(counts.leaks, 1);
    QCOMPARE(counts.empty, 1);
    RowFilter filter;
    filter.health = "doubled";
    QCOMPARE(idsOf(*dataset, filter), std::vector<std::int64_t>{b});
    filter.health = "leaks";
    QCOMPARE(idsOf(*dataset, filter), std::vector<std::int64_t>{c});
    filter.health = "empty";
    QCOMPARE(idsOf(*dataset, filter), std::vector<std::int64_t>{d});
    // Dropping the first of two equal rows makes the second the only one.
    QVERIFY(dataset->drop({a}));
    QCOMPARE(dataset->counts().doubled, 0);
    QCOMPARE(dataset->counts().leaks, 1);
    QVERIFY(dataset->drop({b}));
    QCOMPARE(dataset->counts().leaks, 0);
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->counts().leaks, 1);
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->counts().doubled, 1);
    QVERIFY(dataset->update(d, question("two", "z")));
    QCOMPARE(dataset->counts().empty, 0);
    QVERIFY(dataset->setSplit({c}, data::Split::Train));
    QCOMPARE(dataset->counts().leaks, 0);
    // The marks agree with a check from scratch.
    std::vector<data::Example> examples;
    std::vector<data::Split> splits;
    for (const auto& row : dataset->rows({}, 0, 100)) {
        examples.push_back(row.example);
        splits.push_back(row.split);
    }
    QCOMPARE(data::checkSplits(examples, splits).leaks.size(), std::size_t{0});
    QCOMPARE(data::checkSplits(examples, splits).duplicates.size(), std::size_t{1});
}

void TestDataset::search_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<int>("found");
    QTest::newRow("nothing") << "" << 4;
    QTest::newRow("one word") << "letter" << 2;
    QTest::newRow("start of the last word") << "let" << 2;
    QTest::newRow("a finished word") << "let " << 0;
    QTest::newRow("all words, any order") << "urgent letter" << 1;
    QTest::newRow("in the answer") << "summary" << 1;
    QTest::newRow("without accents") << "uber" << 1;
    QTest::newRow("signs of the query language") << "letter AND NOT \" ( * :" << 0;
    QTest::newRow("signs alone") << "\" - *" << 4;
    QTest::newRow("quoted") << "\"letter\"" << 2;
    QTest::newRow("column filter is text") << "question:letter" << 0;
}

void TestDataset::search()
{
    QFETCH(QString, text);
    QFETCH(int, found);
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    for (const auto& [asked, answer] :
         std::vector<std::pair<std::string, std::string>>{{"an urgent letter", "yes"},
                                                          {"a letter", "summary"},
                                                          {"über alles", "no"},
                                                          {"other", "thing"}})
        QVERIFY(dataset->add(question(asked, answer), data::Split::Train));
    RowFilter filter;
    filter.text = text.toStdString();
    QCOMPARE(dataset->count(filter), found);
    QCOMPARE(int(dataset->rows(filter, 0, 100).size()), found);
    // The index follows edits and their undo.
    QVERIFY(dataset->update(1, question("changed", "words")));
    filter.text = "urgent";
    QCOMPARE(dataset->count(filter), 0);
    filter.text = "changed";
    QCOMPARE(dataset->count(filter), 1);
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->count(filter), 0);
    filter.text = "urgent";
    QCOMPARE(dataset->count(filter), 1);
}

void TestDataset::editsAndUndo()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(20))}, {}, {}, {}, {}));
    QVERIFY(dataset->drop({1, 2, 3, 3}));
    QCOMPARE(dataset->undoName(), std::string("drop 3 rows"));
    QCOMPARE(dataset->counts().leftOut, 3);
    RowFilter dropped;
    dropped.leftOut = true;
    QCOMPARE(idsOf(*dataset, dropped), (std::vector<std::int64_t>{1, 2, 3}));
    QVERIFY(dataset->restore({2}));
    QCOMPARE(dataset->undoName(), std::string("restore 1 row"));
    QVERIFY(dataset->setSplit({5, 6}, data::Split::Test));
    data::SplitPlan plan;
    plan.seed = 99;
    QVERIFY(dataset->splitAgain(plan));
    QCOMPARE(dataset->counts().train, 14); // 18 rows: 14.4, 1.8, 1.8
    const auto id = dataset->add(question("new", "row"), data::Split::Test);
    QVERIFY(id);
    QVERIFY(dataset->update(*id, question("newer", "row")));
    QCOMPARE(questionOf(dataset->row(*id)->example), std::string("newer"));
    QVERIFY(dataset->undo());
    QCOMPARE(questionOf(dataset->row(*id)->example), std::string("new"));
    QVERIFY(dataset->undo());
    QVERIFY(!dataset->row(*id));
    QCOMPARE(dataset->redoName(), std::string("add 1 row"));
    QVERIFY(dataset->redo());
    QVERIFY(dataset->redo());
    QCOMPARE(questionOf(dataset->row(*id)->example), std::string("newer"));
    QVERIFY(!dataset->redo());
    // An edit that changes nothing is no entry.
    const auto name = dataset->undoName();
    QVERIFY(dataset->update(*id, question("newer", "row")));
    QVERIFY(dataset->restore({5}));
    QCOMPARE(dataset->undoName(), name);
}

void TestDataset::undoSurvivesReopening()
{
    const QTemporaryDir folder;
    std::string before;
    {
        const auto dataset = fresh(folder);
        QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(5))}, {}, {}, {}, {}));
        before = seen(*dataset);
        QVERIFY(dataset->drop({1}));
        QVERIFY(dataset->update(2, question("x", "y")));
        QVERIFY(dataset->undo());
    }
    const auto dataset = Dataset::open(folder / "rows.db").value();
    QCOMPARE(dataset->redoName(), std::string("edit 1 row"));
    QCOMPARE(dataset->undoName(), std::string("drop 1 row"));
    QVERIFY(dataset->undo());
    QCOMPARE(seen(*dataset), before);
}

void TestDataset::newEditEndsRedo()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    const auto first = dataset->add(question("word", "x"), data::Split::Train).value();
    QVERIFY(dataset->undo());
    const auto second = dataset->add(question("other", "x"), data::Split::Train).value();
    QVERIFY(second > first); // numbers are never used again
    QVERIFY(dataset->redoName().empty());
    RowFilter filter;
    filter.text = "word";
    QCOMPARE(dataset->count(filter), 0);
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->counts().rows, 0);
}

void TestDataset::undoRedoProperty()
{
    // Random edits; after each, the visible state is remembered. Walking the stack down and up
    // again must show every one of them.
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        const QTemporaryDir folder;
        const auto dataset = fresh(folder);
        QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(12))}, {}, {}, {}, {}));
        const Rng rng(seed, "undo test");
        std::vector<std::string> states = {seen(*dataset)};
        std::size_t at = 0;
        for (std::uint64_t i = 0; i < 60; ++i) {
            const auto pick = rng.block(i, 0);
            RowFilter filter;
            filter.leftOut = pick[2] % 4 == 0;
            const auto ids = idsOf(*dataset, filter);
            const auto id = ids.empty() ? 0 : ids[pick[1] % ids.size()];
            const auto before = seen(*dataset);
            switch (pick[0] % 8) {
            case 0:
                QVERIFY(dataset->add(question("q" + std::to_string(pick[1] % 5), "n"),
                                     data::Split::Test));
                break;
            case 1:
                if (id != 0)
                    QVERIFY(dataset->update(
                        id, question("q" + std::to_string(pick[1] % 7), pick[3] % 2 ? "" : "u")));
                break;
            case 2:
                if (id != 0)
                    QVERIFY(dataset->drop({id, ids.front()}));
                break;
            case 3:
                if (id != 0)
                    QVERIFY(dataset->restore({id}));
                break;
            case 4:
                if (id != 0)
                    QVERIFY(dataset->setSplit({id}, static_cast<data::Split>(pick[3] % 3)));
                break;
            case 5: {
                data::SplitPlan plan;
                plan.seed = pick[3];
                QVERIFY(dataset->splitAgain(plan));
                break;
            }
            default:
                if (pick[3] % 2 == 0 && at > 0) {
                    QVERIFY(dataset->undo());
                    QCOMPARE(seen(*dataset), states[--at]);
                } else if (at + 1 < states.size()) {
                    QVERIFY(dataset->redo());
                    QCOMPARE(seen(*dataset), states[++at]);
                }
                continue;
            }
            if (const auto now = seen(*dataset); now != before) {
                states.resize(at + 1);
                states.push_back(now);
                ++at;
            }
        }
        for (; at > 0; --at) {
            QCOMPARE(seen(*dataset), states[at]);
            QVERIFY(dataset->undo());
        }
        QCOMPARE(seen(*dataset), states[0]);
        for (; at + 1 < states.size(); ++at) {
            QVERIFY(dataset->redo());
            QCOMPARE(seen(*dataset), states[at + 1]);
        }
    }
}

void TestDataset::versionsAreImmutable()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(!dataset->snapshot());
    QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(10))}, {}, {}, {}, {}));
    const auto first = dataset->snapshot();
    QVERIFY(first);
    QCOMPARE(first->number, 1);
    QCOMPARE(first->counts.rows, 10);
    QCOMPARE(dataset->snapshot()->number, 1);
    QVERIFY(dataset->update(1, question("changed", "a")));
    QVERIFY(dataset->drop({2}));
    QVERIFY(dataset->setSplit({3}, data::Split::Test));
    const auto second = dataset->snapshot();
    QVERIFY(second);
    QCOMPARE(second->number, 2);
    QVERIFY(second->digest != first->digest);
    const auto old = dataset->rowsOf(1, {});
    QVERIFY(old);
    QCOMPARE(old->size(), std::size_t{10});
    QCOMPARE(questionOf(old->front().example), std::string("q0"));
    QVERIFY(!old->at(1).leftOut);
    const auto test = dataset->rowsOf(1, data::Split::Test);
    QCOMPARE(std::int64_t(test->size()), first->counts.test);
    QCOMPARE(dataset->rowsOf(2, {})->size(), std::size_t{9});
    QVERIFY(!dataset->rowsOf(3, {}));
    QCOMPARE(dataset->versions().size(), std::size_t{2});
    QCOMPARE(dataset->versions()[1].counts.rows, 9);
}

void TestDataset::undoBringsBackTheDigest()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(10))}, {}, {}, {}, {}));
    const auto first = dataset->snapshot().value();
    QVERIFY(dataset->drop({1, 2, 3}));
    QVERIFY(dataset->snapshot()->digest != first.digest);
    QVERIFY(dataset->undo());
    QCOMPARE(dataset->snapshot()->digest, first.digest);
    QCOMPARE(dataset->snapshot()->number, first.number);
    // The same file gives the same digest in another dataset.
    const auto other = fresh(folder, "other.db");
    QVERIFY(other->import({folder / "t.jsonl"}, {}, {}, {}, {}));
    QCOMPARE(other->snapshot()->digest, first.digest);
}

void TestDataset::errors()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    const auto id = dataset->add(question("q", "a"), data::Split::Train).value();
    const auto before = seen(*dataset);
    QVERIFY(!dataset->drop({id, 77}));
    QVERIFY(!dataset->update(77, question("x", "y")));
    QVERIFY(dataset->row(77).error().code == ErrorCode::NotFound);
    QCOMPARE(seen(*dataset), before); // a list with one wrong row changes nothing
    QVERIFY(dataset->drop({id}));     // and the dataset works on
    QVERIFY(dataset->drop({}));
    QVERIFY(isNetworkFileSystem(0x6969));
    QVERIFY(isNetworkFileSystem(static_cast<long>(0xFF534D42)));
    QVERIFY(!isNetworkFileSystem(0xEF53));
}

void TestDataset::damagedFiles()
{
    const QTemporaryDir folder;
    const auto text =
        written(folder / "text.db", "this is no database, it is a text of some length\n");
    auto opened = Dataset::open(text);
    QVERIFY(!opened);
    QVERIFY(opened.error().code == ErrorCode::InvalidInput);
    written(folder / "empty.db", "");
    QVERIFY(!Dataset::open(folder / "empty.db"));
    {
        const auto dataset = fresh(folder);
        QVERIFY(dataset->add(question("q", "a"), data::Split::Train));
        auto database = Database::open(folder / "rows.db", Durability::Full).value();
        QVERIFY(database->exec("PRAGMA user_version = 99"));
    }
    opened = Dataset::open(folder / "rows.db");
    QVERIFY(!opened);
    QCOMPARE(opened.error().what,
             std::string("this dataset was made by a newer version of the program"));
}

void TestDataset::twoConnectionsSeeEachOther()
{
    const QTemporaryDir folder;
    const auto one = fresh(folder);
    const auto other = Dataset::open(folder / "rows.db").value();
    QCOMPARE(other->counts().rows, 0);
    const auto id = one->add(question("q", "a"), data::Split::Train).value();
    QCOMPARE(other->counts().rows, 1);
    QCOMPARE(other->undoName(), std::string("add 1 row"));
    QVERIFY(other->drop({id}));
    QCOMPARE(one->counts().leftOut, 1);
    QVERIFY(one->undo());
    QCOMPARE(seen(*one), seen(*other));
}

void TestDataset::readsWhileAnImportWrites()
{
    const QTemporaryDir folder;
    const auto dataset = fresh(folder);
    QVERIFY(dataset->add(question("q", "a"), data::Split::Train));
    const auto file = written(folder / "t.jsonl", questionLines(5000));
    std::atomic<int> reads = 0;
    const auto report =
        dataset->import({file}, {}, {},
                        [&](std::int64_t, double) {
                            // Called from inside the import: a lock held by it would hang here.
                            if (dataset->counts().rows == 1 && dataset->rows({}, 0, 10).size() == 1)
                                ++reads;
                        },
                        {});
    QVERIFY(report);
    QVERIFY(reads > 0);
    QCOMPARE(dataset->counts().rows, 5001);
}

QTEST_APPLESS_MAIN(TestDataset)
#include "test_dataset.moc"

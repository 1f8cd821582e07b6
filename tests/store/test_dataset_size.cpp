// Sanity at 100,000 rows: everything works and says how long it took; times are not judged.

#include "store/dataset.h"
#include "store_help.h"

#include <QElapsedTimer>
#include <QtTest>

using namespace fettle;
using namespace fettle::store;

class TestDatasetSize : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void hundredThousandRows();
};

void TestDatasetSize::hundredThousandRows()
{
    const QTemporaryDir folder;
    const auto dataset = Dataset::create(folder / "rows.db", "letters").value();
    QElapsedTimer timer;
    timer.start();
    QVERIFY(dataset->import({written(folder / "t.jsonl", questionLines(100000))}, {}, {}, {}, {}));
    qInfo("import of 100,000 rows: %lld ms", timer.restart());
    QCOMPARE(dataset->counts().rows, 100000);
    QCOMPARE(dataset->counts().train, 80000);
    timer.restart();
    QCOMPARE(dataset->rows({}, 99990, 50).size(), std::size_t{10});
    qInfo("first page: %lld ms", timer.restart());
    for (int i = 0; i < 200; ++i)
        QCOMPARE(dataset->rows({}, (i * 7919) % 99000, 50).size(), std::size_t{50});
    qInfo("200 pages: %lld ms", timer.restart());
    QVERIFY(dataset->drop({50000}));
    QCOMPARE(dataset->counts().rows, 99999);
    QCOMPARE(dataset->rows({}, 49999, 1).front().id, 50001);
    qInfo("edit, count and page: %lld ms", timer.restart());
    QVERIFY(dataset->snapshot());
    qInfo("snapshot: %lld ms", timer.restart());
    data::SplitPlan plan;
    plan.seed = 2;
    QVERIFY(dataset->splitAgain(plan));
    qInfo("split again: %lld ms", timer.restart());
    QVERIFY(dataset->undo());
    qInfo("undo of it: %lld ms", timer.restart());
    RowFilter filter;
    filter.text = "q777";
    QVERIFY(dataset->count(filter) > 100);
    qInfo("search: %lld ms", timer.restart());
    QCOMPARE(dataset->rowsOf(1, data::Split::Train)->size(),
             std::size_t(dataset->versions()[0].counts.train));
    qInfo("rows of a version: %lld ms", timer.restart());
}

QTEST_APPLESS_MAIN(TestDatasetSize)
#include "test_dataset_size.moc"

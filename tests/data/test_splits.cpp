#include "base/rng.h"
#include "data/splits.h"

#include <QtTest>
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

using namespace fettle;
using namespace fettle::data;

namespace {

Example row(const std::string& question, const std::string& group = {},
            const std::string& label = "x")
{
    Example example;
    example.kind = RecordKind::Labelled;
    example.text = question;
    example.label = label;
    example.group = group;
    return example;
}

std::vector<Example> rows(int count, int groups = 0, int classes = 1)
{
    std::vector<Example> list;
    for (int i = 0; i < count; ++i)
        list.push_back(row("question " + std::to_string(i),
                           groups > 0 ? "group " + std::to_string(i % groups) : std::string(),
                           "class " + std::to_string(std::int64_t{i} * i % classes)));
    return list;
}

std::array<std::int64_t, 3> sizes(const std::vector<Split>& splits)
{
    std::array<std::int64_t, 3> counts{};
    for (const auto split : splits)
        ++counts[static_cast<std::size_t>(split)];
    return counts;
}

} // namespace

class TestSplits : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sharesAreParsed_data();
    void sharesAreParsed();
    void sharesAreExact_data();
    void sharesAreExact();
    void orderOfRowsDoesNotMatter();
    void seedMatters();
    void addingRowsMovesFew();
    void twinsStayTogether();
    void groupsStayTogether();
    void fewLargeGroupsLeaveNoSplitEmpty();
    void classesKeepTheirShares();
    void leaksAndDoublesAreFound();
};

void TestSplits::sharesAreParsed_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<double>("train");
    QTest::newRow("usual") << "80/10/10" << 0.8;
    QTest::newRow("blanks") << " 70 / 15 / 15 " << 0.7;
    QTest::newRow("fractions") << "0.5/0.25/0.25" << 0.5;
    QTest::newRow("all for training") << "100/0/0" << 1.0;
    QTest::newRow("not 100") << "80/10/20" << -1.0;
    QTest::newRow("two") << "80/20" << -1.0;
    QTest::newRow("words") << "a/b/c" << -1.0;
    QTest::newRow("negative") << "120/-10/-10" << -1.0;
    QTest::newRow("nothing to train on") << "0/50/50" << -1.0;
    QTest::newRow("not a number") << "nan/50/50" << -1.0;
    QTest::newRow("trailing letters") << "80x/10/10" << -1.0;
}

void TestSplits::sharesAreParsed()
{
    QFETCH(QString, text);
    QFETCH(double, train);
    const auto shares = parseShares(text.toStdString());
    QCOMPARE(bool(shares), train > 0);
    if (shares)
        QCOMPARE((*shares)[0], train);
    else
        QVERIFY(shares.error().code == ErrorCode::InvalidInput);
}

void TestSplits::sharesAreExact_data()
{
    QTest::addColumn<int>("count");
    QTest::addColumn<int>("train");
    QTest::addColumn<int>("validation");
    QTest::addColumn<int>("test");
    // Largest remainder by hand: 403 * 0.8 = 322.4, 40.3, 40.3 -> the odd one goes to training.
    QTest::newRow("400") << 400 << 320 << 40 << 40;
    QTest::newRow("403") << 403 << 323 << 40 << 40;
    QTest::newRow("15") << 15 << 12 << 2
                        << 1; // 12, 1.5, 1.5: equal remainders, the earlier split first
    QTest::newRow("1") << 1 << 1 << 0 << 0;
    QTest::newRow("0") << 0 << 0 << 0 << 0;
    QTest::newRow("100,000") << 100000 << 80000 << 10000 << 10000;
}

void TestSplits::sharesAreExact()
{
    QFETCH(int, count);
    QFETCH(int, train);
    QFETCH(int, validation);
    QFETCH(int, test);
    const auto counts = sizes(assignSplits(rows(count), SplitPlan{}));
    QCOMPARE(counts[0], train);
    QCOMPARE(counts[1], validation);
    QCOMPARE(counts[2], test);
}

void TestSplits::orderOfRowsDoesNotMatter()
{
    for (const bool byGroup : {false, true}) {
        for (const bool proportional : {false, true}) {
            const SplitPlan plan{{0.7, 0.15, 0.15}, 3, byGroup, proportional};
            const auto list = rows(500, 90, 7);
            const auto splits = assignSplits(list, plan);
            const auto order = Rng(5, "test").permutation(500, 0);
            std::vector<Example> shuffled;
            for (const auto i : order)
                shuffled.push_back(list[i]);
            const auto again = assignSplits(shuffled, plan);
            for (std::size_t i = 0; i < order.size(); ++i)
                QVERIFY(again[i] == splits[order[i]]);
        }
    }
}

void TestSplits::seedMatters()
{
    const auto list = rows(200);
    SplitPlan plan;
    const auto first = assignSplits(list, plan);
    QVERIFY(first == assignSplits(list, plan));
    plan.seed = 43;
    QVERIFY(first != assignSplits(list, plan));
}

void TestSplits::addingRowsMovesFew()
{
    const auto list = rows(1100);
    const auto before = assignSplits(std::span(list).first(1000), SplitPlan{});
    const auto after = assignSplits(list, SplitPlan{});
    int moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
        moved += before[i] != after[i];
    // The order of hashes is the same; only rows near a border change their side.
    QVERIFY2(moved < 60, qPrintable(QString::number(moved)));
}

void TestSplits::twinsStayTogether()
{
    auto list = rows(300);
    for (int i = 0; i < 100; ++i)
        list.push_back(row("  question   " + std::to_string(i), {}, "another answer"));
    const auto splits = assignSplits(list, SplitPlan{});
    for (std::size_t i = 0; i < 100; ++i)
        QVERIFY(splits[300 + i] == splits[i]);
    QVERIFY(checkSplits(list, splits).leaks.empty());
    // Also where the border of a split falls among them: 70 rows, 7 wanted, 10 twins each.
    std::vector<Example> tens;
    for (int i = 0; i < 70; ++i)
        tens.push_back(row("question " + std::to_string(i % 7), {}, "answer " + std::to_string(i)));
    const auto sides = assignSplits(tens, SplitPlan{});
    QVERIFY(checkSplits(tens, sides).leaks.empty());
    QCOMPARE(sizes(sides)[2], 10);
}

void TestSplits::groupsStayTogether()
{
    auto list = rows(1000, 120);
    list.push_back(
        row("question 5", "group 90")); // a twin of a row of group 5: both groups become one
    SplitPlan plan;
    plan.byGroup = true;
    const auto splits = assignSplits(list, plan);
    std::map<std::string, std::set<Split>> seen;
    for (std::size_t i = 0; i < list.size(); ++i)
        seen[list[i].group].insert(splits[i]);
    for (const auto& [group, sides] : seen)
        QVERIFY2(sides.size() == 1, group.c_str());
    QCOMPARE(seen["group 5"], seen["group 90"]);
    const auto counts = sizes(splits);
    QVERIFY(std::abs(counts[1] - 100) <= 9);
    QVERIFY(std::abs(counts[2] - 100) <= 9);
}

void TestSplits::fewLargeGroupsLeaveNoSplitEmpty()
{
    SplitPlan plan;
    plan.byGroup = true;
    const auto counts = sizes(assignSplits(rows(90, 3), plan));
    QCOMPARE(counts[0], 30);
    QCOMPARE(counts[1], 30);
    QCOMPARE(counts[2], 30);
    const auto two = sizes(assignSplits(rows(90, 2), plan));
    QCOMPARE(two[0], 45);
    const auto one = sizes(assignSplits(rows(90, 1), plan));
    QCOMPARE(one[0], 90);
}

void TestSplits::classesKeepTheirShares()
{
    std::vector<Example> list;
    const std::map<std::string, int> classes = {
        {"common", 300}, {"rare", 20}, {"middle", 79}, {"alone", 1}};
    for (const auto& [label, count] : classes) {
        for (int i = 0; i < count; ++i)
            list.push_back(row(label + std::to_string(i), {}, label));
    }
    SplitPlan plan;
    plan.proportional = true;
    const auto splits = assignSplits(list, plan);
    std::map<std::string, std::array<int, 3>> counts;
    for (std::size_t i = 0; i < list.size(); ++i)
        ++counts[list[i].label][static_cast<std::size_t>(splits[i])];
    QCOMPARE(counts["common"][2], 30);
    QCOMPARE(counts["rare"][2], 2);
    QCOMPARE(counts["rare"][1], 2);
    QCOMPARE(counts["middle"][2], 8);
    QCOMPARE(counts["alone"][0], 1);
    QCOMPARE(sizes(splits)[2], 40);
}

void TestSplits::leaksAndDoublesAreFound()
{
    const std::vector<Example> list = {row("a"), row("b"), row("a "), row("b", {}, "y"), row("c")};
    const std::vector<Split> splits = {Split::Train, Split::Test, Split::Validation, Split::Train,
                                       Split::Test};
    const auto report = checkSplits(list, splits);
    QCOMPARE(report.duplicates, (std::vector<std::vector<std::size_t>>{{0, 2}}));
    QCOMPARE(report.leaks, (std::vector<std::pair<std::size_t, std::size_t>>{{0, 2}, {3, 1}}));
}

QTEST_APPLESS_MAIN(TestSplits)
#include "test_splits.moc"

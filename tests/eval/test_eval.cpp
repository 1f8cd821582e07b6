#include "eval/answer_text.h"
#include "eval/compare.h"
#include "eval/intervals.h"
#include "eval/resample.h"
#include "eval/rouge.h"
#include "eval/score.h"

#include <QtTest>
#include <cmath>
#include <set>

using namespace fettle;
using namespace fettle::eval;

namespace {

constexpr double kExact = 1e-9;

bool near(double a, double b, double tolerance = kExact)
{
    return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

#define QNEAR(actual, expected)                                                                    \
    QVERIFY2(                                                                                      \
        near(actual, expected),                                                                    \
        qPrintable(QString("%1 is not %2").arg(actual, 0, 'g', 12).arg(expected, 0, 'g', 12)))

/// Static, so that loops may run over a part of it.
const Json& golden()
{
    static const Json json =
        readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/eval.json").value();
    return json;
}

/// One row per letter: the true class and the said one.
std::vector<RowPrediction> classRows(const std::string& truth, const std::string& said)
{
    std::vector<RowPrediction> rows;
    for (std::size_t i = 0; i < truth.size(); ++i)
        rows.push_back({static_cast<std::int64_t>(i), std::string(1, truth[i]),
                        std::string(1, said[i]), 0, 0, true});
    return rows;
}

std::vector<RowPrediction> lossRows(const std::vector<std::pair<double, std::int64_t>>& figures)
{
    std::vector<RowPrediction> rows;
    for (const auto& [loss, tokens] : figures)
        rows.push_back({static_cast<std::int64_t>(rows.size()), "x", "", loss, tokens, false});
    return rows;
}

double scoreById(const std::string& id, const std::vector<RowPrediction>& rows)
{
    return scoreOf(*findMetric(id)->prepare(rows));
}

double rougeF1(const std::string& id, const std::string& reference, const std::string& prediction)
{
    return scoreById(id, {{0, reference, prediction, 0, 0, true}});
}

/// Resample indices that are given, not drawn.
NextResample fixedResamples(std::vector<std::vector<std::uint32_t>> all)
{
    return [all = std::move(all), at = std::size_t(0)](std::span<std::uint32_t> indices) mutable {
        std::ranges::copy(all[at++ % all.size()], indices.begin());
    };
}

} // namespace

class TestEval : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void everyMetricHasAGoodSpec();
    void randomNumbersAreTheStatedOnes();
    void textsAsInPython();
    void classesAsInScikitLearn();
    void rougeGoldens();
    void stems_data();
    void stems();
    void lossesAreSumsOverTokens();
    void wilson();
    void quantilesInterpolate();
    void student();
    void mcnemar();
    void bootstrapOfGivenResamples();
    void bootstrapIsRepeatable();
    void pairedBootstrap();
    void comparisonRefusesOtherRows();
    void suggestionsFollowTheData();
    void classesAreRecognised();
    void predictionsSurviveJson();
};

void TestEval::everyMetricHasAGoodSpec()
{
    std::set<std::string> ids;
    const std::vector<RowPrediction> rows = {{1, "red", "red", 1, 2, true},
                                             {2, "blue", "red", 3, 1, true}};
    for (const auto& metric : metrics()) {
        const auto spec = metric->spec();
        QVERIFY2(ids.insert(spec.id).second, spec.id.c_str());
        QVERIFY2(!spec.title.empty() && spec.help.ends_with('.') && !spec.source.empty(),
                 spec.id.c_str());
        const double value = scoreOf(*metric->prepare(rows));
        QVERIFY2(value >= spec.low && value <= spec.high, spec.id.c_str());
        QCOMPARE(findMetric(spec.id), metric.get());
    }
    QVERIFY(ids.size() >= 13);
    QCOMPARE(findMetric("no such"), nullptr);
}

void TestEval::randomNumbersAreTheStatedOnes()
{
    Xoshiro256 random(42);
    for (const auto& expected : golden()["xoshiro256 seed 42"])
        QCOMPARE(std::to_string(random.next()), expected.get<std::string>());
}

void TestEval::textsAsInPython()
{
    for (const auto& text : golden()["texts"]) {
        const auto reference = text["reference"].get<std::string>(),
                   given = text["prediction"].get<std::string>();
        QCOMPARE(squadNormalised(given), text["normalised"].get<std::string>());
        QCOMPARE(scoreById("exactMatch", {{0, reference, given, 0, 0, true}}),
                 text["match"].get<bool>() ? 1.0 : 0.0);
        QNEAR(rougeF1("tokenF1", reference, given), text["f1"].get<double>());
        QNEAR(rougeF1("rougeL", reference, given), text["rougeL"].get<double>());
    }
    QCOMPARE(rougeF1("exactMatchRaw", "the", "The"), 0.0);
    QCOMPARE(rougeF1("exactMatchRaw", "the", "the"), 1.0);
}

void TestEval::classesAsInScikitLearn()
{
    for (const auto& set : golden()["classes"]) {
        const auto rows =
            classRows(set["truth"].get<std::string>(), set["said"].get<std::string>());
        for (const char* id : {"accuracy", "balancedAccuracy", "macroF1"})
            QNEAR(scoreById(id, rows), set[id].get<double>());
        // Forty resamples by the same generator, each scored by scikit-learn.
        const auto interval =
            bootstrapInterval(*findMetric("macroF1")->prepare(rows), 40, randomResamples(11));
        QNEAR(interval.low, set["macroF1Interval"][0].get<double>());
        QNEAR(interval.high, set["macroF1Interval"][1].get<double>());
    }
    // Published values of scikit-learn 1.2.1: macro-F1 over the union of classes.
    const auto rows = classRows("aaaabbbccd", "aabcbbacea");
    QNEAR(scoreById("accuracy", rows), 0.5);
    QVERIFY(near(scoreById("balancedAccuracy", rows), 0.4166666667, 1e-9));
    QVERIFY(near(scoreById("macroF1", rows), 0.3333333333, 1e-9));
    QCOMPARE(scoreById("accuracy", {{0, "red", " red\n", 0, 0, true}}), 1.0);
}

void TestEval::rougeGoldens()
{
    const std::string reference =
        "The trial enrolled 120 patients.\nMortality was lower with treatment, but the "
        "evidence is uncertain.";
    const std::string given =
        "120 patients were enrolled in the trials.\nThe treatment lowered mortality; evidence "
        "remained uncertain.";
    for (const bool stem : {false, true}) {
        const auto wanted = rougeTokens(reference, stem), words = rougeTokens(given, stem);
        const auto check = [&](const PrecisionRecall& found, double p, double r, double f) {
            return near(found.precision, p) && near(found.recall, r) && near(found.f1(), f);
        };
        QVERIFY(stem ? check(rougeN(wanted, words, 1), 0.7857142857, 0.7333333333, 0.7586206897)
                     : check(rougeN(wanted, words, 1), 0.6428571429, 0.6, 0.6206896552));
        QVERIFY(stem ? check(rougeN(wanted, words, 2), 0.1538461538, 0.1428571429, 0.1481481481)
                     : check(rougeN(wanted, words, 2), 0.0769230769, 0.0714285714, 0.0740740741));
        QVERIFY(check(rougeL(wanted, words), 0.3571428571, 0.3333333333, 0.3448275862));
        const auto sum = rougeLsum(reference, given, stem);
        QVERIFY(stem ? check(sum, 0.4285714286, 0.4, 0.4137931034)
                     : check(sum, 0.5, 0.4666666667, 0.4827586207));
    }
    QNEAR(rougeF1("rouge1", "police killed the gunman", "the gunman police killed"), 1.0);
    QNEAR(rougeF1("rouge2", "police killed the gunman", "the gunman police killed"), 2.0 / 3);
    QNEAR(rougeF1("rougeL", "police killed the gunman", "the gunman police killed"), 0.5);
    QNEAR(rougeF1("rougeL", "police killed the gunman", "police kill the gunman"), 0.75);
    QNEAR(rougeF1("rougeL-stem", "police killed the gunman", "police kill the gunman"), 1.0);
    QCOMPARE(rougeF1("rougeL", "हिन्दी भाषा", "हिन्दी भाषा"), 0.0); // no word in google's sense
    QCOMPARE(rougeF1("rougeL-u", "हिन्दी भाषा", "हिन्दी भाषा"), 1.0);
}

void TestEval::stems_data()
{
    QTest::addColumn<QString>("word");
    QTest::addColumn<QString>("stem");
    // Values of nltk 3.8.
    const QString pairs =
        "flies fli dies die died die dying die skies sky innings inning happily happili "
        "enjoyment enjoy generalization gener organization organ archaeology archaeolog "
        "geology geolog fully fulli hopefully hope spied spi agreed agre feed feed oed o "
        "falling fall filing file hopping hop controll control rational ration "
        "conditional condit studies studi";
    const auto words = pairs.split(' ');
    for (qsizetype i = 0; i + 1 < words.size(); i += 2)
        QTest::newRow(qPrintable(words[i])) << words[i] << words[i + 1];
}

void TestEval::stems()
{
    QFETCH(QString, word);
    QFETCH(QString, stem);
    QCOMPARE(QString::fromStdString(porterStem(word.toStdString())), stem);
}

void TestEval::lossesAreSumsOverTokens()
{
    const auto rows =
        lossRows({{2.0, 1}, {1.0, 9}}); // 3 nats over 10 tokens, not the mean of 2 and 1/9
    QNEAR(scoreById("loss", rows), 0.3);
    QNEAR(scoreById("perplexity", rows), std::exp(0.3));
}

void TestEval::wilson()
{
    for (const auto& row : golden()["wilson"]) {
        const auto interval =
            wilsonInterval(row[0].get<std::int64_t>(), row[1].get<std::int64_t>());
        QNEAR(interval.low, row[2].get<double>());
        QNEAR(interval.high, row[3].get<double>());
    }
    QVERIFY(near(wilsonInterval(8, 10).low, 0.4901624715, 1e-9));
    QCOMPARE(wilsonInterval(0, 5).low, 0.0);
    QCOMPARE(wilsonInterval(5, 5).high, 1.0);
}

void TestEval::quantilesInterpolate()
{
    const std::vector<double> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    QNEAR(quantile(values, 0.025), 1.225);
    QNEAR(quantile(values, 0.5), 5.5);
    QNEAR(quantile(values, 0.975), 9.775);
    QCOMPARE(quantile(std::vector<double>{4}, 0.975), 4.0);
    QVERIFY(std::isnan(quantile({}, 0.5)));
}

void TestEval::student()
{
    for (const auto& row : golden()["student"])
        QNEAR(studentMultiplier(row[0].get<std::int64_t>()), row[1].get<double>());
    // Three repeats 0.70, 0.72, 0.74: mean 0.72, deviation 0.02, half width 4.302653 * 0.02 /
    // sqrt 3.
    const auto interval = studentInterval(std::vector<double>{0.70, 0.72, 0.74});
    QVERIFY(near(interval.high - 0.72, 4.302652729911275 * 0.02 / std::sqrt(3.0), 1e-9));
    QVERIFY(near(0.72 - interval.low, interval.high - 0.72, 1e-9));
}

void TestEval::mcnemar()
{
    for (const auto& row : golden()["mcnemar"])
        QNEAR(mcnemarExact(row[0].get<std::int64_t>(), row[1].get<std::int64_t>()),
              row[2].get<double>());
    QVERIFY(near(mcnemarExact(10, 3), 0.0922851562, 1e-9));
    QCOMPARE(mcnemarExact(5, 5), 1.0);
}

void TestEval::bootstrapOfGivenResamples()
{
    // Scores of the three resamples: (2 + 2) / 2, (2 + 1) / 10, (1 + 1) / 18.
    const auto prepared = findMetric("loss")->prepare(lossRows({{2.0, 1}, {1.0, 9}}));
    const auto scores = resampledScores(*prepared, 3, fixedResamples({{0, 0}, {0, 1}, {1, 1}}));
    QCOMPARE(scores.size(), std::size_t(3));
    QNEAR(scores[0], 2.0);
    QNEAR(scores[1], 0.3);
    QNEAR(scores[2], 1.0 / 9);
    const auto interval = bootstrapInterval(*prepared, 3, fixedResamples({{0, 0}, {0, 1}, {1, 1}}));
    QNEAR(interval.low, 1.0 / 9 + 0.05 * (0.3 - 1.0 / 9)); // h = 2 * 0.025
    QNEAR(interval.high, 0.3 + 0.95 * (2.0 - 0.3));
}

void TestEval::bootstrapIsRepeatable()
{
    std::vector<RowPrediction> rows;
    for (int i = 0; i < 60; ++i)
        rows.push_back({i, "a b c d", i % 3 ? "a b c" : "x", 10.0 + i % 7, 4, true});
    const auto first = scoreRows(data::RecordKind::Chat, rows),
               second = scoreRows(data::RecordKind::Chat, rows);
    for (std::size_t i = 0; i < first.size(); ++i) {
        QCOMPARE(toJson(first[i]), toJson(second[i]));
        QVERIFY(first[i].low <= first[i].value && first[i].value <= first[i].high);
    }
    const auto other = scoreRows(data::RecordKind::Chat, rows, {.seed = 7});
    QVERIFY(toJson(other[0]) != toJson(first[0]));
    QCOMPARE(other[0].value, first[0].value);
}

void TestEval::pairedBootstrap()
{
    // Differences per row .1 0 .1 -.1 0 .2 .1 .2: mean .075.
    const std::vector<double> base(8, 0.5);
    std::vector<double> model;
    for (const double d : {.1, 0., .1, -.1, 0., .2, .1, .2})
        model.push_back(0.5 + d);
    const auto ours = meanOf(model), theirs = meanOf(base);
    // Means of the differences of the resamples: row 0 only .1, row 3 only -.1, rows 5 and 7 only
    // .2, all .075.
    const std::vector<std::vector<std::uint32_t>> draws = {{0, 0, 0, 0, 0, 0, 0, 0},
                                                           {3, 3, 3, 3, 3, 3, 3, 3},
                                                           {5, 7, 5, 7, 5, 7, 5, 7},
                                                           {0, 1, 2, 3, 4, 5, 6, 7}};
    const auto fixed =
        comparePrepared(*ours, *theirs, Direction::HigherIsBetter, 4, fixedResamples(draws));
    QNEAR(fixed.difference, 0.075);
    QNEAR(fixed.low, -0.1 + 0.075 * 0.175); // h = 3 * 0.025 between -.1 and .075
    QNEAR(fixed.high, 0.1 + 0.925 * 0.1);   // h = 2.925 between .1 and .2
    QNEAR(fixed.p,
          (2 + 1) / 5.0); // mean .06875; |.1 - m| = .03, |-.1 - m| = .17, |.2 - m| = .13, .006
    QVERIFY(fixed.verdict == Verdict::CannotTell);

    std::vector<RowPrediction> good, bad;
    for (int i = 0; i < 50; ++i) {
        good.push_back({i, "yes", i < 45 ? "yes" : "no", 1.0, 2, true});
        bad.push_back({i, "yes", i < 15 ? "yes" : "no", 3.0 + 0.01 * i, 2, true});
    }
    const auto better = compareRows("exactMatch", good, bad);
    QVERIFY(better);
    QVERIFY(better->verdict == Verdict::Better);
    QNEAR(*better->mcnemarP, mcnemarExact(30, 0));
    QVERIFY(compareRows("exactMatch", bad, good)->verdict == Verdict::Worse);
    QVERIFY(compareRows("loss", good, bad)->verdict == Verdict::Better); // lower is better
    QVERIFY(!compareRows("loss", good, bad)->mcnemarP);
    QVERIFY(compareRows("loss", good, good)->verdict == Verdict::CannotTell);
}

void TestEval::comparisonRefusesOtherRows()
{
    auto rows = classRows("aabb", "abab");
    auto other = rows;
    other[2].rowId = 99;
    const auto refused = compareRows("accuracy", rows, other);
    QVERIFY(!refused);
    QVERIFY(refused.error().code == ErrorCode::InvalidInput);
    other = rows;
    other[1].reference = "b";
    QVERIFY(!compareRows("accuracy", rows, other));
    QVERIFY(compareRows("nonsense", rows, rows).error().code == ErrorCode::NotFound);
    QVERIFY(!compareRows("accuracy", {}, {}));
}

void TestEval::suggestionsFollowTheData()
{
    const auto idsOf = [](data::RecordKind kind, const std::vector<RowPrediction>& rows) {
        QStringList ids;
        for (const auto& score : scoreRows(kind, rows, {.resamples = 10}))
            ids << QString::fromStdString(score.id);
        return ids.join(' ');
    };
    auto rows = classRows("aaaabbbb", "aabbaabb");
    QCOMPARE(idsOf(data::RecordKind::Labelled, rows),
             "accuracy macroF1 balancedAccuracy exactMatch");
    rows[0].tokens = 3, rows[0].lossSum = 1.5;
    QCOMPARE(idsOf(data::RecordKind::Labelled, rows),
             "loss perplexity accuracy macroF1 balancedAccuracy exactMatch");
    const std::vector<RowPrediction> free = {{1, "one answer", "one", 2, 3, true},
                                             {2, "and another", "x", 2, 3, true}};
    QCOMPARE(idsOf(data::RecordKind::Chat, free), "loss perplexity exactMatch tokenF1 rougeL");
    const std::vector<RowPrediction> hindi = {{1, "हिन्दी भाषा", "हिन्दी", 2, 3, true}};
    QCOMPARE(idsOf(data::RecordKind::Chat, hindi), "loss perplexity exactMatch tokenF1 rougeL-u");
    QCOMPARE(idsOf(data::RecordKind::Completion, lossRows({{1, 2}})), "loss perplexity");
    QVERIFY(scoreRows(data::RecordKind::Chat, {}).empty());
}

void TestEval::classesAreRecognised()
{
    QVERIFY(looksLikeClasses(classRows("aaaabbbb", "aaaaaaaa")));
    QVERIFY(!looksLikeClasses(classRows("aaaaaaaa", "aaaaaaaa"))); // one answer for all
    QVERIFY(!looksLikeClasses(classRows("abcdefgh", "abcdefgh"))); // each its own
    auto lines = classRows("aaaabbbb", "aaaaaaaa");
    lines[3].reference = "a\nb";
    QVERIFY(!looksLikeClasses(lines));
}

void TestEval::predictionsSurviveJson()
{
    const RowPrediction row{17, "wanted", "given", 3.25, 5, true};
    const auto back = predictionFromJson(toJson(row));
    QVERIFY(back);
    QCOMPARE(back->rowId, row.rowId);
    QCOMPARE(back->prediction, row.prediction);
    QCOMPARE(back->lossSum, row.lossSum);
    QCOMPARE(back->tokens, row.tokens);
    QVERIFY(back->hasAnswer);
    QVERIFY(!predictionFromJson(toJson(RowPrediction{1, "a", "", 1, 2, false}))->hasAnswer);
    QVERIFY(!predictionFromJson(Json::array()));
    QVERIFY(!predictionFromJson({{"row", 1}, {"tokens", 2}, {"lossSum", nullptr}}));
    const auto score =
        scoreFromJson(toJson(Score{"loss", "Loss", 1.5, 1, 2, 4, "x", Direction::LowerIsBetter}));
    QVERIFY(score && score->direction == Direction::LowerIsBetter && score->high == 2);
    QVERIFY(std::isnan(scoreFromJson(toJson(Score{"a", "A", NAN}))->value));
}

QTEST_APPLESS_MAIN(TestEval)
#include "test_eval.moc"

#include "base/rng.h"
#include "base/smoothing.h"
#include "report/axis.h"
#include "report/curve_data.h"
#include "report/curve_image.h"

#include <QtTest>
#include <cmath>
#include <fstream>
#include <set>

using namespace fettle;
using namespace fettle::report;

namespace {

/// A run that falls from 3 to about 1.5 with noise, a warm-up and a cosine.
CurveSeries madeUpRun(const std::string& name, int colour, int steps, double floor)
{
    const Rng rng(static_cast<std::uint64_t>(colour) + 1, "made-up run");
    CurveSeries series{name, colour, {}, {}, {}};
    for (int step = 1; step <= steps; ++step) {
        const double done = static_cast<double>(step) / steps;
        const double noise = 0.35 * (rng.uniform(static_cast<std::uint64_t>(step), 0) - 0.5);
        const double warm = std::min(1.0, done / 0.05);
        store::MetricPoint point{step, floor + 1.6 * std::exp(-5 * done) + noise, step * 900.0,
                                 step * 1.5, 0};
        series.loss.push_back(point);
        point.value = 2e-4 * warm * 0.5 * (1 + std::cos(3.14159 * done));
        series.learningRate.push_back(point);
    }
    for (int i = 0; i <= 8; ++i) {
        const int step = steps * i / 8;
        const double loss = floor + 0.05 + 1.5 * std::exp(-4.4 * i / 8.0) + (i == 8 ? 0.03 : 0);
        series.checks.push_back(
            {step, loss, loss - 0.09, loss + 0.09, 100, 5000, false, step * 1.5, 0});
    }
    return series;
}

std::string bytesOf(const QString& path) { return readFile(path.toStdString()).value(); }

} // namespace

class TestReport : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void smoothingFollowsItsFormula();
    void smoothingKeepsGaps();
    void axesHaveRoundTicks_data();
    void axesHaveRoundTicks();
    void numbersAreShort();
    void stylesDiffer();
    void bestCheckIsRinged();
    void otherAxes();
    void picturesAreWritten_data();
    void picturesAreWritten();
    void curvesLeaveInk();
    void badRequests();

private:
    QTemporaryDir m_folder;
};

void TestReport::smoothingFollowsItsFormula()
{
    const std::vector<double> t = {1, 2, 4, 7}, y = {3, 1, 2, 0};
    const auto found = smoothed(t, y, 2);
    for (std::size_t i = 0; i < t.size(); ++i) {
        double sum = 0, weights = 0;
        for (std::size_t j = 0; j <= i; ++j) {
            const double weight = std::pow(2.0, -(t[i] - t[j]) / 2);
            sum += y[j] * weight;
            weights += weight;
        }
        QVERIFY(std::abs(found[i] - sum / weights) < 1e-12);
    }
    QVERIFY(smoothed(t, y, 0) == y);
}

void TestReport::smoothingKeepsGaps()
{
    const auto found = smoothed(std::vector<double>{1, 2, 3}, std::vector<double>{4, NAN, 2}, 1);
    QCOMPARE(found[0], 4.0);
    QVERIFY(std::isnan(found[1]));
    QVERIFY(std::abs(found[2] - (4 * 0.25 + 2) / 1.25) < 1e-12); // two steps at half-life 1
}

void TestReport::axesHaveRoundTicks_data()
{
    QTest::addColumn<double>("low");
    QTest::addColumn<double>("high");
    QTest::addColumn<QString>("labels");
    QTest::newRow("steps") << 0.0 << 495.0 << "0 100 200 300 400";
    QTest::newRow("loss") << 1.43 << 3.3 << "1.5 2.0 2.5 3.0";
    QTest::newRow("rate") << 0.0 << 2.1e-4 << "0.0 0.5 1.0 1.5 2.0";
    QTest::newRow("pieces") << 0.0 << 48000.0 << "0 10,000 20,000 30,000 40,000";
    QTest::newRow("one value") << 2.0 << 2.0 << "1.90 1.95 2.00 2.05 2.10";
}

void TestReport::axesHaveRoundTicks()
{
    QFETCH(double, low);
    QFETCH(double, high);
    const auto axis = makeAxis(low, high, false, false);
    QStringList labels;
    for (const auto& label : axis.labels)
        labels << QString::fromStdString(label);
    QTEST(labels.join(' '), "labels");
    QVERIFY(axis.ticks.size() >= 4 && axis.ticks.size() <= 7);
    for (const double tick : axis.ticks)
        QVERIFY(tick >= axis.low - 1e-12 && tick <= axis.high + 1e-12);
}

void TestReport::numbersAreShort()
{
    QCOMPARE(shortNumber(1.23456), std::string("1.23"));
    QCOMPARE(shortNumber(0.0123456), std::string("0.0123"));
    QCOMPARE(shortNumber(12345.6), std::string("12,346"));
    QCOMPARE(shortNumber(0.00012), std::string("1.20e-04"));
    QCOMPARE(powerOfTen(-4), std::string("× 10⁻⁴"));
}

void TestReport::stylesDiffer()
{
    std::set<std::pair<std::uint32_t, std::vector<double>>> seen;
    for (int i = 0; i < 16; ++i) {
        const auto style = runStyle(i);
        QVERIFY(seen.insert({style.colour, {style.dashes.begin(), style.dashes.end()}}).second);
    }
    QCOMPARE(runStyle(8).colour, runStyle(0).colour);
}

void TestReport::bestCheckIsRinged()
{
    const auto drawn = drawnSeries({madeUpRun("a", 0, 400, 1.5)}, {});
    int best = 0;
    for (const auto& check : drawn[0].checks)
        best += check.best;
    QCOMPARE(best, 1);
    QVERIFY(drawn[0].checks[7].best); // the last one rises again
}

void TestReport::otherAxes()
{
    const auto run = madeUpRun("a", 0, 400, 1.5);
    CurveOptions options;
    options.xAxis = xAxisFrom("tokens").value();
    auto drawn = drawnSeries({run}, options);
    QCOMPARE(drawn[0].x.back(), 400 * 900.0);
    QCOMPARE(drawn[0].checks.back().x, 400 * 900.0);
    options.xAxis = xAxisFrom("time").value();
    drawn = drawnSeries({run}, options);
    QCOMPARE(drawn[0].x.back(), 10.0); // minutes
    QCOMPARE(drawn[0].checks.back().x, 10.0);
    QVERIFY(!xAxisFrom("epoch"));
}

void TestReport::picturesAreWritten_data()
{
    QTest::addColumn<QString>("ending");
    QTest::addColumn<QByteArray>("magic");
    QTest::newRow("PNG") << "png" << QByteArray("\x89PNG\r\n");
    QTest::newRow("PDF") << "pdf" << QByteArray("%PDF-1.");
    QTest::newRow("SVG") << "svg" << QByteArray("<?xml");
}

void TestReport::picturesAreWritten()
{
    QFETCH(QString, ending);
    QFETCH(QByteArray, magic);
    const QString path = m_folder.filePath("curve." + ending);
    const auto written =
        writeCurveImage({madeUpRun("Run 12 · letters", 0, 400, 1.5)}, {}, path.toStdString());
    QVERIFY2(written, written ? "" : written.error().sentence().c_str());
    QVERIFY(bytesOf(path).starts_with(magic.toStdString()));
}

void TestReport::curvesLeaveInk()
{
    CurveOptions options{.title = "Loss of three runs",
                         .subtitle = "SmolLM2-135M-Instruct on letters"};
    std::vector<CurveSeries> series = {madeUpRun("Run 12 · letters, small add-on", 0, 400, 1.5),
                                       madeUpRun("Run 13 · letters, whole model", 1, 400, 1.3),
                                       madeUpRun("Run 14 · letters, half", 2, 300, 1.7)};
    series[2].loss[120].value = NAN;
    const auto three = m_folder.filePath("three.png"), one = m_folder.filePath("one.png");
    QVERIFY(writeCurveImage(series, options, three.toStdString()));
    series.resize(1);
    QVERIFY(writeCurveImage(series, options, one.toStdString()));
    QVERIFY(bytesOf(three).size() >
            bytesOf(one).size() + 10'000); // two more lines with their envelopes
    if (const char* keep = std::getenv("FETTLE_KEEP_PICTURES"))
        QFile::copy(three, QString(keep) + "/three.png"),
            QFile::copy(one, QString(keep) + "/one.png");
}

void TestReport::badRequests()
{
    const auto path = m_folder.filePath("bad.png").toStdString();
    QVERIFY(writeCurveImage({}, {}, path).error().code == ErrorCode::InvalidInput);
    QVERIFY(writeCurveImage({CurveSeries{"empty", 0, {}, {}, {}}}, {}, path).error().code ==
            ErrorCode::InvalidInput);
    const auto run = madeUpRun("a", 0, 10, 1);
    QVERIFY(writeCurveImage({run}, {}, m_folder.filePath("x.bmp").toStdString()).error().code ==
            ErrorCode::InvalidInput);
    const auto nowhere =
        writeCurveImage({run}, {}, m_folder.filePath("no/such/x.png").toStdString());
    QVERIFY(!nowhere && !nowhere.error().what.empty());
    QVERIFY(!std::filesystem::exists(path));
}

QTEST_APPLESS_MAIN(TestReport)
#include "test_report.moc"

// The mathematics of plots: smoothing, envelope, what is saved.
#include "ui/plots/plot_data.h"
#include "ui/plots/plot_view.h"
#include "ui/theme/theme.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QtTest>
#include <cmath>
#include <limits>

using namespace fettle::ui;

namespace {

std::vector<PlotPoint> ramp(int n)
{
    std::vector<PlotPoint> points;
    for (int i = 1; i <= n; ++i)
        points.push_back({i, 1.0 / i + 0.1 * (i % 3), i * 100.0, i * 0.5, 1'000'000 + i * 600});
    return points;
}

} // namespace

class TestPlotData : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void smoothingFollowsItsFormula();
    void smoothingLeavesGapsOut();
    void halfLifeOfZeroShowsEveryStep();
    void envelopeKeepsASpike();
    void csvHoldsEveryRawNumber();
    void savesInEveryFormat();
    void redrawsAtMostTenTimesASecond();
    void readerNamesLearningByHeart();
    void manyPointsAreDrawnQuickly();
};

void TestPlotData::smoothingFollowsItsFormula()
{
    // The definition, term by term: sum of y_j 2^(-(t_i - t_j)/h) over the sum of the weights.
    auto points = ramp(60);
    points.erase(points.begin() + 10, points.begin() + 15); // steps need not be even
    const double h = 7;
    const auto got = smoothed(points, h);
    for (std::size_t i = 0; i < points.size(); ++i) {
        double sum = 0, weight = 0;
        for (std::size_t j = 0; j <= i; ++j) {
            const double w = std::exp2(-static_cast<double>(points[i].step - points[j].step) / h);
            sum += points[j].value * w;
            weight += w;
        }
        QVERIFY2(std::abs(got[i] - sum / weight) < 1e-12, qPrintable(QString::number(i)));
    }
}

void TestPlotData::smoothingLeavesGapsOut()
{
    auto points = ramp(5);
    points[2].value = std::numeric_limits<double>::quiet_NaN();
    const auto got = smoothed(points, 20);
    QVERIFY(std::isnan(got[2]));
    QVERIFY(std::isfinite(got[3]));
}

void TestPlotData::halfLifeOfZeroShowsEveryStep()
{
    const auto points = ramp(9);
    const auto got = smoothed(points, 0);
    for (std::size_t i = 0; i < points.size(); ++i)
        QCOMPARE(got[i], points[i].value);
}

void TestPlotData::envelopeKeepsASpike()
{
    std::vector<double> x, y;
    for (int i = 0; i < 100'000; ++i)
        x.push_back(i), y.push_back(1.0);
    y[54'321] = 9;
    const auto e = envelope(x, y, 0, 100'000, 800);
    QVERIFY(e.x.size() <= 802);
    QCOMPARE(*std::max_element(e.high.begin(), e.high.end()), 9.0);
    QCOMPARE(*std::min_element(e.low.begin(), e.low.end()), 1.0);
}

void TestPlotData::csvHoldsEveryRawNumber()
{
    Curve curve{"a", "Run, 1", 0, true, ramp(50), {}, {}};
    curve.checks.push_back({{20, 0.123456789012345678, 0, 10, 0}, 0.1, 0.2, true});
    PlotView plot("testPlot", "loss", "nats");
    plot.setCurves({curve});
    const QStringList lines = plot.csv().split('\n', Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), 1 + 50 + 1);
    QCOMPARE(lines[0], QString("run,rows,quantity,step,pieces,seconds,time,value,low,high"));
    for (int i = 0; i < 50; ++i) {
        const QString line = lines[i + 1];
        QVERIFY(line.startsWith("\"Run, 1\",training,loss,"));
        const QStringList cells = line.mid(QString("\"Run, 1\",").size()).split(',');
        const PlotPoint& point = curve.raw[static_cast<std::size_t>(i)];
        QCOMPARE(cells[2].toLongLong(), point.step);
        QCOMPARE(cells[6].toDouble(), point.value); // all 17 digits: exactly the metric row
    }
    QVERIFY(lines.last().contains(QString::number(0.123456789012345678, 'g', 17)));
}

void TestPlotData::savesInEveryFormat()
{
    QTemporaryDir folder;
    PlotView plot("testPlot", "loss", "nats");
    plot.resize(700, 400);
    Curve curve{"a", "Run 1", 0, true, ramp(200), {}, {}};
    curve.checks.push_back({{100, 0.2, 0, 50, 0}, 0.1, 0.3, true});
    plot.setCurves({curve});
    plot.show();
    const std::pair<const char*, QByteArray> kinds[] = {
        {"png", "\x89PNG"}, {"svg", "<?xml"}, {"pdf", "%PDF"}, {"csv", "run,"}};
    for (const auto& [ending, head] : kinds) {
        const QString path = folder.filePath(QString("plot.") + ending);
        QVERIFY2(plot.saveTo(path, 2), ending);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.read(head.size()), head);
    }
    const QImage image(folder.filePath("plot.png"));
    QVERIFY(image.text("Title").contains("loss"));
    QVERIFY(image.width() >= 2 * 480);
}

void TestPlotData::redrawsAtMostTenTimesASecond()
{
    PlotView plot("testPlot", "loss", "nats");
    plot.resize(700, 400);
    plot.setCurves({Curve{"a", "Run 1", 0, true, ramp(2), {}, {}}});
    plot.show();
    const int before = plot.redraws();
    QElapsedTimer clock;
    clock.start();
    std::int64_t step = 3;
    while (clock.elapsed() < 1000) {
        plot.appendPoints("a", {{step++, 1.0, 0, 0, 0}});
        QTest::qWait(10);
    }
    const int drawn = plot.redraws() - before;
    QVERIFY2(drawn >= 3 && drawn <= 11, qPrintable(QString::number(drawn)));
    QCOMPARE(static_cast<std::int64_t>(plot.curves().front().raw.size()), step - 1);
}

void TestPlotData::readerNamesLearningByHeart()
{
    Curve curve{"a", "Run 1", 0, true, ramp(100), {}, {}};
    const double values[] = {2.0, 1.5, 1.2, 1.3, 1.45, 1.6};
    for (int i = 0; i < 6; ++i)
        curve.checks.push_back({{i * 20, values[i], 0, 0, 0}, values[i], values[i], i == 2});
    QVERIFY2(readCurve(curve).contains("Learning by heart"), qPrintable(readCurve(curve)));
    curve.checks.resize(3);
    QVERIFY2(readCurve(curve).contains("improving"), qPrintable(readCurve(curve)));
}

void TestPlotData::manyPointsAreDrawnQuickly()
{
    std::vector<Curve> curves;
    for (int i = 0; i < 10; ++i)
        curves.push_back(
            {QString::number(i), QString("Run %1").arg(i), i, true, ramp(100'000), {}, {}});
    PlotView plot("testPlot", "loss", "nats");
    plot.resize(1000, 500);
    plot.show();
    plot.setCurves(curves);
    QElapsedTimer clock;
    clock.start();
    plot.setCurves(curves);
    plot.grab();
    qInfo("ten runs of 100,000 points: %lld ms", static_cast<long long>(clock.elapsed()));
    QVERIFY2(clock.elapsed() < 1500, qPrintable(QString::number(clock.elapsed())));
}

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QTemporaryDir settings;
    QApplication::setOrganizationName("Fettle");
    QSettings::setDefaultFormat(QSettings::IniFormat);
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, settings.path());
    Theme::instance().apply(ThemeChoice::Light, 1.0);
    TestPlotData test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_plot_data.moc"

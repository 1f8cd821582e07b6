// Palettes and run colours, computed from the tables: contrast (WCAG 2.1) and distances (CIEDE2000)
// under normal vision and full protanopia, deuteranopia, tritanopia (Machado et al. 2009).
#include "ui/theme/icons.h"
#include "ui/theme/run_colours.h"
#include "ui/theme/theme.h"

#include <QtTest>
#include <array>
#include <cmath>

using namespace fettle::ui;

namespace {

using Rgb = std::array<double, 3>;

double linear(double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); }
Rgb linearOf(const QColor& c) { return {linear(c.redF()), linear(c.greenF()), linear(c.blueF())}; }
double luminance(const QColor& c)
{
    const Rgb l = linearOf(c);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
}
double contrast(const QColor& a, const QColor& b)
{
    const double x = luminance(a), y = luminance(b);
    return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

constexpr std::array<std::array<double, 9>, 4> kVision{{
    {1, 0, 0, 0, 1, 0, 0, 0, 1},
    {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
    {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
    {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
}};

Rgb lab(const Rgb& rgb)
{
    const double x = (0.4124564 * rgb[0] + 0.3575761 * rgb[1] + 0.1804375 * rgb[2]) / 0.95047;
    const double y = 0.2126729 * rgb[0] + 0.7151522 * rgb[1] + 0.0721750 * rgb[2];
    const double z = (0.0193339 * rgb[0] + 0.1191920 * rgb[1] + 0.9503041 * rgb[2]) / 1.08883;
    const auto f = [](double t) {
        return t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
    };
    return {116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))};
}

Rgb seen(const QColor& colour, int vision)
{
    const Rgb l = linearOf(colour);
    const auto& m = kVision[static_cast<std::size_t>(vision)];
    Rgb out{};
    for (std::size_t i = 0; i < 3; ++i)
        out[i] = std::clamp(m[3 * i] * l[0] + m[3 * i + 1] * l[1] + m[3 * i + 2] * l[2], 0.0, 1.0);
    return lab(out);
}

/// Sharma, Wu, Dalal 2005, equations 2 to 22.
double ciede2000(const Rgb& p, const Rgb& q)
{
    constexpr double kPi = 3.14159265358979323846;
    const auto degrees = [&](double r) { return r * 180 / kPi; };
    const auto radians = [&](double d) { return d * kPi / 180; };
    const double c1 = std::hypot(p[1], p[2]), c2 = std::hypot(q[1], q[2]), cm = (c1 + c2) / 2;
    const double g = 0.5 * (1 - std::sqrt(std::pow(cm, 7) / (std::pow(cm, 7) + std::pow(25.0, 7))));
    const double a1 = (1 + g) * p[1], a2 = (1 + g) * q[1];
    const double d1 = std::hypot(a1, p[2]), d2 = std::hypot(a2, q[2]);
    const auto hue = [&](double a, double b) {
        const double h = a == 0 && b == 0 ? 0 : degrees(std::atan2(b, a));
        return h < 0 ? h + 360 : h;
    };
    const double h1 = hue(a1, p[2]), h2 = hue(a2, q[2]);
    double dh = h2 - h1;
    if (d1 * d2 == 0)
        dh = 0;
    else if (dh > 180)
        dh -= 360;
    else if (dh < -180)
        dh += 360;
    const double dL = q[0] - p[0], dC = d2 - d1,
                 dH = 2 * std::sqrt(d1 * d2) * std::sin(radians(dh / 2));
    const double lm = (p[0] + q[0]) / 2, dm = (d1 + d2) / 2;
    double hm = h1 + h2;
    if (d1 * d2 != 0)
        hm = std::abs(h1 - h2) <= 180 ? (h1 + h2) / 2
                                      : (h1 + h2 < 360 ? (h1 + h2 + 360) / 2 : (h1 + h2 - 360) / 2);
    const double t = 1 - 0.17 * std::cos(radians(hm - 30)) + 0.24 * std::cos(radians(2 * hm)) +
                     0.32 * std::cos(radians(3 * hm + 6)) - 0.20 * std::cos(radians(4 * hm - 63));
    const double sl = 1 + 0.015 * std::pow(lm - 50, 2) / std::sqrt(20 + std::pow(lm - 50, 2));
    const double sc = 1 + 0.045 * dm, sh = 1 + 0.015 * dm * t;
    const double rc = 2 * std::sqrt(std::pow(dm, 7) / (std::pow(dm, 7) + std::pow(25.0, 7)));
    const double rt = -rc * std::sin(radians(60 * std::exp(-std::pow((hm - 275) / 25, 2))));
    return std::sqrt(std::pow(dL / sl, 2) + std::pow(dC / sc, 2) + std::pow(dH / sh, 2) +
                     rt * (dC / sc) * (dH / sh));
}

} // namespace

class TestLook : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void distanceFormulaIsRight();
    void contrastOfPalettes_data();
    void contrastOfPalettes();
    void runColoursAreApart_data();
    void runColoursAreApart();
    void ninthRunMovesTheLineOn();
    void iconsFollowThePalette();
    void everyIconNamedInTheSourceExists();
};

void TestLook::distanceFormulaIsRight()
{
    // Pairs 1, 7 and 24 of the test data of Sharma, Wu, Dalal 2005, table 1.
    QVERIFY(std::abs(ciede2000({50, 2.6772, -79.7751}, {50, 0, -82.7485}) - 2.0425) < 1e-4);
    QVERIFY(std::abs(ciede2000({50, 0, 0}, {50, -1, 2}) - 2.3669) < 1e-4);
    QVERIFY(std::abs(ciede2000({50, 2.5, 0}, {50, 3.2592, 0.3350}) - 1.0000) < 1e-4);
}

void TestLook::contrastOfPalettes_data()
{
    QTest::addColumn<int>("choice");
    QTest::newRow("light") << int(ThemeChoice::Light);
    QTest::newRow("dark") << int(ThemeChoice::Dark);
    QTest::newRow("high contrast on white") << int(ThemeChoice::HighContrast);
    QTest::newRow("high contrast on black") << int(ThemeChoice::HighContrastDark);
}

void TestLook::contrastOfPalettes()
{
    QFETCH(int, choice);
    const Colours c = Theme::coloursOf(static_cast<ThemeChoice>(choice));
    for (const QColor& paper : {c.window, c.base, c.sunken()}) {
        QVERIFY2(contrast(c.text, paper) >= (paper == c.sunken() ? 10 : 11.75), qPrintable(paper.name()));
        for (const QColor& ink : {c.secondText, c.accent, c.good, c.warning, c.error})
            QVERIFY2(contrast(ink, paper) >= 4.5, qPrintable(ink.name() + " on " + paper.name()));
        QVERIFY2(contrast(c.outline, paper) >= 3,
                 qPrintable(c.outline.name() + " on " + paper.name()));
    }
    for (const QColor& tint : {c.tint, c.goodTint, c.warningTint, c.errorTint})
        QVERIFY2(contrast(c.text, tint) >= 4.5, qPrintable(tint.name()));
    QVERIFY(contrast(c.onAccent, c.accent) >= 4.5);
}

void TestLook::runColoursAreApart_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<double>("least");
    QTest::addColumn<double>("leastContrast");
    QTest::newRow("light") << false << 13.0 << 3.1;
    QTest::newRow("dark") << true << 14.0 << 3.6;
}

void TestLook::runColoursAreApart()
{
    QFETCH(bool, dark);
    QFETCH(double, least);
    QFETCH(double, leastContrast);
    const QColor paper = Theme::coloursOf(dark ? ThemeChoice::Dark : ThemeChoice::Light).base;
    double smallest = 1e9;
    for (int i = 0; i < 8; ++i) {
        QVERIFY2(contrast(runColour(i, dark), paper) >= leastContrast - 0.05,
                 qPrintable(QString::number(i)));
        for (int j = i + 1; j < 8; ++j) {
            for (int vision = 0; vision < 4; ++vision)
                smallest = std::min(smallest, ciede2000(seen(runColour(i, dark), vision),
                                                        seen(runColour(j, dark), vision)));
        }
    }
    QVERIFY2(smallest >= least - 0.5, qPrintable(QString::number(smallest)));
}

void TestLook::ninthRunMovesTheLineOn()
{
    QCOMPARE(runColour(8, false), runColour(0, false));
    QVERIFY(runPen(8, false).style() != runPen(0, false).style());
}

void TestLook::iconsFollowThePalette()
{
    for (const ThemeChoice choice : {ThemeChoice::Light, ThemeChoice::Dark}) {
        Theme::instance().apply(choice, 1.0);
        const QImage image = iconPixmap("go-home", 32, Ink::Text, 1.0).toImage();
        int inked = 0;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x) {
                const QColor pixel = image.pixelColor(x, y);
                if (pixel.alpha() < 255)
                    continue;
                ++inked;
                QVERIFY(std::abs(pixel.lightness() - colours().text.lightness()) < 12);
            }
        }
        QVERIFY(inked > 20);
    }
}

void TestLook::everyIconNamedInTheSourceExists()
{
    static const QRegularExpression name(
        "(?:icon|iconPixmap|setIcon|IconLabel|EmptyState|toolButton|plainButton|quietButton)\\([^;]"
        "*?\"([a-z]+(?:-[a-z]+)+)\"");
    QDirIterator files(FETTLE_SOURCE_DIR "/ui", {"*.cpp"}, QDir::Files,
                       QDirIterator::Subdirectories);
    int seenNames = 0;
    while (files.hasNext()) {
        QFile file(files.next());
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QString text = QString::fromUtf8(file.readAll());
        for (auto it = name.globalMatch(text); it.hasNext();) {
            const QString found = it.next().captured(1);
            QVERIFY2(QFile::exists(":/icons/" + found + ".svg"),
                     qPrintable(found + " in " + files.filePath()));
            ++seenNames;
        }
    }
    QVERIFY(seenNames > 20);
}

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    hasIcon("go-home"); // loads the resources
    TestLook test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_look.moc"

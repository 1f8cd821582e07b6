#include "ui/plots/plot_data.h"

#include "ui/text/words.h"

#include <QCoreApplication>
#include <QTextStream>
#include <algorithm>
#include <cmath>
#include <limits>

namespace fettle::ui {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

QString tr(const char* text) { return QCoreApplication::translate("PlotData", text); }

QString exact(double value)
{
    return std::isfinite(value) ? QString::number(value, 'g', 17) : QString();
}

QString quoted(QString text)
{
    if (text.contains(',') || text.contains('"') || text.contains('\n'))
        return '"' + text.replace('"', "\"\"") + '"';
    return text;
}

} // namespace

double xOf(const PlotPoint& point, XAxis axis, std::int64_t start)
{
    switch (axis) {
    case XAxis::Step:
        return static_cast<double>(point.step);
    case XAxis::Pieces:
        return point.pieces;
    case XAxis::Time:
        return static_cast<double>(point.time - start) / 1000.0;
    case XAxis::TrainingTime:
        break;
    }
    return point.seconds;
}

std::int64_t startOf(const Curve& curve)
{
    if (curve.raw.empty())
        return curve.checks.empty() ? 0 : curve.checks.front().at.time;
    // The first step ends after its own seconds, so the run started that much earlier.
    const PlotPoint& first = curve.raw.front();
    return first.time - static_cast<std::int64_t>(first.seconds * 1000);
}

std::vector<double> smoothed(const std::vector<PlotPoint>& points, double halfLife)
{
    std::vector<double> out;
    out.reserve(points.size());
    double sum = 0, weight = 0, last = 0;
    for (const PlotPoint& point : points) {
        if (!std::isfinite(point.value)) {
            out.push_back(kNan);
            continue;
        }
        if (halfLife <= 0) {
            out.push_back(point.value);
            continue;
        }
        const double decay = std::exp2(-(static_cast<double>(point.step) - last) / halfLife);
        last = static_cast<double>(point.step);
        sum = sum * decay + point.value;
        weight = weight * decay + 1;
        out.push_back(sum / weight);
    }
    return out;
}

Envelope envelope(const std::vector<double>& x, const std::vector<double>& y, double from,
                  double to, int columns)
{
    Envelope out;
    const double width = (to - from) / qMax(1, columns);
    // One point on either side of the range, so that lines leave the picture and do not end in it.
    auto first = static_cast<std::size_t>(std::ranges::lower_bound(x, from) - x.begin());
    auto last = static_cast<std::size_t>(std::ranges::upper_bound(x, to) - x.begin());
    first = first > 0 ? first - 1 : 0;
    last = std::min(last + 1, x.size());
    std::int64_t column = std::numeric_limits<std::int64_t>::min();
    for (std::size_t i = first; i < last; ++i) {
        if (!std::isfinite(y[i])) {
            out.x.push_back(x[i]), out.low.push_back(kNan), out.high.push_back(kNan);
            column = std::numeric_limits<std::int64_t>::min();
            continue;
        }
        const auto here =
            width > 0 ? static_cast<std::int64_t>(std::floor((x[i] - from) / width)) : 0;
        if (here == column && !out.x.empty()) {
            out.low.back() = std::min(out.low.back(), y[i]);
            out.high.back() = std::max(out.high.back(), y[i]);
        } else {
            out.x.push_back(x[i]), out.low.push_back(y[i]), out.high.push_back(y[i]);
            column = here;
        }
    }
    return out;
}

void alignChecks(Curve& curve)
{
    for (CheckValue& check : curve.checks) {
        if (curve.raw.empty())
            return;
        auto at = std::ranges::lower_bound(curve.raw, check.at.step, {}, &PlotPoint::step);
        if (at == curve.raw.end())
            --at;
        if (check.at.step <= 0)
            continue;
        check.at.pieces = at->pieces;
        if (check.at.seconds <= 0)
            check.at.seconds = at->seconds;
        if (check.at.time <= 0)
            check.at.time = at->time;
    }
}

QString csvOf(const std::vector<Curve>& curves, const QString& quantity)
{
    QString text;
    QTextStream out(&text);
    out << "run,rows,quantity,step,pieces,seconds,time,value,low,high\n";
    for (const Curve& curve : curves) {
        if (!curve.visible)
            continue;
        const QString head = quoted(curve.name);
        for (const PlotPoint& p : curve.raw)
            out << head << ",training," << quantity << ',' << p.step << ',' << exact(p.pieces)
                << ',' << exact(p.seconds) << ',' << p.time << ',' << exact(p.value) << ",,\n";
        for (const CheckValue& c : curve.checks)
            out << head << ",checking," << quantity << ',' << c.at.step << ',' << exact(c.at.pieces)
                << ',' << exact(c.at.seconds) << ',' << c.at.time << ',' << exact(c.at.value) << ','
                << exact(c.low) << ',' << exact(c.high) << '\n';
    }
    return text;
}

QString summaryOf(const std::vector<Curve>& curves, const QString& quantity)
{
    QStringList parts;
    for (const Curve& curve : curves) {
        if (!curve.visible || (curve.raw.empty() && curve.checks.empty()))
            continue;
        QString part = curve.name + ": ";
        if (!curve.raw.empty())
            part +=
                tr("%1 %2 at step %3, %4 at step %5")
                    .arg(quantity, number(curve.raw.front().value), count(curve.raw.front().step),
                         number(curve.raw.back().value), count(curve.raw.back().step));
        const auto best = std::ranges::find_if(curve.checks, &CheckValue::best);
        if (best != curve.checks.end())
            part += tr("; lowest on the checking rows %1 at step %2")
                        .arg(number(best->at.value), count(best->at.step));
        parts << part;
    }
    return parts.isEmpty() ? tr("No points yet") : parts.join(". ") + '.';
}

QString readCurve(const Curve& curve)
{
    const auto& checks = curve.checks;
    if (std::ranges::any_of(curve.raw, [](const PlotPoint& p) { return !std::isfinite(p.value); }))
        return tr("The loss stopped being a number. Lower the change per step and start again.");
    if (checks.size() < 3) {
        return checks.empty() ? tr("No check on the checking rows yet.")
                              : tr("Too few checks to say more; loss on the checking rows is %1.")
                                    .arg(number(checks.back().at.value));
    }
    std::vector<double> falls;
    for (std::size_t i = checks.size() - std::min<std::size_t>(3, checks.size() - 1);
         i < checks.size(); ++i)
        falls.push_back(checks[i - 1].at.value - checks[i].at.value);
    const double first = checks.front().at.value, now = checks.back().at.value;
    const auto best =
        std::ranges::min_element(checks, {}, [](const CheckValue& c) { return c.at.value; });
    const double scale = std::max(1e-9, std::abs(first - best->at.value));
    QStringList words;
    for (const double fall : falls)
        words << number(fall, 2);
    if (now - best->at.value > 0.05 * scale && best + 1 != checks.end() && checks.end() - best > 2)
        return tr("Learning by heart: the checking rows were best at step %1 (%2) and are at %3 "
                  "now.")
            .arg(count(best->at.step), number(best->at.value), number(now));
    if (std::ranges::all_of(falls, [&](double f) { return f > 0.01 * scale; }))
        return tr("Still improving; the last checks fell by %1.").arg(words.join(", "));
    if (best->at.value > first - 1e-9)
        return tr("No improvement on the checking rows so far.");
    return tr("Level: the last checks changed by %1; lowest %2 at step %3.")
        .arg(words.join(", "), number(best->at.value), count(best->at.step));
}

} // namespace fettle::ui

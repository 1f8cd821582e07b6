// The pages of a run: curves, settings, record, the sheet at the end.
#include "ui/plots/plot_view.h"
#include "ui/runs/runs_place.h"
#include "ui/text/words.h"
#include "ui/widgets/spec_form.h"

#include <QComboBox>
#include <QTabWidget>
#include <QTableWidget>
#include <QTextBrowser>

namespace fettle::ui {

namespace {

Curve curveOf(const RunDetails& run, const std::vector<PlotPoint>& points, bool checks)
{
    Curve curve;
    curve.id = qs(run.record.id);
    curve.name = RunsPlace::tr("Run %1").arg(count(run.record.number));
    curve.colour = run.record.colour;
    curve.raw = points;
    if (checks)
        curve.checks = run.checks;
    return curve;
}

} // namespace

void RunsPlace::showCurves()
{
    std::vector<Curve> loss;
    for (const RunDetails& run : m_runs)
        loss.push_back(curveOf(run, run.loss, true));
    QStringList prints;
    for (const RunDetails& run : m_runs)
        prints << tr("run %1: model %2, rows %3")
                      .arg(count(run.record.number), qs(run.record.modelDigest.substr(0, 8)),
                           qs(run.record.datasetDigest.substr(0, 8)));
    for (PlotView* plot : {m_loss, m_rate})
        plot->setOrigin(m_session.title() + " · " + prints.join("; "));
    m_reader->setText(loss.empty() ? QString() : readCurve(loss.front()));
    m_loss->setCurves(std::move(loss));
    showSecondPlot();
}

void RunsPlace::showSecondPlot()
{
    const int which = m_second->currentIndex();
    std::vector<Curve> curves;
    for (const RunDetails& run : m_runs)
        curves.push_back(curveOf(run,
                                 which == 0   ? run.rate
                                 : which == 1 ? run.norm
                                              : run.speed,
                                 false));
    m_rate->setQuantity(which == 0   ? tr("change per step")
                        : which == 1 ? tr("size of change")
                                     : tr("word pieces per second"),
                        {}, which != 0);
    m_rate->setCurves(std::move(curves));
}

void RunsPlace::showSettings()
{
    m_settings->setRowCount(0);
    const RunDetails* run = current();
    ParamValues values(recipes::trainingSettings());
    if (!run || !values.setAll(Json(run->record.settings)))
        return;
    for (const ParamSpec& spec : values.specs()) {
        if (!values.isNeeded(spec))
            continue;
        const int row = m_settings->rowCount();
        m_settings->insertRow(row);
        const QString cells[] = {qs(spec.label), specValueText(spec, values.value(spec.key)),
                                 qs(spec.help)};
        for (int i = 0; i < 3; ++i) {
            auto* item = new QTableWidgetItem(cells[i]);
            item->setToolTip(specTip(spec));
            m_settings->setItem(row, i, item);
        }
    }
    m_settings->resizeColumnsToContents();
}

void RunsPlace::showRecord()
{
    const RunDetails* run = current();
    if (!run)
        return;
    const store::RunRecord& r = run->record;
    QString html = QStringLiteral("<table cellpadding='5'>");
    const auto line = [&](const QString& name, const QString& value, bool fixed = false) {
        if (value.isEmpty())
            return;
        html +=
            QStringLiteral("<tr><td style='color:%1'>%2</td><td>%3</td></tr>")
                .arg(colours().secondText.name(), name,
                     fixed ? "<code>" + value.toHtmlEscaped() + "</code>" : value.toHtmlEscaped());
    };
    line(tr("Started"), whenText(r.createdAt));
    line(tr("Ended"), whenText(r.endedAt));
    line(tr("State"),
         statusWords(r.status) + (r.message.empty() ? QString() : ": " + qs(r.message)));
    line(tr("Original"), qs(r.model));
    line(tr("Fingerprint of the original"), qs(r.modelDigest), true);
    line(tr("Examples"), tr("%1, version %2").arg(qs(r.dataset), count(r.datasetVersion)));
    line(tr("Fingerprint of the rows"), qs(r.datasetDigest), true);
    line(tr("Random start"), QString::number(r.seed));
    if (r.bestEvalLoss)
        line(tr("Best on the checking rows"),
             tr("loss %1 at step %2").arg(number(*r.bestEvalLoss, 4), count(r.bestStep)));
    QStringList points;
    for (const auto& point : run->savePoints)
        points << tr("step %1%2").arg(count(point.step), point.best ? tr(" (best)") : QString());
    line(tr("Save points"), points.join(", "));
    for (const char* key : {"version", "libtorch", "device"}) {
        if (r.extra.contains(key) && r.extra[key].is_string())
            line(QString(key) == "version"  ? tr("Program")
                 : QString(key) == "device" ? tr("Computed on")
                                            : "LibTorch",
                 qs(r.extra[key].get<std::string>()));
    }
    line(tr("Folder"), qs(m_session.workspace()->runFolder(r.id).string()), true);
    m_record->setHtml(html + "</table>");
}

void RunsPlace::showEnd()
{
    const RunDetails* run = current();
    const bool done = run && !m_session.runJob(run->record.id) &&
                      (run->record.status == store::RunStatus::Finished ||
                       run->record.status == store::RunStatus::Stopped);
    m_end->setVisible(done && !run->checks.empty());
    if (!done || run->checks.empty())
        return;
    const CheckValue& first = run->checks.front();
    const CheckValue* best = &first;
    for (const CheckValue& check : run->checks) {
        if (check.best)
            best = &check;
    }
    const auto ranged = [](const CheckValue& check) {
        return check.high > check.low
                   ? tr("%1 (range over rows %2 to %3)")
                         .arg(number(check.at.value), number(check.low), number(check.high))
                   : tr("%1 (one run, no range)").arg(number(check.at.value));
    };
    QString words;
    if (best == &first)
        words = tr("The checking rows did not get better than the original: loss %1.")
                    .arg(ranged(first));
    else
        words = tr("On the checking rows the loss went from %1 to %2. The save point of step %3 is "
                   "the best and is kept.")
                    .arg(ranged(first), ranged(*best), count(best->at.step));
    m_endWords->setText(words);
}

} // namespace fettle::ui

#include "ui/runs/run_details.h"

#include "base/json.h"
#include "recipes/settings.h"
#include "ui/text/words.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QFile>

namespace fettle::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("RunDetails", text); }

constexpr qint64 kStepBytes = 400'000; // steps before these last bytes of the file are left out

std::vector<PlotPoint> points(const store::Workspace& workspace, const std::string& run,
                              const std::string& name)
{
    std::vector<PlotPoint> out;
    for (const store::MetricPoint& p : workspace.metric(run, name))
        out.push_back({p.step, p.value, p.tokens, p.seconds, p.time});
    return out;
}

/// The run's event file in words: whatever happened once, and of the steps every tenth near the end.
QString readLog(const std::filesystem::path& folder)
{
    QFile file(qs((folder / "events.jsonl").string()));
    if (!file.open(QIODevice::ReadOnly))
        return {};
    const qint64 recent = file.size() - kStepBytes;
    QString text;
    while (!file.atEnd()) {
        const bool old = file.pos() < recent;
        const QByteArray line = file.readLine();
        if (old && line.contains(R"("event":"step")"))
            continue;
        auto json = parseJson({line.constData(), static_cast<std::size_t>(line.size())},
                              "events.jsonl", true);
        if (!json)
            continue;
        if (auto event = jobs::eventFromJson(*json)) {
            if (const QString words = logLine(*event); !words.isEmpty())
                text += words + '\n';
        }
    }
    return text;
}

} // namespace

PlotPoint pointOf(const jobs::StepDone& step, double value)
{
    return {step.step, value, static_cast<double>(step.tokens), step.seconds, step.time};
}

CheckValue checkOf(const jobs::EvalDone& check)
{
    return {
        {check.step, check.loss, 0, check.seconds, check.time}, check.low, check.high, check.best};
}

RunDetails readRun(store::Workspace& workspace, const store::RunRecord& record, bool withLog)
{
    RunDetails out;
    out.record = record;
    out.loss = points(workspace, record.id, "loss");
    out.rate = points(workspace, record.id, "learningRate");
    out.norm = points(workspace, record.id, "gradNorm");
    out.speed = points(workspace, record.id, "tokensPerSecond");
    std::size_t best = 0;
    for (const jobs::EvalDone& check : workspace.evaluations(record.id)) {
        out.checks.push_back(checkOf(check));
        out.checks.back().best = false;
        if (check.loss < out.checks[best].at.value)
            best = out.checks.size() - 1;
    }
    if (!out.checks.empty())
        out.checks[best].best = true;
    out.samples = workspace.samples(record.id);
    out.savePoints = workspace.checkpoints(record.id);
    if (withLog)
        out.log = readLog(workspace.runFolder(record.id));
    return out;
}

QString statusWords(store::RunStatus status)
{
    switch (status) {
    case store::RunStatus::Waiting:
        return tr("waiting");
    case store::RunStatus::Running:
        return tr("running");
    case store::RunStatus::Paused:
        return tr("paused");
    case store::RunStatus::Finished:
        return tr("finished");
    case store::RunStatus::Stopped:
        return tr("stopped and kept");
    case store::RunStatus::Failed:
        return tr("failed");
    case store::RunStatus::Interrupted:
        break;
    }
    return tr("interrupted");
}

QString statusIcon(store::RunStatus status)
{
    switch (status) {
    case store::RunStatus::Waiting:
        return "chronometer";
    case store::RunStatus::Running:
        return "media-playback-start";
    case store::RunStatus::Paused:
        return "media-playback-pause";
    case store::RunStatus::Finished:
        return "data-success";
    case store::RunStatus::Stopped:
        return "media-playback-stop";
    case store::RunStatus::Failed:
        return "data-error";
    case store::RunStatus::Interrupted:
        break;
    }
    return "data-warning";
}

QString runTitle(const store::RunRecord& record)
{
    return tr("Run %1 · %2").arg(count(record.number), qs(record.name));
}

QString runLine(const store::RunRecord& record)
{
    QStringList parts;
    ParamValues values(recipes::trainingSettings());
    if (values.setAll(Json(record.settings))) {
        const ParamSpec* method = values.spec("method");
        for (std::size_t i = 0; method && i < method->choices.size(); ++i) {
            if (method->choices[i] == values.text("method"))
                parts << qs(method->choiceLabels[i]);
        }
    }
    parts << qs(record.dataset) << qs(record.model);
    return parts.join(" · ");
}

QString logLine(const jobs::Event& event)
{
    const auto at = [](std::int64_t time) {
        return time > 0 ? QDateTime::fromMSecsSinceEpoch(time).toString("HH:mm:ss ")
                        : QStringLiteral("         ");
    };
    if (const auto* step = std::get_if<jobs::StepDone>(&event)) {
        return at(step->time) +
               tr("step %1  loss %2  change per step %3  size of change %4  %5 pieces/s")
                   .arg(step->step, 5)
                   .arg(number(step->loss, 4), number(step->learningRate), number(step->gradNorm),
                        number(step->tokensPerSecond));
    }
    if (const auto* check = std::get_if<jobs::EvalDone>(&event))
        return at(check->time) + tr("check at step %1: loss %2 on %3 rows, range %4 to %5%6")
                                     .arg(count(check->step), number(check->loss, 4),
                                          count(check->rows), number(check->low),
                                          number(check->high),
                                          check->best ? tr(", best so far") : QString());
    if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event))
        return at(0) + qs(phase->phase) +
               (phase->detail.empty() ? QString() : ": " + qs(phase->detail));
    if (const auto* saved = std::get_if<jobs::CheckpointSaved>(&event))
        return at(0) + tr("save point at step %1%2")
                           .arg(count(saved->step), saved->best ? tr(" (best)") : QString());
    if (const auto* resumed = std::get_if<jobs::Resumed>(&event))
        return at(0) + tr("continued from step %1").arg(count(resumed->step));
    if (const auto* warning = std::get_if<jobs::Warning>(&event))
        return at(0) + qs(warning->text);
    if (const auto* failed = std::get_if<jobs::Failed>(&event))
        return at(0) + sentence(failed->error);
    if (std::holds_alternative<jobs::Finished>(event))
        return at(0) + tr("finished");
    if (std::holds_alternative<jobs::Stopped>(event))
        return at(0) + tr("stopped and kept");
    return {};
}

} // namespace fettle::ui

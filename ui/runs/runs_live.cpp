// What happens to the runs on show: loading, live events, the end, the buttons.
#include "ui/plots/plot_view.h"
#include "ui/runs/answers_strip.h"
#include "ui/runs/go_back_dialog.h"
#include "ui/runs/run_list.h"
#include "ui/runs/runs_place.h"
#include "ui/text/words.h"

#include <QComboBox>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <algorithm>
#include <cmath>

namespace fettle::ui {

void RunsPlace::refreshList()
{
    m_session.later(
        this, [workspace = m_session.workspace()] { return workspace->runs(); },
        [this](std::vector<store::RunRecord>&& runs) { listed(std::move(runs)); });
}

void RunsPlace::listed(std::vector<store::RunRecord>&& runs)
{
    setState(runs.empty() ? PlaceState::Empty : PlaceState::Full);
    m_list->setRuns(runs);
    if (!m_wanted.isEmpty()) {
        const QSignalBlocker quiet(m_list);
        m_list->choose(m_wanted);
        m_wanted.clear();
    }
    loadChosen();
}

void RunsPlace::loadChosen()
{
    const QStringList ids = m_list->chosen();
    const int generation = ++m_generation;
    if (ids.isEmpty()) {
        refreshButtons();
        return;
    }
    m_session.later(
        this,
        [workspace = m_session.workspace(), ids] {
            std::vector<RunDetails> runs;
            for (const QString& id : ids.mid(0, 10)) {
                if (auto record = workspace->run(ss(id)))
                    runs.push_back(readRun(*workspace, *record, runs.empty()));
            }
            return runs;
        },
        [this, generation](std::vector<RunDetails>&& runs) {
            if (generation == m_generation)
                loaded(std::move(runs));
        });
}

void RunsPlace::loaded(std::vector<RunDetails>&& runs)
{
    const std::string before = current() ? current()->record.id : std::string();
    m_runs = std::move(runs);
    if (m_runs.empty())
        return;
    const RunDetails& run = m_runs.front();
    if (before != run.record.id) {
        m_lastStep = {};
        m_phase.clear();
        m_phasePart = -1;
    }
    if (JobBridge* job = m_session.runJob(run.record.id)) {
        m_lastStep = job->lastStep();
        m_phase = qs(job->phase().phase);
        m_phasePart = job->phase().fraction;
    }
    showCurves();
    m_answers->load(run);
    m_log->setPlainText(run.log);
    showSettings();
    showRecord();
    showHeader();
    showEnd();
    refreshButtons();
}

RunDetails* RunsPlace::shown(const QString& id)
{
    const auto found =
        std::ranges::find_if(m_runs, [&](const RunDetails& r) { return qs(r.record.id) == id; });
    return found == m_runs.end() ? nullptr : &*found;
}

void RunsPlace::stepsDone(const QString& id, const std::vector<jobs::StepDone>& steps)
{
    const jobs::StepDone& last = steps.back();
    m_list->updateProgress(ss(id), last.step, last.totalSteps,
                           tr("step %1 of %2 · loss %3")
                               .arg(count(last.step), count(last.totalSteps), number(last.loss)));
    RunDetails* run = shown(id);
    if (!run)
        return;
    std::vector<PlotPoint> loss, second;
    for (const jobs::StepDone& step : steps) {
        const auto add = [&](std::vector<PlotPoint>& to, double value) {
            while (!to.empty() && to.back().step >= step.step)
                to.pop_back(); // the run went back to a save point
            to.push_back(pointOf(step, value));
        };
        add(run->loss, step.loss);
        add(run->rate, step.learningRate);
        add(run->norm, step.gradNorm);
        add(run->speed, step.tokensPerSecond);
        loss.push_back(run->loss.back());
        second.push_back(m_second->currentIndex() == 0   ? run->rate.back()
                         : m_second->currentIndex() == 1 ? run->norm.back()
                                                         : run->speed.back());
        if (run == &m_runs.front() && m_tabs->currentWidget() == m_log)
            m_log->appendPlainText(logLine(jobs::Event{step}));
    }
    m_loss->appendPoints(id, loss);
    m_rate->appendPoints(id, second);
    run->record.step = last.step;
    run->record.totalSteps = last.totalSteps;
    if (run == &m_runs.front()) {
        m_lastStep = last;
        showHeader();
    }
}

void RunsPlace::happened(const QString& id, const jobs::Event& event)
{
    RunDetails* run = shown(id);
    if (!run)
        return;
    const bool front = run == &m_runs.front();
    if (const auto* check = std::get_if<jobs::EvalDone>(&event)) {
        run->checks.push_back(checkOf(*check));
        m_loss->appendCheck(id, checkOf(*check));
        if (front && !m_loss->curves().empty())
            m_reader->setText(readCurve(m_loss->curves().front()));
    } else if (const auto* sample = std::get_if<jobs::SampleDone>(&event)) {
        if (front)
            m_answers->add(*sample);
    } else if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event)) {
        if (front) {
            m_phase =
                qs(phase->phase) + (phase->detail.empty() ? QString() : ": " + qs(phase->detail));
            m_phasePart = phase->fraction;
            showHeader();
        }
    } else if (const auto* warning = std::get_if<jobs::Warning>(&event)) {
        messages()->show(MessageBar::Kind::Warning, qs(warning->text));
    }
    if (front) {
        if (const QString words = logLine(event); !words.isEmpty())
            m_log->appendPlainText(words);
    }
}

void RunsPlace::ended(const QString& id, const jobs::Event& end)
{
    if (const auto* failed = std::get_if<jobs::Failed>(&end)) {
        messages()->setDetails(m_log->toPlainText());
        messages()->show(MessageBar::Kind::Error, sentence(failed->error));
    }
    m_wanted = m_list->chosen().contains(id) || m_runs.empty() ? id : QString();
    refreshList();
    Q_EMIT news();
}

void RunsPlace::showHeader()
{
    const RunDetails* run = current();
    if (!run)
        return;
    m_title->setText(runTitle(run->record));
    m_line->setText(runLine(run->record) + " · " + whenText(run->record.createdAt));
    JobBridge* job = m_session.runJob(run->record.id);
    m_bar->setVisible(job != nullptr);
    QString words = statusWords(run->record.status);
    if (job) {
        const bool training = m_lastStep.step > 0;
        const double part =
            training && m_lastStep.totalSteps > 0
                ? static_cast<double>(m_lastStep.step) / static_cast<double>(m_lastStep.totalSteps)
                : m_phasePart;
        m_bar->setRange(0, part < 0 ? 0 : 1000);
        m_bar->setValue(qRound(part * 1000));
        if (job->handle().state() == jobs::JobState::Waiting)
            words = tr("waiting for the work before it");
        else if (job->stopping())
            words = tr("stopping, keeping this step …");
        else if (training) {
            words = tr("step %1 of %2").arg(count(m_lastStep.step), count(m_lastStep.totalSteps));
            if (job->paused())
                words += tr(" · paused");
            else if (m_lastStep.seconds > 3 && m_lastStep.step > 2)
                words += tr(" · about %1 left")
                             .arg(durationText(
                                 m_lastStep.seconds / static_cast<double>(m_lastStep.step) *
                                 static_cast<double>(m_lastStep.totalSteps - m_lastStep.step)));
        } else {
            words = m_phase.isEmpty() ? tr("starting") : m_phase;
        }
    } else if (run->record.status != store::RunStatus::Finished && run->record.totalSteps > 0) {
        words += tr(", step %1 of %2").arg(count(run->record.step), count(run->record.totalSteps));
    }
    m_phaseLabel->setText(words);
    QStringList meters;
    const double speed = job && m_lastStep.tokensPerSecond > 0 ? m_lastStep.tokensPerSecond
                         : run->speed.empty()                  ? 0
                                                               : run->speed.back().value;
    if (speed > 0)
        meters << tr("%1 word pieces per second").arg(count(std::llround(speed)));
    if (!run->loss.empty()) {
        meters << tr("%1 word pieces read").arg(count(std::llround(run->loss.back().pieces)));
        meters << tr("%1 in training").arg(durationText(run->loss.back().seconds));
    }
    m_meters->setText(meters.join(" · "));
}

void RunsPlace::refreshButtons()
{
    const RunDetails* run = current();
    JobBridge* job = run ? m_session.runJob(run->record.id) : nullptr;
    m_pause->setVisible(job && job->handle().state() != jobs::JobState::Waiting);
    m_stop->setVisible(job != nullptr);
    if (job) {
        m_pause->setText(job->paused() ? tr("Continue") : tr("Pause"));
        m_pause->setIcon(icon(job->paused() ? "media-playback-start" : "media-playback-pause"));
        m_pause->setEnabled(!job->stopping());
        m_stop->setText(job->stopping() ? tr("Stopping …") : tr("Stop and keep"));
        m_stop->setEnabled(!job->stopping());
        showHeader();
    }
    const bool resumable = run && !job && run->record.status != store::RunStatus::Finished &&
                           run->record.status != store::RunStatus::Running &&
                           run->record.step < run->record.totalSteps && !run->savePoints.empty();
    m_continue->setVisible(resumable);
    m_back->setVisible(resumable);
    m_again->setVisible(run && !job);
    const bool usable = run && !job && !run->savePoints.empty();
    m_try->setEnabled(usable);
    m_try->setToolTip(usable ? tr("Ctrl+Return") : tr("When the run has ended"));
    m_deploy->setEnabled(usable);
    m_compare->setVisible(m_list->count() > 1);
}

void RunsPlace::togglePause()
{
    if (!current())
        return;
    if (JobBridge* job = m_session.runJob(current()->record.id))
        job->setPaused(!job->paused());
    else if (m_continue->isVisible())
        continueRun();
}

void RunsPlace::stop()
{
    if (JobBridge* job = current() ? m_session.runJob(current()->record.id) : nullptr) {
        if (job->paused())
            job->setPaused(false);
        job->requestStop();
    }
}

void RunsPlace::continueRun()
{
    if (current()) {
        m_continue->setEnabled(false);
        m_session.resumeRun(current()->record.id);
        m_continue->setEnabled(true);
    }
}

void RunsPlace::goBack()
{
    if (!current())
        return;
    auto* dialog = new GoBackDialog(current()->savePoints, this);
    connect(dialog, &GoBackDialog::chosen, this,
            [this, id = current()->record.id](const recipes::ResumeOptions& options) {
                m_session.resumeRun(id, options);
            });
    dialog->open();
}

void RunsPlace::again()
{
    if (!current())
        return;
    const store::RunRecord& record = current()->record;
    recipes::RunPlan plan;
    plan.model = record.model;
    plan.dataset = record.dataset;
    plan.seed = record.seed;
    if (auto done = plan.settings.setAll(Json(record.settings)); !done) {
        messages()->show(MessageBar::Kind::Error, sentence(done.error()));
        return;
    }
    m_session.startRun(plan);
}

void RunsPlace::remove()
{
    if (!current() || m_session.runJob(current()->record.id))
        return;
    const std::string id = current()->record.id;
    m_session.later(
        this, [workspace = m_session.workspace(), id] { return workspace->removeRun(id); },
        [this](Result<void>&& done) {
            if (done)
                messages()->show(MessageBar::Kind::Information,
                                 tr("The run lies in the bin of the workspace."));
            else
                messages()->show(MessageBar::Kind::Error, sentence(done.error()));
            m_runs.clear();
            refreshList();
            Q_EMIT m_session.runsChanged();
        });
}

} // namespace fettle::ui

#include "ui/session/session.h"

#include "hub/hub_access.h"
#include "ui/text/words.h"

#include <QFileInfo>
#include <QProcess>
#include <algorithm>

namespace fettle::ui {

Session::Session(std::shared_ptr<store::Workspace> workspace, QObject* parent)
    : QObject(parent)
    , m_workspace(std::move(workspace))
    , m_worker(std::make_unique<jobs::Worker>([] { recipes::prepareWorkerThread(); }))
{
    m_pool.setMaxThreadCount(3);
}

Session::~Session()
{
    m_worker.reset(); // asks the running job to stop and joins: it keeps a save point
    m_pool.waitForDone();
}

bool Session::networkOn() const { return hub::settingsOf(*m_workspace).flag("network"); }

QString Session::title() const { return qs(m_workspace->folder().filename().string()); }

JobBridge* Session::submit(std::shared_ptr<jobs::Job> job)
{
    auto* bridge = new JobBridge(m_worker->submit(std::move(job)), this);
    m_jobs.push_back(bridge);
    connect(bridge, &JobBridge::ended, this, [this, bridge] { remove(bridge); });
    connect(bridge, &JobBridge::stateChanged, this, &Session::jobsChanged);
    connect(bridge, &JobBridge::happened, this, &Session::jobsChanged);
    Q_EMIT jobsChanged();
    return bridge;
}

JobBridge* Session::submitRun(const recipes::StartedRun& run)
{
    const QString id = qs(run.record.id);
    JobBridge* bridge = submit(run.job);
    m_runs[run.record.id] = bridge;
    connect(bridge, &JobBridge::stepsDone, this, [this, id](const auto& steps) {
        Q_EMIT runSteps(id, steps);
        Q_EMIT jobsChanged();
    });
    connect(bridge, &JobBridge::happened, this,
            [this, id](const jobs::Event& e) { Q_EMIT runHappened(id, e); });
    connect(bridge, &JobBridge::ended, this, [this, id](const jobs::Event& end) {
        m_runs.erase(ss(id));
        Q_EMIT runsChanged();
        Q_EMIT runEnded(id, end);
        Q_EMIT jobsChanged();
    });
    Q_EMIT runsChanged();
    Q_EMIT runStarted(id);
    return bridge;
}

void Session::remove(JobBridge* bridge)
{
    std::erase(m_jobs, bridge);
    bridge->deleteLater();
    Q_EMIT jobsChanged();
}

JobBridge* Session::runJob(const std::string& id) const
{
    const auto found = m_runs.find(id);
    return found == m_runs.end() ? nullptr : found->second;
}

std::string Session::runOf(const JobBridge* bridge) const
{
    const auto found =
        std::ranges::find_if(m_runs, [&](const auto& entry) { return entry.second == bridge; });
    return found == m_runs.end() ? std::string() : found->first;
}

void Session::created(Result<recipes::StartedRun>&& started)
{
    if (!started) {
        Q_EMIT startFailed(sentence(started.error()));
        return;
    }
    submitRun(*started);
}

void Session::startRun(const recipes::RunPlan& plan)
{
    later(
        this, [workspace = m_workspace, plan] { return recipes::startRun(workspace, plan); },
        [this](auto&& started) { created(std::move(started)); });
}

void Session::resumeRun(const std::string& id, const recipes::ResumeOptions& options)
{
    if (runJob(id))
        return;
    later(
        this, [workspace = m_workspace, id, options] { return recipes::resumeRun(workspace, id, options); },
        [this](auto&& started) { created(std::move(started)); });
}

QString Session::commandLineProgram()
{
    const QFileInfo program(QCoreApplication::applicationDirPath() + "/fettle-cli");
    return program.isExecutable() ? program.absoluteFilePath() : QString();
}

void Session::detachRun(const std::string& id)
{
    JobBridge* bridge = runJob(id);
    if (!bridge)
        return;
    const QStringList arguments{"--workspace", qs(m_workspace->folder().string()), "resume",
                                qs(id)};
    connect(bridge, &JobBridge::ended, this, [arguments](const jobs::Event& end) {
        if (std::holds_alternative<jobs::Stopped>(end))
            QProcess::startDetached(commandLineProgram(), arguments);
    });
    bridge->requestStop();
}

} // namespace fettle::ui

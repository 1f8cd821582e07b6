#pragma once

#include "recipes/front_door.h"
#include "store/workspace.h"
#include "ui/session/job_bridge.h"

#include <QCoreApplication>
#include <QObject>
#include <QPointer>
#include <QThreadPool>
#include <map>

namespace fettle::ui {

/// One workspace and what goes on in it: the device's worker, the pool for files, the jobs.
/// Places talk to each other only through its signals.
class Session : public QObject
{
    Q_OBJECT
public:
    explicit Session(std::shared_ptr<store::Workspace> workspace, QObject* parent = nullptr);
    ~Session() override;

    const std::shared_ptr<store::Workspace>& workspace() const { return m_workspace; }
    QString title() const; ///< name of the workspace's folder
    /// Whether a person has allowed this workspace to fetch models.
    bool networkOn() const;

    /// Runs `work` on a pool thread and then `then(result)` here, unless `context` is gone by then.
    template<class Work, class Then> void later(QObject* context, Work work, Then then)
    {
        m_pool.start([work = std::move(work), then = std::move(then),
                      guard = QPointer<QObject>(context)]() mutable {
            auto result = std::make_shared<decltype(work())>(work());
            QMetaObject::invokeMethod(
                qApp,
                [result, then = std::move(then), guard]() mutable {
                    if (guard)
                        then(std::move(*result));
                },
                Qt::QueuedConnection);
        });
    }

    /// Submits a job to the device's thread. The bridge lives until the job has ended.
    JobBridge* submit(std::shared_ptr<jobs::Job> job);
    JobBridge* submitRun(const recipes::StartedRun& run);
    /// Jobs of this window, the running one first.
    const std::vector<JobBridge*>& jobs() const { return m_jobs; }
    JobBridge* runJob(const std::string& id) const;
    std::string runOf(const JobBridge* bridge) const;
    bool isTraining() const { return !m_runs.empty(); }
    /// Creates a run on the pool and submits it; a failure comes as `startFailed`.
    void startRun(const recipes::RunPlan& plan);
    void resumeRun(const std::string& id, const recipes::ResumeOptions& options = {});
    /// Stops the run at its next save and lets the command line go on with it.
    void detachRun(const std::string& id);
    static QString commandLineProgram(); ///< empty when it does not stand beside this program

    void go(const QString& place, const QString& argument = {})
    {
        Q_EMIT placeWanted(place, argument);
    }
    void importFiles(const QStringList& files, const data::ImportOptions& options = {})
    {
        Q_EMIT filesGiven(files, options);
    }

Q_SIGNALS:
    void placeWanted(const QString& place, const QString& argument);
    void filesGiven(const QStringList& files, const fettle::data::ImportOptions& options);
    void datasetsChanged();
    void modelsChanged();
    void networkChanged(bool on);
    void runsChanged();
    void jobsChanged();
    void runStarted(const QString& id);
    void runSteps(const QString& id, const std::vector<fettle::jobs::StepDone>& steps);
    void runHappened(const QString& id, const fettle::jobs::Event& event);
    void runEnded(const QString& id, const fettle::jobs::Event& end);
    void startFailed(const QString& sentence);

private:
    void remove(JobBridge* bridge);
    void created(Result<recipes::StartedRun>&& started);

    std::shared_ptr<store::Workspace> m_workspace;
    QThreadPool m_pool;
    std::vector<JobBridge*> m_jobs;
    std::map<std::string, JobBridge*> m_runs;
    std::unique_ptr<jobs::Worker> m_worker; // before the pool ends: its jobs use the workspace only
};

} // namespace fettle::ui

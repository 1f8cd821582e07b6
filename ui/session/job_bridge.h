#pragma once

#include "jobs/job.h"

#include <QObject>
#include <QTimer>

namespace fettle::ui {

/// Brings the events of one job into the window's thread, 20 times a second.
class JobBridge : public QObject
{
    Q_OBJECT
public:
    explicit JobBridge(std::shared_ptr<jobs::JobHandle> handle, QObject* parent = nullptr);

    jobs::JobHandle& handle() { return *m_handle; }
    const jobs::PhaseChanged& phase() const { return m_phase; }
    const jobs::StepDone& lastStep() const { return m_lastStep; }
    bool stopping() const { return m_stopping; }
    bool paused() const { return m_paused; }
    /// Seconds since the job last gave a sign of life.
    double silence() const;
    void requestStop();
    void setPaused(bool paused);

Q_SIGNALS:
    void stepsDone(
        const std::vector<fettle::jobs::StepDone>& steps); ///< oldest first, one signal per drain
    void happened(const fettle::jobs::Event& event);       ///< all but steps and the end
    void ended(const fettle::jobs::Event& event);
    void stateChanged();

private:
    void drain();

    std::shared_ptr<jobs::JobHandle> m_handle;
    QTimer m_timer;
    jobs::PhaseChanged m_phase;
    jobs::StepDone m_lastStep;
    qint64 m_lastSign = 0;
    bool m_stopping = false;
    bool m_paused = false;
};

} // namespace fettle::ui

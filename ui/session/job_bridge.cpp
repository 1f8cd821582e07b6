#include "ui/session/job_bridge.h"

#include "base/clock.h"

namespace fettle::ui {

JobBridge::JobBridge(std::shared_ptr<jobs::JobHandle> handle, QObject* parent)
    : QObject(parent)
    , m_handle(std::move(handle))
    , m_lastSign(nowMilliseconds())
{
    connect(&m_timer, &QTimer::timeout, this, &JobBridge::drain);
    m_timer.start(50); // ms: drained 20 times a second; plots repaint at most 10 times
}

double JobBridge::silence() const
{
    return static_cast<double>(nowMilliseconds() - m_lastSign) / 1000.0;
}

void JobBridge::requestStop()
{
    m_stopping = true;
    m_handle->requestStop();
    Q_EMIT stateChanged();
}

void JobBridge::setPaused(bool paused)
{
    m_paused = paused;
    if (paused)
        m_handle->pause();
    else
        m_handle->resume();
    Q_EMIT stateChanged();
}

void JobBridge::drain()
{
    std::vector<jobs::StepDone> steps;
    std::optional<jobs::Event> end;
    const auto flush = [&] {
        if (!steps.empty())
            Q_EMIT stepsDone(steps); // before what came after them, so that the order stays true
        steps.clear();
    };
    auto events = m_handle->events()->takeAll();
    if (!events.empty())
        m_lastSign = nowMilliseconds();
    for (auto& event : events) {
        if (auto* step = std::get_if<jobs::StepDone>(&event)) {
            m_lastStep = *step;
            steps.push_back(*step);
        } else if (jobs::isEnd(event)) {
            end = std::move(event);
        } else {
            if (auto* phase = std::get_if<jobs::PhaseChanged>(&event))
                m_phase = *phase;
            flush();
            Q_EMIT happened(event);
        }
    }
    flush();
    if (end) {
        m_timer.stop();
        Q_EMIT ended(*end);
    }
}

} // namespace fettle::ui

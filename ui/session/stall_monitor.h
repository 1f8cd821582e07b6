#pragma once

#include <QObject>
#include <QTimer>
#include <atomic>
#include <thread>

namespace fettle::ui {

/// Watches the window's thread from outside: a thread looks every few milliseconds how long ago the
/// event loop last came round. Used by tests; costs one timer and one thread.
class StallMonitor : public QObject
{
    Q_OBJECT
public:
    explicit StallMonitor(QObject* parent = nullptr);
    ~StallMonitor() override;

    double longestMilliseconds() const { return m_longest.load(); }
    void reset() { m_longest = 0; }

private:
    QTimer m_beat;
    std::atomic<std::int64_t> m_lastBeat{0}; // microseconds on the steady clock
    std::atomic<double> m_longest{0};
    std::jthread m_watcher; // last: starts when all else is there
};

} // namespace fettle::ui

#include "ui/session/stall_monitor.h"

#include <chrono>

namespace fettle::ui {

namespace {

std::int64_t now()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

constexpr std::int64_t kBeatMicroseconds = 10'000;

} // namespace

StallMonitor::StallMonitor(QObject* parent)
    : QObject(parent)
    , m_lastBeat(now())
{
    m_beat.setTimerType(Qt::PreciseTimer);
    connect(&m_beat, &QTimer::timeout, this, [this] { m_lastBeat = now(); });
    m_beat.start(static_cast<int>(kBeatMicroseconds / 1000));
    m_watcher = std::jthread([this](std::stop_token stop) {
        while (!stop.stop_requested()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            const double gap =
                static_cast<double>(now() - m_lastBeat.load() - kBeatMicroseconds) / 1000.0;
            if (gap > m_longest.load())
                m_longest = gap;
        }
    });
}

StallMonitor::~StallMonitor()
{
    m_watcher.request_stop();
    m_watcher.join();
}

} // namespace fettle::ui

#include "cli/progress.h"

#include "base/text.h"
#include "cli/output.h"
#include "report/axis.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace fettle::cli {

namespace {

constexpr double kTerminalPause = 0.1, kPlainPause = 5; // seconds between two lines
constexpr int kBarWidth = 24;
constexpr double kLossFade = 0.9; // the loss that is shown is smoothed, single batches jump

bool barStands = false; // main thread only

double steadySeconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::size_t terminalWidth()
{
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

/// The first `count` characters.
std::string clipped(const std::string& text, std::size_t count)
{
    std::size_t at = 0;
    for (std::size_t i = 0; i < count && at < text.size(); ++i)
        nextCodePoint(text, at);
    return text.substr(0, at);
}

} // namespace

void wipeProgress()
{
    if (barStands)
        std::fputs("\r\x1b[K", stderr);
    barStands = false;
}

ProgressView::ProgressView()
    : m_terminal(isatty(STDERR_FILENO) == 1)
{
}

bool ProgressView::due(double seconds)
{
    const double now = steadySeconds();
    if (now - m_lastShown < seconds)
        return false;
    m_lastShown = now;
    return true;
}

void ProgressView::bar(double fraction, const std::string& words)
{
    if (!m_terminal) {
        say(words);
        return;
    }
    std::string line = words;
    if (fraction >= 0) {
        const int filled =
            static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * kBarWidth));
        std::string picture;
        for (int i = 0; i < kBarWidth; ++i)
            picture += i < filled ? "█" : "░";
        line =
            fmt::format("{} {:3.0f} %  {}", picture, 100 * std::clamp(fraction, 0.0, 1.0), words);
    }
    std::fputs(("\r" + clipped(line, terminalWidth() - 1) + "\x1b[K").c_str(), stderr);
    std::fflush(stderr);
    barStands = true;
}

void ProgressView::show(const jobs::Event& event)
{
    if (const auto* phaseEvent = std::get_if<jobs::PhaseChanged>(&event))
        phase(*phaseEvent);
    else if (const auto* stepEvent = std::get_if<jobs::StepDone>(&event))
        step(*stepEvent);
    else if (const auto* checkEvent = std::get_if<jobs::EvalDone>(&event))
        check(*checkEvent);
    else if (const auto* warning = std::get_if<jobs::Warning>(&event))
        say("Note: " + warning->text);
    else if (const auto* resumed = std::get_if<jobs::Resumed>(&event))
        say(fmt::format("Going on from step {}.", grouped(resumed->step)));
}

void ProgressView::phase(const jobs::PhaseChanged& phase)
{
    const bool changed = phase.phase != m_phase;
    m_phase = phase.phase;
    if (phase.phase == "train")
        return; // the steps speak
    if (!due(m_terminal ? kTerminalPause : kPlainPause) && !changed)
        return;
    std::string words = phase.phase;
    if (!words.empty() && words[0] >= 'a' && words[0] <= 'z')
        words[0] = static_cast<char>(words[0] - 'a' + 'A');
    if (!phase.detail.empty())
        words += ": " + phase.detail;
    else if (phase.fraction >= 0 && !m_terminal)
        words += fmt::format(" ({:.0f} %)", 100 * phase.fraction);
    bar(phase.fraction, words + (m_terminal ? " ..." : ""));
}

std::string ProgressView::timeLeft(const jobs::StepDone& step) const
{
    // Wall time since this process's first step, so that checks and save points count.
    const double done = static_cast<double>(step.step - m_firstStep.value_or(step.step));
    if (done < 2 || step.totalSteps <= step.step)
        return {};
    const double perStep = (steadySeconds() - m_firstStepAt) / done;
    return "about " + humanDuration(perStep * static_cast<double>(step.totalSteps - step.step)) +
           " left";
}

void ProgressView::step(const jobs::StepDone& step)
{
    if (!m_firstStep) {
        m_firstStep = step.step;
        m_firstStepAt = steadySeconds();
    }
    if (std::isfinite(step.loss)) {
        m_smoothedLoss = kLossFade * m_smoothedLoss + step.loss;
        m_weight = kLossFade * m_weight + 1;
    }
    const bool last = step.step >= step.totalSteps;
    if (!due(m_terminal ? kTerminalPause : kPlainPause) && !last)
        return;
    const double loss = m_weight > 0 ? m_smoothedLoss / m_weight : step.loss;
    std::string words = fmt::format("step {} of {} · loss {} · {} tokens/s", grouped(step.step),
                                    grouped(step.totalSteps), report::shortNumber(loss),
                                    grouped(std::llround(step.tokensPerSecond)));
    if (const auto left = timeLeft(step); !left.empty())
        words += " · " + left;
    const double fraction =
        step.totalSteps > 0 ? static_cast<double>(step.step) / static_cast<double>(step.totalSteps)
                            : -1;
    bar(fraction, words);
}

void ProgressView::check(const jobs::EvalDone& check)
{
    std::string range;
    if (check.high > check.low)
        range = fmt::format(" ({} to {})", report::shortNumber(check.low),
                            report::shortNumber(check.high));
    say(fmt::format("step {}: loss on {} {}{}{}", grouped(check.step),
                    counted(check.rows, "checking row"), report::shortNumber(check.loss), range,
                    check.best ? ", the lowest so far" : ""));
}

} // namespace fettle::cli

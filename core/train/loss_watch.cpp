#include "train/loss_watch.h"

#include <algorithm>
#include <cmath>

namespace fettle::train {

namespace {

constexpr double kFast = 0.25, kSlow = 0.02;  // weight of the newest step
constexpr std::int64_t kSettling = 20;        // steps before the averages mean anything
// The fast average of losses that only scatter stays within two deviations. Six, and a rise that matters by
// itself, keep quiet over small losses with small scatter.
constexpr double kDeviations = 6, kLeastRise = 0.25, kLeastShare = 0.1;
// What one step may add: twice the limit, so that it takes three bad ones in a row and not one strange batch.
constexpr double kClipFast = 2;
// A loss that runs away must not widen what it is measured by: deviations that one step may count for.
constexpr double kClipUp = 1.5, kClipDown = 3, kLeastClip = 0.02;

} // namespace

double LossWatch::deviation() const { return std::sqrt(m_variance); }

double LossWatch::limit() const
{
    return std::max({kDeviations * deviation(), kLeastRise, kLeastShare * m_slow});
}

bool LossWatch::add(std::int64_t step, double loss)
{
    ++m_seen;
    // Plain means at first, so that the start does not hang on the first step.
    const double fast = std::max(kFast, 1.0 / static_cast<double>(m_seen));
    const double slow = std::max(kSlow, 1.0 / static_cast<double>(m_seen));
    const bool settled = m_seen > kSettling;
    const double most = limit();
    m_fast += fast * ((settled ? std::min(loss, m_slow + kClipFast * most) : loss) - m_fast);
    const double unit = std::max(deviation(), kLeastClip);
    const double away = settled ? std::clamp(loss - m_slow, -kClipDown * unit, kClipUp * unit) : loss - m_slow;
    if (m_seen > 1)
        m_variance = (1 - slow) * (m_variance + slow * away * away);
    m_slow += slow * away;
    if (!settled || m_fast - m_slow <= deviation())
        m_calmStep = step;
    return settled && m_fast - m_slow > limit();
}

Json LossWatch::json() const
{
    return {{"seen", m_seen}, {"calmStep", m_calmStep}, {"fast", m_fast}, {"slow", m_slow}, {"variance", m_variance}};
}

LossWatch LossWatch::from(const Json& json)
{
    LossWatch watch;
    watch.m_seen = json.at("seen"), watch.m_calmStep = json.at("calmStep");
    watch.m_fast = json.at("fast"), watch.m_slow = json.at("slow"), watch.m_variance = json.at("variance");
    return watch;
}

} // namespace fettle::train

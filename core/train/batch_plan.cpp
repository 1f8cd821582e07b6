#include "train/batch_plan.h"

#include <algorithm>
#include <numeric>

namespace fettle::train {

BatchPlan::BatchPlan(std::vector<std::int64_t> lengths, std::int64_t batchSize, std::int64_t microBatchTokens,
                     std::uint64_t seed)
    : m_lengths(std::move(lengths))
    , m_batchSize(batchSize)
    , m_microBatchTokens(microBatchTokens)
    , m_stepsPerPass((static_cast<std::int64_t>(m_lengths.size()) + batchSize - 1) / batchSize)
    , m_order(seed, "data order")
{
}

std::vector<std::vector<std::size_t>> BatchPlan::window(std::int64_t step) const
{
    const auto pass = step / m_stepsPerPass, inPass = step % m_stepsPerPass;
    const auto order = m_order.permutation(static_cast<std::uint32_t>(m_lengths.size()),
                                           static_cast<std::uint64_t>(pass));
    const auto begin = static_cast<std::size_t>(inPass * m_batchSize);
    const auto end = std::min(order.size(), begin + static_cast<std::size_t>(m_batchSize));
    std::vector<std::size_t> rows(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                  order.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::int64_t> lengths;
    for (const auto row : rows)
        lengths.push_back(m_lengths[row]);
    auto bins = packFirstFit(lengths, m_microBatchTokens);
    for (auto& bin : bins) {
        for (auto& index : bin)
            index = rows[index];
    }
    return bins;
}

std::vector<std::vector<std::size_t>> packFirstFit(std::span<const std::int64_t> lengths, std::int64_t capacity)
{
    std::vector<std::size_t> byLength(lengths.size());
    std::iota(byLength.begin(), byLength.end(), std::size_t{0});
    std::ranges::stable_sort(byLength, [&](auto a, auto b) { return lengths[a] > lengths[b]; });
    std::vector<std::vector<std::size_t>> bins;
    std::vector<std::int64_t> room;
    for (const auto item : byLength) {
        const auto fits = std::ranges::find_if(room, [&](auto left) { return left >= lengths[item]; });
        const auto bin = static_cast<std::size_t>(fits - room.begin());
        if (fits == room.end()) {
            bins.emplace_back();
            room.push_back(capacity);
        }
        bins[bin].push_back(item);
        room[bin] -= lengths[item];
    }
    return bins;
}

} // namespace fettle::train

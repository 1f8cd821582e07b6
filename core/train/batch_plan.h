#pragma once

#include "base/rng.h"
#include "train/encoded_row.h"

#include <cstdint>
#include <span>
#include <vector>

namespace fettle::train {

/// Which rows each step reads and how they share micro-batches: a pure function of seed and step, so
/// resuming needs no state. Rows are shuffled anew for each pass.
class BatchPlan
{
public:
    /// lengths: tokens of each row. microBatchTokens: most tokens in memory together; a longer row
    /// gets a micro-batch of its own.
    BatchPlan(std::vector<std::int64_t> lengths, std::int64_t batchSize, std::int64_t microBatchTokens,
              std::uint64_t seed);

    std::int64_t stepsPerPass() const { return m_stepsPerPass; }
    /// Row indices of one optimizer step (0-based), in micro-batches: first fit, longest first.
    std::vector<std::vector<std::size_t>> window(std::int64_t step) const;

private:
    std::vector<std::int64_t> m_lengths;
    std::int64_t m_batchSize, m_microBatchTokens, m_stepsPerPass;
    Rng m_order;
};

/// Puts items into bins of at most `capacity`, longest first, each into the first bin that has room
/// (equal lengths keep their order). Gives indices into `lengths`.
std::vector<std::vector<std::size_t>> packFirstFit(std::span<const std::int64_t> lengths, std::int64_t capacity);

} // namespace fettle::train

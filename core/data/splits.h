#pragma once

#include "data/example.h"

#include <array>
#include <span>

namespace fettle::data {

/// How rows are divided. Pure function of the plan and the rows' keys and groups: the same rows
/// give the same split on every machine and in every order.
struct SplitPlan
{
    std::array<double, 3> shares = {0.8, 0.1, 0.1}; ///< train, validation, test; sum 1
    std::uint64_t seed = 42;
    bool byGroup = false;      ///< rows of one group stay together
    bool proportional = false; ///< keep the share of each class (Labelled rows)
};

/// "80/10/10" -> shares. Errors: InvalidInput when they do not add up to 100.
Result<std::array<double, 3>> parseShares(const std::string& text);

/// What the division of a row depends on.
struct SplitKey
{
    std::string question; ///< questionKey()
    std::string group;    ///< used when plan.byGroup; may be empty
    std::string label;    ///< used when plan.proportional
};
SplitKey splitKeyOf(const Example& example);

/// Rows with equal questionKey() always get the same split, so that no twin of a test row is
/// trained on. Shares are exact (largest remainder) as long as no group is larger than what a split
/// may hold. With `proportional`, classes of fewer than three rows are for training only.
std::vector<Split> assignSplits(std::span<const Example> rows, const SplitPlan& plan);
std::vector<Split> assignSplits(std::span<const SplitKey> keys, const SplitPlan& plan);

/// Doubled rows and leaks, by index into `rows`.
struct SplitReport
{
    std::vector<std::vector<std::size_t>> duplicates; ///< groups of equal rows
    std::vector<std::pair<std::size_t, std::size_t>>
        leaks; ///< (training row, validation or test row) with the same question
};
SplitReport checkSplits(std::span<const Example> rows, std::span<const Split> splits);

} // namespace fettle::data

#include "data/splits.h"

#include "base/sha256.h"
#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <numeric>
#include <string_view>
#include <unordered_map>

namespace fettle::data {

namespace {

/// Rows that must stay together.
struct Unit
{
    std::vector<std::size_t> rows;
    std::string key;   ///< the smallest key of its rows, so that the order of rows does not matter
    std::string hash;  ///< decides the place in the queue
    std::string label; ///< class of the row with the smallest key
};

class UnionFind
{
public:
    explicit UnionFind(std::size_t size)
        : m_parent(size)
    {
        std::iota(m_parent.begin(), m_parent.end(), 0u);
    }

    std::size_t find(std::size_t i)
    {
        while (m_parent[i] != i)
            i = m_parent[i] = m_parent[m_parent[i]];
        return i;
    }
    void join(std::size_t a, std::size_t b) { m_parent[find(a)] = find(b); }

private:
    std::vector<std::size_t> m_parent;
};

std::vector<Unit> unitsOf(std::span<const SplitKey> keys, const SplitPlan& plan)
{
    UnionFind sets(keys.size());
    std::unordered_map<std::string_view, std::size_t> byQuestion, byGroup;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        sets.join(i, byQuestion.try_emplace(keys[i].question, i).first->second);
        if (plan.byGroup && !keys[i].group.empty())
            sets.join(i, byGroup.try_emplace(keys[i].group, i).first->second);
    }
    std::map<std::size_t, Unit> units;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        Unit& unit = units[sets.find(i)];
        const auto better = std::pair(keys[i].question, keys[i].label);
        if (unit.rows.empty() || better < std::pair(unit.key, unit.label))
            std::tie(unit.key, unit.label) = better;
        unit.rows.push_back(i);
    }
    std::vector<Unit> result;
    result.reserve(units.size());
    for (auto& [root, unit] : units) {
        unit.hash = sha256(fmt::format("{}:{}", plan.seed, unit.key));
        result.push_back(std::move(unit));
    }
    std::sort(result.begin(), result.end(),
              [](const Unit& a, const Unit& b) { return a.hash < b.hash; });
    return result;
}

/// Whole numbers that add up to `total` and lie as near as possible to the quotas: floors, then one
/// more for the largest remainders (earlier entries first among equals). None exceeds its limit.
std::vector<std::int64_t> largestRemainder(const std::vector<double>& quotas, std::int64_t total,
                                           const std::vector<std::int64_t>& limits)
{
    std::vector<std::int64_t> counts(quotas.size());
    std::vector<std::size_t> order(quotas.size());
    std::iota(order.begin(), order.end(), 0u);
    std::int64_t given = 0;
    for (std::size_t i = 0; i < quotas.size(); ++i) {
        counts[i] = std::min(limits[i], static_cast<std::int64_t>(std::floor(quotas[i] + 1e-9)));
        given += counts[i];
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return quotas[a] - std::floor(quotas[a] + 1e-9) >
               quotas[b] - std::floor(quotas[b] + 1e-9) + 1e-12;
    });
    for (const std::size_t i : order) {
        if (given < total && counts[i] < limits[i]) {
            ++counts[i];
            ++given;
        }
    }
    return counts;
}

using Counts = std::array<std::int64_t, 3>;

Counts wantedCounts(std::int64_t rows, const SplitPlan& plan)
{
    std::vector<double> quotas;
    for (const double share : plan.shares)
        quotas.push_back(share * static_cast<double>(rows));
    const auto counts = largestRemainder(quotas, rows, {rows, rows, rows});
    return {counts[0], counts[1], counts[2]};
}

/// Gives units to test and validation, in the order of their hashes, as long as that brings the
/// split nearer to its size; the rest is for training.
void fill(const std::vector<const Unit*>& units, Counts wanted, std::vector<Split>& splits)
{
    for (const Unit* unit : units) {
        const auto size = static_cast<std::int64_t>(unit->rows.size());
        auto split = Split::Train;
        for (const auto candidate : {Split::Test, Split::Validation}) {
            auto& missing = wanted[static_cast<std::size_t>(candidate)];
            if (size < 2 * missing) {
                missing -= size;
                split = candidate;
                break;
            }
        }
        for (const std::size_t row : unit->rows)
            splits[row] = split;
    }
}

/// With few large groups a split may have got nothing although it should have something: it then
/// gets the smallest unit of the training rows, as long as training keeps one.
void fillEmptySplits(const std::vector<const Unit*>& units, const Counts& wanted,
                     std::vector<Split>& splits)
{
    for (const auto split : {Split::Test, Split::Validation}) {
        if (wanted[static_cast<std::size_t>(split)] == 0)
            continue;
        std::vector<const Unit*> training;
        bool empty = true;
        for (const Unit* unit : units) {
            const Split present = splits[unit->rows.front()];
            empty = empty && present != split;
            if (present == Split::Train)
                training.push_back(unit);
        }
        if (!empty || training.size() < 2)
            continue;
        const auto* smallest =
            *std::min_element(training.begin(), training.end(), [](const Unit* a, const Unit* b) {
                return a->rows.size() < b->rows.size();
            });
        for (const std::size_t row : smallest->rows)
            splits[row] = split;
    }
}

void assignByClass(const std::vector<const Unit*>& units, const Counts& wanted,
                   const SplitPlan& plan, std::vector<Split>& splits)
{
    std::map<std::string, std::vector<const Unit*>> classes;
    for (const Unit* unit : units)
        classes[unit->label].push_back(unit);
    std::vector<double> testQuotas, validationQuotas;
    std::vector<std::int64_t> limits;
    for (const auto& [label, members] : classes) {
        std::int64_t rows = 0;
        for (const Unit* unit : members)
            rows += static_cast<std::int64_t>(unit->rows.size());
        const bool tooFew = rows < 3;
        limits.push_back(tooFew ? 0 : rows - 1); // one stays for training
        testQuotas.push_back(tooFew ? 0 : plan.shares[2] * static_cast<double>(rows));
        validationQuotas.push_back(tooFew ? 0 : plan.shares[1] * static_cast<double>(rows));
    }
    const auto test = largestRemainder(testQuotas, wanted[2], limits);
    for (std::size_t i = 0; i < limits.size(); ++i)
        limits[i] -= test[i];
    const auto validation = largestRemainder(validationQuotas, wanted[1], limits);
    std::size_t i = 0;
    for (const auto& [label, members] : classes) {
        fill(members, {0, validation[i], test[i]}, splits);
        ++i;
    }
}

} // namespace

Result<std::array<double, 3>> parseShares(const std::string& text)
{
    const Error error{ErrorCode::InvalidInput,
                      "the shares must be three numbers that add up to 100", "split",
                      "Write them like 80/10/10"};
    const auto parts = splitOn(text, '/');
    if (parts.size() != 3)
        return error;
    std::array<double, 3> shares{};
    for (std::size_t i = 0; i < 3; ++i) {
        const std::string part = trimmed(parts[i]);
        const auto [end, status] =
            std::from_chars(part.data(), part.data() + part.size(), shares[i]);
        if (status != std::errc() || end != part.data() + part.size() || !(shares[i] >= 0))
            return error;
    }
    const double sum = shares[0] + shares[1] + shares[2];
    if (std::abs(sum - 100) > 1e-6 && std::abs(sum - 1) > 1e-6)
        return error;
    if (shares[0] <= 0)
        return Error{ErrorCode::InvalidInput, "no rows would be left for training", "split",
                     "Give the first share more than 0"};
    for (double& share : shares)
        share /= sum;
    return shares;
}

SplitKey splitKeyOf(const Example& example)
{
    return {questionKey(example), example.group, example.label};
}

std::vector<Split> assignSplits(std::span<const Example> rows, const SplitPlan& plan)
{
    std::vector<SplitKey> keys;
    keys.reserve(rows.size());
    for (const auto& row : rows)
        keys.push_back(splitKeyOf(row));
    return assignSplits(keys, plan);
}

std::vector<Split> assignSplits(std::span<const SplitKey> keys, const SplitPlan& plan)
{
    std::vector<Split> splits(keys.size(), Split::Train);
    const auto units = unitsOf(keys, plan);
    std::vector<const Unit*> order;
    for (const Unit& unit : units)
        order.push_back(&unit);
    const Counts wanted = wantedCounts(static_cast<std::int64_t>(keys.size()), plan);
    if (plan.proportional) {
        assignByClass(order, wanted, plan, splits);
    } else {
        fill(order, wanted, splits);
        fillEmptySplits(order, wanted, splits);
    }
    return splits;
}

SplitReport checkSplits(std::span<const Example> rows, std::span<const Split> splits)
{
    SplitReport report;
    std::unordered_map<std::string, std::vector<std::size_t>> byContent, byQuestion;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        byContent[duplicateKey(rows[i])].push_back(i);
        byQuestion[questionKey(rows[i])].push_back(i);
    }
    for (auto& [key, group] : byContent) {
        if (group.size() > 1)
            report.duplicates.push_back(std::move(group));
    }
    for (const auto& [key, group] : byQuestion) {
        const auto trained = std::find_if(group.begin(), group.end(),
                                          [&](std::size_t i) { return splits[i] == Split::Train; });
        if (trained == group.end())
            continue;
        for (const std::size_t i : group) {
            if (splits[i] != Split::Train)
                report.leaks.emplace_back(*trained, i);
        }
    }
    std::sort(report.duplicates.begin(), report.duplicates.end());
    std::sort(report.leaks.begin(), report.leaks.end());
    return report;
}

} // namespace fettle::data

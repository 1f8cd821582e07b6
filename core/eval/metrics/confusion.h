#pragma once

#include "eval/answer_text.h"
#include "eval/metric.h"

#include <map>

namespace fettle::eval {

/// How often a class was true and said, true, said.
struct ClassCounts
{
    double hits = 0, inTruth = 0, inPrediction = 0;
};

/// Counts per class over the union of classes in truth and prediction (scikit-learn's rule); the
/// score is made from the counts. Answers are compared without white space at their ends.
class Confusion final : public PreparedMetric
{
public:
    using Formula = double (*)(std::span<const ClassCounts> classes);

    Confusion(std::span<const RowPrediction> rows, Formula formula)
        : m_formula(formula)
    {
        std::map<std::string, std::size_t> ids;
        const auto idOf = [&](const std::string& text) {
            return ids.try_emplace(strippedText(text), ids.size()).first->second;
        };
        for (const auto& row : rows) {
            const std::size_t truth = idOf(row.reference);
            m_pairs.push_back({truth, idOf(row.prediction)});
        }
        m_classes = ids.size();
    }
    std::size_t rows() const override { return m_pairs.size(); }
    std::size_t size() const override { return 3 * m_classes; }
    void add(std::size_t row, std::span<double> sums) const override
    {
        const auto [truth, said] = m_pairs[row];
        sums[3 * truth] += truth == said ? 1 : 0;
        sums[3 * truth + 1] += 1;
        sums[3 * said + 2] += 1;
    }
    double value(std::span<const double> sums) const override
    {
        std::vector<ClassCounts> counts;
        for (std::size_t i = 0; i < sums.size(); i += 3) {
            // A class that a resample does not hold is no class there.
            if (sums[i + 1] + sums[i + 2] > 0)
                counts.push_back({sums[i], sums[i + 1], sums[i + 2]});
        }
        return m_formula(counts);
    }

private:
    struct Pair
    {
        std::size_t truth, said;
    };
    std::vector<Pair> m_pairs;
    std::size_t m_classes = 0;
    Formula m_formula;
};

} // namespace fettle::eval

#pragma once

#include "eval/metric.h"

namespace fettle::eval {

/// Sums of losses and tokens, so that long rows count as long; the score is a function of the mean.
class LossSums final : public PreparedMetric
{
public:
    LossSums(std::span<const RowPrediction> rows, double (*score)(double meanLoss))
        : m_score(score)
    {
        m_figures.reserve(rows.size());
        for (const auto& row : rows)
            m_figures.push_back({row.lossSum, static_cast<double>(row.tokens)});
    }
    std::size_t rows() const override { return m_figures.size(); }
    std::size_t size() const override { return 2; }
    void add(std::size_t row, std::span<double> sums) const override
    {
        sums[0] += m_figures[row].loss;
        sums[1] += m_figures[row].tokens;
    }
    double value(std::span<const double> sums) const override { return m_score(sums[0] / sums[1]); }

private:
    struct Figures
    {
        double loss, tokens;
    };
    std::vector<Figures> m_figures;
    double (*m_score)(double);
};

} // namespace fettle::eval

#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

class Rouge2 final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "rouge2",
                .title = "ROUGE-2",
                .help = "Pairs of words shared with the wanted answer, as F1.",
                .source = "google-research rouge_scorer, rouge2, no stemmer",
                .suits = Suits::Answers,
                .suggested = false};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(
                rougeN(rougeTokens(row.reference), rougeTokens(row.prediction), 2).f1());
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeRouge2() { return std::make_unique<Rouge2>(); }

} // namespace fettle::eval

#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

class RougeLStem final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "rougeL-stem",
                .title = "ROUGE-L, word stems",
                .help = "Longest sequence of word stems shared with the wanted answer, as F1; "
                        "English only.",
                .source = "google-research rouge_scorer, rougeL with stemmer",
                .suits = Suits::Answers,
                .suggested = false};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(
                rougeL(rougeTokens(row.reference, true), rougeTokens(row.prediction, true)).f1());
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeRougeLStem() { return std::make_unique<RougeLStem>(); }

} // namespace fettle::eval

#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

class RougeL final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "rougeL",
                .title = "ROUGE-L",
                .help = "Longest sequence of words shared with the wanted answer, as F1; letters a "
                        "to z and digits only.",
                .source = "google-research rouge_scorer, rougeL, no stemmer",
                .suits = Suits::Answers};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(rougeL(rougeTokens(row.reference), rougeTokens(row.prediction)).f1());
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeRougeL() { return std::make_unique<RougeL>(); }

} // namespace fettle::eval

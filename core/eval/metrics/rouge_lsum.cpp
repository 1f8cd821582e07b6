#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

class RougeLsum final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "rougeLsum",
                .title = "ROUGE-Lsum",
                .help =
                    "Longest sequences of words shared with the wanted answer line by line, as F1.",
                .source = "google-research rouge_scorer, rougeLsum, no stemmer",
                .suits = Suits::Answers,
                .suggested = false};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(rougeLsum(row.reference, row.prediction).f1());
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeRougeLsum() { return std::make_unique<RougeLsum>(); }

} // namespace fettle::eval

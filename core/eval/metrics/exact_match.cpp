#include "eval/answer_text.h"
#include "eval/metric.h"

namespace fettle::eval {

namespace {

class ExactMatch final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "exactMatch",
                .title = "Exact match",
                .help = "Share of answers equal to the wanted one but for case, punctuation and "
                        "the articles a, an, the.",
                .source = "Rajpurkar et al. 2016 (SQuAD), evaluation script v1.1",
                .suits = Suits::Everything,
                .proportion = true};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(squadNormalised(row.reference) == squadNormalised(row.prediction) ? 1
                                                                                               : 0);
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeExactMatch() { return std::make_unique<ExactMatch>(); }

} // namespace fettle::eval

#include "eval/metric.h"

namespace fettle::eval {

namespace {

class ExactMatchRaw final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "exactMatchRaw",
                .title = "Exact match, to the letter",
                .help = "Share of answers equal to the wanted one, character by character.",
                .source = "equality of strings",
                .suits = Suits::Everything,
                .proportion = true,
                .suggested = false};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(row.reference == row.prediction ? 1 : 0);
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeExactMatchRaw() { return std::make_unique<ExactMatchRaw>(); }

} // namespace fettle::eval

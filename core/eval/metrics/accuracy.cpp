#include "eval/answer_text.h"
#include "eval/metric.h"

namespace fettle::eval {

namespace {

class Accuracy final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "accuracy",
                .title = "Accuracy",
                .help = "Share of rows with the right class.",
                .source = "scikit-learn accuracy_score",
                .suits = Suits::Classes,
                .proportion = true};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(strippedText(row.reference) == strippedText(row.prediction) ? 1 : 0);
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeAccuracy() { return std::make_unique<Accuracy>(); }

} // namespace fettle::eval

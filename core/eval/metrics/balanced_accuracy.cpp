#include "eval/metrics/confusion.h"

namespace fettle::eval {

namespace {

class BalancedAccuracy final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "balancedAccuracy",
                .title = "Balanced accuracy",
                .help = "Mean share of right rows over the true classes.",
                .source = "scikit-learn balanced_accuracy_score",
                .suits = Suits::Classes};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        return std::make_unique<Confusion>(rows, [](std::span<const ClassCounts> classes) {
            double sum = 0, count = 0;
            for (const auto& c : classes) {
                if (c.inTruth > 0)
                    sum += c.hits / c.inTruth, ++count;
            }
            return sum / count;
        });
    }
};

} // namespace

std::unique_ptr<Metric> makeBalancedAccuracy() { return std::make_unique<BalancedAccuracy>(); }

} // namespace fettle::eval

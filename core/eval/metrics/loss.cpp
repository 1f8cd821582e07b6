#include "eval/metrics/loss_sums.h"

#include <limits>

namespace fettle::eval {

namespace {

class Loss final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "loss",
                .title = "Loss",
                .help = "How surprised the model is by the wanted answers, in nats per word piece; "
                        "lower is better.",
                .source = "mean negative log-likelihood over tokens",
                .low = 0,
                .high = std::numeric_limits<double>::infinity(),
                .direction = Direction::LowerIsBetter,
                .reads = Reads::Loss,
                .suits = Suits::Everything};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        return std::make_unique<LossSums>(rows, [](double mean) { return mean; });
    }
};

} // namespace

std::unique_ptr<Metric> makeLoss() { return std::make_unique<Loss>(); }

} // namespace fettle::eval

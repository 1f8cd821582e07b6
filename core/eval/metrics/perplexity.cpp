#include "eval/metrics/loss_sums.h"

#include <cmath>
#include <limits>

namespace fettle::eval {

namespace {

class Perplexity final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "perplexity",
                .title = "Surprise (perplexity)",
                .help = "Among how many word pieces the model is in doubt, on average; comparable "
                        "only between models "
                        "with the same word pieces.",
                .source =
                    "exp of the summed negative log-likelihood over the number of predicted tokens",
                .low = 1,
                .high = std::numeric_limits<double>::infinity(),
                .direction = Direction::LowerIsBetter,
                .reads = Reads::Loss,
                .suits = Suits::Everything};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        return std::make_unique<LossSums>(rows, [](double mean) { return std::exp(mean); });
    }
};

} // namespace

std::unique_ptr<Metric> makePerplexity() { return std::make_unique<Perplexity>(); }

} // namespace fettle::eval

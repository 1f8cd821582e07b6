#include "eval/metrics/confusion.h"

namespace fettle::eval {

namespace {

class MacroF1 final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {
            .id = "macroF1",
            .title = "Macro-F1",
            .help =
                "Mean of the F1 of each class, so that rare classes count as much as common ones.",
            .source =
                "scikit-learn f1_score, average=macro, over the classes in truth or prediction",
            .suits = Suits::Classes};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        return std::make_unique<Confusion>(rows, [](std::span<const ClassCounts> classes) {
            double sum = 0;
            for (const auto& c : classes)
                sum += 2 * c.hits / (c.inTruth + c.inPrediction);
            return sum / static_cast<double>(classes.size());
        });
    }
};

} // namespace

std::unique_ptr<Metric> makeMacroF1() { return std::make_unique<MacroF1>(); }

} // namespace fettle::eval

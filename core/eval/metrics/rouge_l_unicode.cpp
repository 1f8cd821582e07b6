#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

class RougeLUnicode final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "rougeL-u",
                .title = "ROUGE-L, any script",
                .help = "Longest sequence of words shared with the wanted answer, as F1; words of "
                        "any script.",
                .source = "rougeL over words of letters, marks and digits",
                .suits = Suits::Answers,
                .suggested = false};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(
                rougeL(unicodeTokens(row.reference), unicodeTokens(row.prediction)).f1());
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeRougeLUnicode() { return std::make_unique<RougeLUnicode>(); }

} // namespace fettle::eval

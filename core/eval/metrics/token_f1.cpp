#include "eval/answer_text.h"
#include "eval/metric.h"
#include "eval/rouge.h"

namespace fettle::eval {

namespace {

/// F1 of the words of two answers as multisets; no common word gives 0, even when both are empty.
double squadF1(const std::string& reference, const std::string& prediction)
{
    return rougeN(splitWhitespace(squadNormalised(reference)),
                  splitWhitespace(squadNormalised(prediction)), 1)
        .f1();
}

class TokenF1 final : public Metric
{
public:
    MetricSpec spec() const override
    {
        return {.id = "tokenF1",
                .title = "Word F1",
                .help = "How many words the answer shares with the wanted one, without case, "
                        "punctuation and articles.",
                .source = "Rajpurkar et al. 2016 (SQuAD), evaluation script v1.1",
                .suits = Suits::Answers};
    }
    std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const override
    {
        std::vector<double> values;
        for (const auto& row : rows)
            values.push_back(squadF1(row.reference, row.prediction));
        return meanOf(std::move(values));
    }
};

} // namespace

std::unique_ptr<Metric> makeTokenF1() { return std::make_unique<TokenF1>(); }

} // namespace fettle::eval

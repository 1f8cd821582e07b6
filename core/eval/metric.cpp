#include "eval/metric.h"

namespace fettle::eval {

#define ADD(name) std::unique_ptr<Metric> make##name();
#include "eval/metrics/list.inc"
#undef ADD

namespace {

class MeanMetric final : public PreparedMetric
{
public:
    explicit MeanMetric(std::vector<double> values)
        : m_values(std::move(values))
    {
    }
    std::size_t rows() const override { return m_values.size(); }
    std::size_t size() const override { return 2; }
    void add(std::size_t row, std::span<double> sums) const override
    {
        sums[0] += m_values[row];
        sums[1] += 1;
    }
    double value(std::span<const double> sums) const override { return sums[0] / sums[1]; }

private:
    std::vector<double> m_values;
};

} // namespace

const std::vector<std::unique_ptr<Metric>>& metrics()
{
    static const auto all = [] {
        std::vector<std::unique_ptr<Metric>> list;
#define ADD(name) list.push_back(make##name());
#include "eval/metrics/list.inc"
#undef ADD
        return list;
    }();
    return all;
}

const Metric* findMetric(const std::string& id)
{
    for (const auto& metric : metrics()) {
        if (metric->spec().id == id)
            return metric.get();
    }
    return nullptr;
}

std::unique_ptr<PreparedMetric> meanOf(std::vector<double> values)
{
    return std::make_unique<MeanMetric>(std::move(values));
}

double scoreOf(const PreparedMetric& metric)
{
    std::vector<double> sums(metric.size());
    for (std::size_t row = 0; row < metric.rows(); ++row)
        metric.add(row, sums);
    return metric.value(sums);
}

} // namespace fettle::eval

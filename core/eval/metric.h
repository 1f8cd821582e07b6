#pragma once

#include "eval/prediction.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace fettle::eval {

enum class Direction
{
    HigherIsBetter,
    LowerIsBetter
};

/// What a metric reads of a row.
enum class Reads
{
    Loss,
    Answer
};

/// For which kind of data a metric is suggested.
enum class Suits
{
    Everything,
    Answers,
    Classes
};

/// What people and files need to know about a metric.
struct MetricSpec
{
    std::string id;     ///< "exactMatch": stable, in files and tables
    std::string title;  ///< words on screen
    std::string help;   ///< one sentence
    std::string source; ///< definition that it follows
    double low = 0;     ///< smallest and largest possible value
    double high = 1;
    Direction direction = Direction::HigherIsBetter;
    Reads reads = Reads::Answer;
    Suits suits = Suits::Answers;
    bool proportion = false; ///< the score is a share of rows that are right: Wilson interval
    bool suggested = true;   ///< part of the usual table; others only when asked for by id
};

/// A metric made ready for a set of rows: additive figures of each row, and the score from their
/// sums. Bootstrap resamples only add these figures again, so a corpus score is recomputed, never
/// averaged.
class PreparedMetric
{
public:
    virtual ~PreparedMetric() = default;
    virtual std::size_t rows() const = 0;
    /// Number of figures that are summed.
    virtual std::size_t size() const = 0;
    /// Adds the figures of row `row` to `sums` [size()].
    virtual void add(std::size_t row, std::span<double> sums) const = 0;
    /// The score; NaN when it is undefined for these sums.
    virtual double value(std::span<const double> sums) const = 0;
};

/// One way of scoring. A new one is a file in eval/metrics/ and a line in eval/metrics/list.inc.
class Metric
{
public:
    virtual ~Metric() = default;
    virtual MetricSpec spec() const = 0;
    /// `rows` are those that have what the metric reads; they are copied as far as they are needed.
    virtual std::unique_ptr<PreparedMetric> prepare(std::span<const RowPrediction> rows) const = 0;
};

/// All metrics in the order people see them.
const std::vector<std::unique_ptr<Metric>>& metrics();
/// By id; nullptr when there is none.
const Metric* findMetric(const std::string& id);

/// Mean of one number per row.
std::unique_ptr<PreparedMetric> meanOf(std::vector<double> values);

/// Score over all rows, each counted once.
double scoreOf(const PreparedMetric& metric);

} // namespace fettle::eval

#include "eval/score.h"

#include "eval/answer_text.h"
#include "eval/intervals.h"
#include "eval/rouge.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>

namespace fettle::eval {

namespace {

constexpr std::size_t kLongestClassName = 64; // bytes

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// True when google's words leave a reference with nothing although it has letters.
bool needsUnicodeWords(std::span<const RowPrediction> rows)
{
    return std::ranges::any_of(rows, [](const RowPrediction& row) {
        return row.hasAnswer && rougeTokens(row.reference).empty() &&
               !unicodeTokens(row.reference).empty();
    });
}

std::vector<std::string> suggestedMetrics(data::RecordKind kind,
                                          std::span<const RowPrediction> rows)
{
    const bool classes = kind == data::RecordKind::Labelled || looksLikeClasses(rows);
    const bool answers = kind != data::RecordKind::Labelled;
    std::vector<std::string> ids;
    for (const auto& metric : metrics()) {
        const auto spec = metric->spec();
        const bool suits = spec.suits == Suits::Everything ||
                           (spec.suits == Suits::Classes && classes) ||
                           (spec.suits == Suits::Answers && answers);
        if (suits && spec.suggested)
            ids.push_back(spec.id);
    }
    if (needsUnicodeWords(rows))
        std::ranges::replace(ids, std::string("rougeL"), std::string("rougeL-u"));
    return ids;
}

Score scoreWith(const Metric& metric, std::span<const RowPrediction> rows,
                const ScoreOptions& options)
{
    const auto spec = metric.spec();
    const auto prepared = metric.prepare(rows);
    Score score{.id = spec.id,
                .title = spec.title,
                .value = scoreOf(*prepared),
                .direction = spec.direction};
    score.rows = static_cast<std::int64_t>(rows.size());
    Interval interval;
    if (spec.proportion) {
        const double right = score.value * static_cast<double>(score.rows);
        interval = wilsonInterval(std::llround(right), score.rows);
        score.method = "Wilson interval over rows";
    } else {
        interval = bootstrapInterval(*prepared, options.resamples, randomResamples(options.seed));
        score.method = fmt::format("bootstrap over rows, {} resamples", options.resamples);
    }
    score.low = interval.low;
    score.high = interval.high;
    return score;
}

} // namespace

std::vector<RowPrediction> rowsFor(const MetricSpec& metric, std::span<const RowPrediction> rows)
{
    std::vector<RowPrediction> kept;
    std::ranges::copy_if(rows, std::back_inserter(kept), [&](const RowPrediction& row) {
        return metric.reads == Reads::Loss ? row.tokens > 0 : row.hasAnswer;
    });
    return kept;
}

bool looksLikeClasses(std::span<const RowPrediction> rows)
{
    std::map<std::string, std::size_t> counts;
    for (const auto& row : rows) {
        const auto name = strippedText(row.reference);
        if (name.empty() || name.size() > kLongestClassName || name.find('\n') != std::string::npos)
            return false;
        ++counts[name];
    }
    // Four rows a class on average; a single answer for all rows is no classification.
    return counts.size() >= 2 && counts.size() * 4 <= rows.size();
}

std::vector<Score> scoreRows(data::RecordKind kind, std::span<const RowPrediction> rows,
                             const ScoreOptions& options)
{
    std::vector<Score> scores;
    for (const auto& id :
         options.metrics.empty() ? suggestedMetrics(kind, rows) : options.metrics) {
        const Metric* metric = findMetric(id);
        if (metric == nullptr)
            continue;
        if (const auto kept = rowsFor(metric->spec(), rows); !kept.empty())
            scores.push_back(scoreWith(*metric, kept, options));
    }
    return scores;
}

Json toJson(const Score& score)
{
    return {{"id", score.id},
            {"title", score.title},
            {"value", number(score.value)},
            {"low", number(score.low)},
            {"high", number(score.high)},
            {"rows", score.rows},
            {"method", score.method},
            {"better", score.direction == Direction::HigherIsBetter ? "higher" : "lower"}};
}

Result<Score> scoreFromJson(const Json& json)
{
    if (!json.is_object() || !json.contains("id") || !json["id"].is_string())
        return Error{ErrorCode::InvalidInput, "a score has no name", "",
                     "Evaluate the model again"};
    const auto real = [&](const char* key) {
        return json.contains(key) && json[key].is_number()
                   ? json[key].get<double>()
                   : std::numeric_limits<double>::quiet_NaN();
    };
    const auto text = [&](const char* key) {
        return json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                           : std::string();
    };
    Score score{.id = text("id"),
                .title = text("title"),
                .value = real("value"),
                .low = real("low"),
                .high = real("high")};
    score.rows = json.contains("rows") && json["rows"].is_number_integer()
                     ? json["rows"].get<std::int64_t>()
                     : 0;
    score.method = text("method");
    score.direction =
        text("better") == "lower" ? Direction::LowerIsBetter : Direction::HigherIsBetter;
    return score;
}

} // namespace fettle::eval

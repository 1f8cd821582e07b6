#pragma once

#include "model/language_model.h"
#include "objectives/specs.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fettle::objectives {

/// Rows of one micro-batch: packed documents with the tokens that are learned.
struct Batch
{
    model::PackedTokens tokens;
    std::vector<std::uint8_t> trained;   ///< [T]; 1: this token is a target. Never the first of a document.
    std::vector<std::int64_t> rows;      ///< [documents] which example each document is

    /// One document more. ids and trained have the same length.
    void add(std::span<const std::int32_t> ids, std::span<const std::uint8_t> isTrained, std::int64_t row);
    std::int64_t trainedCount() const;
    /// [T] row and position of each token as one number: see model::PassContext::places.
    std::vector<std::int64_t> places() const;
};

/// Additive counts of a window, by name: {"tokens": 812}.
using Totals = std::map<std::string, double>;

struct Loss
{
    at::Tensor value;                    ///< scalar, already divided by the window's totals
    double sum = 0;                      ///< undivided, nats
    /// Of a training pass on a device: the sum as a scalar in float64 that nobody has waited for; then `sum`,
    /// `correct` and the rows' figures stay empty.
    at::Tensor sumThere;
    double weight = 0;                   ///< what it is a sum over
    std::int64_t correct = 0;            ///< targets that were the likeliest token
    std::vector<double> rowSum;          ///< [documents] sum over the document's targets
    std::vector<std::int64_t> rowWeight; ///< [documents] number of targets
};

struct TrainContext
{
    model::LanguageModel& policy;
    model::PassContext pass;
};

/// What is minimised. Exact under accumulation: the totals of the whole window are known before the
/// first backward pass, and the losses of its micro-batches add up to the loss of the window.
class Objective
{
public:
    virtual ~Objective() = default;
    virtual ObjectiveSpec spec() const = 0;
    virtual Totals measure(const Batch& batch) const = 0;
    virtual Loss compute(TrainContext& context, const Batch& batch, const Totals& window) const = 0;
};

/// By id. Errors: NotFound.
Result<std::unique_ptr<Objective>> makeObjective(const std::string& id);

} // namespace fettle::objectives

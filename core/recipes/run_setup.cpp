#include "recipes/run_setup.h"

#include "base/rng.h"
#include "methods/specs.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace fettle::recipes {

namespace {

bool isRunningText(const data::Example& example)
{
    return example.kind == data::RecordKind::Completion && example.prompt.empty();
}

/// Running text longer than the limit becomes several rows; the first piece of each is only read.
void addPieces(std::vector<train::EncodedRow>& out, std::int64_t row, const text::EncodedExample& encoded,
               std::size_t limit)
{
    for (std::size_t from = 0; from < encoded.ids.size(); from += limit) {
        const auto to = std::min(encoded.ids.size(), from + limit);
        train::EncodedRow piece{row, {encoded.ids.begin() + static_cast<std::ptrdiff_t>(from), encoded.ids.begin() + static_cast<std::ptrdiff_t>(to)},
                                {encoded.trained.begin() + static_cast<std::ptrdiff_t>(from), encoded.trained.begin() + static_cast<std::ptrdiff_t>(to)}};
        piece.trained[0] = 0;
        if (std::ranges::count(piece.trained, 1) > 0)
            out.push_back(std::move(piece));
    }
}

/// At most `limit` indices of `count`, the same for the same seed, in their own order.
std::set<std::size_t> fixedChoice(std::size_t count, std::size_t limit, std::uint64_t seed)
{
    const auto order = Rng(seed, "checking rows").permutation(static_cast<std::uint32_t>(count), 0);
    return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(count, limit))};
}

} // namespace

ParamValues resolvedSettings(const ParamValues& settings, const model::ModelConfig& config)
{
    ParamValues out = settings;
    if (out.real("training.learningRate") == 0) {
        for (const auto& spec : methods::methodSpecs()) {
            if (spec.id == out.text("method"))
                out.set("training.learningRate", spec.learningRate).value();
        }
    }
    const auto longest = out.integer("training.maxLength");
    if (!out.isSet("training.maxLength") && config.maxPositions >= 8 && config.maxPositions < longest)
        out.set("training.maxLength", config.maxPositions).value();
    return out;
}

Result<EncodedSplits> encodeRows(const Encoder& encoder, const std::vector<store::DatasetRow>& rows,
                                 const ParamValues& settings, std::uint64_t seed,
                                 const std::function<bool(std::size_t)>& stop)
{
    const auto lossOn = lossOnFrom(settings.text("sft.lossOn"));
    const auto limit = static_cast<std::size_t>(settings.integer("training.maxLength"));
    EncodedSplits out;
    std::optional<Error> firstRefusal;
    std::size_t done = 0;
    for (const auto& row : rows) {
        if (stop && done++ % 256 == 0 && stop(done))
            return Error{ErrorCode::Cancelled, "stopped", "", ""};
        if (row.split == data::Split::Test)
            continue;
        auto encoded = encoder.encode(row.example, lossOn);
        if (!encoded) {
            ++out.refused;
            if (!firstRefusal)
                firstRefusal = at(encoded.error(), fmt::format("row {}", row.id));
            continue;
        }
        auto& target = row.split == data::Split::Train ? out.train : out.validation;
        if (encoded->ids.size() > limit && !isRunningText(row.example)) {
            ++out.tooLong;
            continue;
        }
        const auto before = target.size();
        addPieces(target, row.id, *encoded, limit);
        out.untaught += target.size() == before;
        if (row.split == data::Split::Validation)
            out.validationExamples.resize(out.validation.size(), row.example);
    }
    if (out.train.empty() && firstRefusal)
        return *firstRefusal;
    if (out.train.empty())
        return Error{ErrorCode::InvalidInput,
                     fmt::format("no training row is left ({} too long, {} without a taught piece)", out.tooLong, out.untaught),
                     "dataset", "Raise training.maxLength, or add training rows"};
    const auto chosen = fixedChoice(out.validation.size(), static_cast<std::size_t>(settings.integer("checks.maxRows")), seed);
    std::vector<train::EncodedRow> kept;
    std::vector<data::Example> keptExamples;
    for (const auto index : chosen) {
        kept.push_back(std::move(out.validation[index]));
        keptExamples.push_back(std::move(out.validationExamples[index]));
    }
    out.validation = std::move(kept);
    out.validationExamples = std::move(keptExamples);
    return out;
}

std::vector<data::Example> fixedQuestions(const EncodedSplits& splits, const ParamValues& settings)
{
    std::vector<data::Example> out;
    for (const auto& example : splits.validationExamples) {
        if (out.size() < static_cast<std::size_t>(settings.integer("checks.prompts")) && !isRunningText(example))
            out.push_back(example);
    }
    return out;
}

} // namespace fettle::recipes

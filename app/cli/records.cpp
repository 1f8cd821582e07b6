#include "cli/records.h"

#include "base/clock.h"

#include <fmt/format.h>

namespace fettle::cli {

namespace {

OrderedJson timeOrNull(std::int64_t milliseconds)
{
    return milliseconds == 0 ? OrderedJson(nullptr) : OrderedJson(isoTime(milliseconds));
}

OrderedJson numberOrNull(const std::optional<double>& value)
{
    return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

} // namespace

OrderedJson toJson(const store::ModelRecord& model)
{
    return {{"name", model.name},
            {"folder", model.folder.string()},
            {"family", model.family},
            {"parameters", model.parameters},
            {"contextLength", model.contextLength},
            {"bytes", model.bytes},
            {"licence", model.licence},
            {"digest", model.digest},
            {"addedAt", timeOrNull(model.addedAt)},
            {"info", model.info}};
}

OrderedJson toJson(const store::DatasetCounts& counts)
{
    return {
        {"rows", counts.rows},       {"train", counts.train},     {"validation", counts.validation},
        {"test", counts.test},       {"leftOut", counts.leftOut}, {"badRows", counts.badRows},
        {"doubled", counts.doubled}, {"leaks", counts.leaks},     {"empty", counts.empty}};
}

OrderedJson toJson(const store::DatasetRecord& dataset)
{
    return {{"name", dataset.name},
            {"file", dataset.file.string()},
            {"kind", dataset.kind},
            {"counts", toJson(dataset.counts)},
            {"changedAt", timeOrNull(dataset.changedAt)}};
}

OrderedJson toJson(const store::RunRecord& run)
{
    return {{"id", run.id},
            {"number", run.number},
            {"name", run.name},
            {"status", store::toString(run.status)},
            {"model", run.model},
            {"modelDigest", run.modelDigest},
            {"dataset", run.dataset},
            {"datasetVersion", run.datasetVersion},
            {"datasetDigest", run.datasetDigest},
            {"seed", run.seed},
            {"createdAt", timeOrNull(run.createdAt)},
            {"endedAt", timeOrNull(run.endedAt)},
            {"step", run.step},
            {"totalSteps", run.totalSteps},
            {"loss", numberOrNull(run.loss)},
            {"bestEvalLoss", numberOrNull(run.bestEvalLoss)},
            {"bestStep", run.bestStep},
            {"message", run.message},
            {"settings", run.settings},
            {"extra", run.extra}};
}

OrderedJson toJson(const std::vector<data::BadRow>& rows)
{
    OrderedJson list = OrderedJson::array();
    for (const auto& row : rows)
        list.push_back({{"file", row.file}, {"row", row.row}, {"reason", row.reason}});
    return list;
}

Result<Choice> modelOrRun(const store::Workspace& workspace, const std::string& which)
{
    constexpr std::string_view prefix = "run:";
    const bool isRun = which.starts_with(prefix);
    if (!isRun && workspace.model(which))
        return Choice{which, which};
    if (const auto run = workspace.run(isRun ? which.substr(prefix.size()) : which)) {
        auto model = fmt::format("run:{}", run->number);
        auto title = run->name.empty() ? model : fmt::format("{} ({})", run->name, model);
        return Choice{std::move(model), std::move(title)};
    }
    return Error{ErrorCode::NotFound, fmt::format("there is no model and no run \"{}\"", which),
                 workspace.folder().filename().string(),
                 "List them with: fettle-cli model list, fettle-cli runs list"};
}

Result<std::vector<Choice>> modelsOrRuns(const store::Workspace& workspace,
                                         const std::vector<std::string>& which)
{
    std::vector<Choice> choices;
    for (const auto& each : which) {
        auto choice = modelOrRun(workspace, each);
        if (!choice)
            return choice.error();
        choices.push_back(*std::move(choice));
    }
    return choices;
}

} // namespace fettle::cli

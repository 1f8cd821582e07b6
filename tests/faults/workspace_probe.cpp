// Opens workspaces whose folders come line by line on standard input, as the program would after a crash, and
// writes one JSON line about each.

#include "store/workspace.h"

#include <iostream>

namespace {

using namespace fettle;

Json describe(store::Workspace& workspace, const store::RunRecord& run)
{
    Json checkpoints = Json::array(), best = Json::array(), checks = Json::array(), samples = Json::array();
    for (const auto& point : workspace.checkpoints(run.id)) {
        checkpoints.push_back(point.step);
        if (point.best)
            best.push_back(point.step);
    }
    for (const auto& check : workspace.evaluations(run.id))
        checks.push_back({check.step, check.loss, check.low, check.high, check.best});
    for (const auto& sample : workspace.samples(run.id))
        samples.push_back({sample.step, sample.prompt, sample.answer});
    Json json = {{"id", run.id},          {"status", store::toString(run.status)},
                 {"step", run.step},      {"checkpoints", checkpoints},
                 {"best", best},          {"checks", checks},
                 {"samples", samples}};
    for (const char* name : {"loss", "learningRate", "gradNorm"}) {
        json[name] = Json::array();
        for (const auto& point : workspace.metric(run.id, name))
            json[name].push_back({point.step, point.value, point.tokens});
    }
    return json;
}

Json look(const std::string& folder)
{
    auto workspace = store::Workspace::open(folder);
    if (!workspace)
        return {{"error", workspace.error().sentence()}};
    if (auto marked = (*workspace)->markInterrupted(); !marked)
        return {{"error", marked.error().sentence()}};
    Json models = Json::array(), datasets = Json::array(), runs = Json::array();
    for (const auto& model : (*workspace)->models())
        models.push_back(model.name);
    for (const auto& dataset : (*workspace)->datasets())
        datasets.push_back({{"name", dataset.name}, {"rows", dataset.counts.rows}});
    for (const auto& run : (*workspace)->runs())
        runs.push_back(describe(**workspace, run));
    return {{"models", models}, {"datasets", datasets}, {"runs", runs}};
}

} // namespace

int main()
{
    for (std::string folder; std::getline(std::cin, folder);)
        std::cout << look(folder).dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    return 0;
}

#pragma once

#include "base/json.h"
#include "store/workspace.h"

namespace fettle::cli {

// Records as --json prints them. Times are ISO 8601 in UTC, sizes are bytes.
OrderedJson toJson(const store::ModelRecord& model);
OrderedJson toJson(const store::DatasetCounts& counts);
OrderedJson toJson(const store::DatasetRecord& dataset);
OrderedJson toJson(const store::RunRecord& run);
OrderedJson toJson(const std::vector<data::BadRow>& rows);

/// A model or a run that was named on the command line.
struct Choice
{
    std::string model; ///< what the front door calls it: a name in the workspace, or "run:12"
    std::string title; ///< what a reader calls it: the model's name, or "letters (run:12)"
};

/// A run is given by number, id, name, "last" or "run:12"; a model's name comes first. Errors:
/// NotFound.
Result<Choice> modelOrRun(const store::Workspace& workspace, const std::string& which);
Result<std::vector<Choice>> modelsOrRuns(const store::Workspace& workspace,
                                         const std::vector<std::string>& which);

} // namespace fettle::cli

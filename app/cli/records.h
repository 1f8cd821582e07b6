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

/// What the front door calls a model: a name in the workspace, or "run:12" for a run (given by
/// number, id, name, "last", or already as "run:12"). A model's name comes first. Errors: NotFound.
Result<std::string> modelOrRun(const store::Workspace& workspace, const std::string& which);
Result<std::vector<std::string>> modelsOrRuns(const store::Workspace& workspace,
                                              const std::vector<std::string>& which);

} // namespace fettle::cli

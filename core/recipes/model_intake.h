#pragma once

#include "jobs/job.h"
#include "model/import/import.h"
#include "store/workspace.h"

#include <functional>

namespace fettle::recipes {

/// Makes the folder of a model; what it gives was checked.
using MakeModel = std::function<Result<model::ImportedModel>(const std::filesystem::path& folder,
                                                             const model::ImportProgress& progress,
                                                             std::stop_token stop)>;

/// Errors: InvalidInput when the workspace has a model of this name.
Result<void> checkNameIsFree(const store::Workspace& workspace, const std::string& name);

/// The one way of models into a workspace: made in their folder, opened once more with tokenizer
/// and conversation form, described and entered; nothing stays when a step fails. `info` is what is
/// kept of their origin. Ends with the model's record.
Result<jobs::JobEnd> takeIn(store::Workspace& workspace, const std::string& name, Json info,
                            const MakeModel& make, jobs::JobContext& context);

/// The same for an adapter in PEFT form: it is merged into the model `base` of the workspace.
Result<jobs::JobEnd> takeInAdapter(store::Workspace& workspace, const std::string& name,
                                   const std::filesystem::path& adapter, const std::string& base,
                                   Json info, jobs::JobContext& context);

} // namespace fettle::recipes
